//! All the waiting of tests, and there are two kinds of it.
//!
//! *For something to happen*: [`until`] and [`wait`] look again and again, end as soon as it has
//! happened, and tell what was seen last when it never does. *For time to pass*: [`lapse`], where the
//! time is itself what the test is about (a slow bot, the length of a fault, the pace of a load), and
//! [`silence`], where nothing could tell that a thing will never come. A test that sleeps in the hope
//! that something has happened meanwhile does neither: it hides a race.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use shared::clock::Clock;
use tokio::time::{Instant, timeout_at};

/// The longest that anything that has to happen may take on a busy machine.
pub const SOON: Duration = Duration::from_mins(1);

/// How much of the time that was waited already passes between two looks: one that takes long is not
/// hurried by looking more often, and one that takes no time is seen at once.
const SHARE: u32 = 16;
const PITCH_MIN: Duration = Duration::from_millis(1);
const PITCH_MAX: Duration = Duration::from_millis(100);

/// What one look gives: that which is waited for, or what is there instead.
pub trait Look {
    type Found;

    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is not so".to_owned()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, S: Display> Look for Result<T, S> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:#}"))
    }
}

/// Looks until that which is waited for is there, for [`SOON`] at most.
///
/// # Panics
///
/// When it never comes, with what was seen last.
pub async fn until<F>(what: &str, look: impl FnMut() -> F) -> <F::Output as Look>::Found
where
    F: Future<Output: Look>,
{
    until_within(what, SOON, look).await
}

/// As [`until`], for what may take longer, or must not take as long.
///
/// # Panics
///
/// When it does not come in time, with what was seen last.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub async fn until_within<F>(
    what: &str,
    within: Duration,
    look: impl FnMut() -> F,
) -> <F::Output as Look>::Found
where
    F: Future<Output: Look>,
{
    wait(what, within, look).await.unwrap_or_else(|late| panic!("{late}"))
}

/// As [`until_within`], for what reports instead of failing.
///
/// # Errors
///
/// It did not come in time: what was waited for, how long, and what was seen last. A look that does not
/// end is given up then.
pub async fn wait<F>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> Result<<F::Output as Look>::Found>
where
    F: Future<Output: Look>,
{
    let began = Instant::now();
    let deadline = began + within;
    let mut seen = "nothing, for the first look has not ended".to_owned();
    loop {
        let Ok(looked) = timeout_at(deadline, look()).await else { break };
        match looked.found() {
            Ok(found) => return Ok(found),
            Err(instead) => seen = instead,
        }
        if Instant::now() >= deadline {
            break;
        }
        let pitch = (began.elapsed() / SHARE).clamp(PITCH_MIN, PITCH_MAX);
        tokio::time::sleep(pitch).await;
    }
    bail!("{what}: not within {within:?}; last seen: {seen}")
}

/// Lets time pass that is itself what the test is about; `why` tells a reader what it is for.
pub async fn lapse(lasts: Duration, why: &'static str) {
    debug_assert!(!why.is_empty(), "a lapse has a reason");
    tokio::time::sleep(lasts).await;
}

/// As [`lapse`], until a moment: one of many that are given beforehand, whatever happens between them.
pub async fn lapse_until(moment: Instant, why: &'static str) {
    debug_assert!(!why.is_empty(), "a lapse has a reason");
    tokio::time::sleep_until(moment).await;
}

/// As [`lapse`], on a thread that no runtime drives.
pub fn block(lasts: Duration, why: &'static str) {
    debug_assert!(!why.is_empty(), "a lapse has a reason");
    std::thread::sleep(lasts);
}

/// Waits until the wall clock shows another millisecond, so that the times in ids tell what was made before
/// from what is made after.
pub async fn another_millisecond() {
    let before = Clock::Real.unix_ms();
    while Clock::Real.unix_ms() <= before {
        tokio::time::sleep(PITCH_MIN).await;
    }
}

/// Makes sure that something does not happen for so long, where no later event could tell that it will not;
/// `why` says why there is none. Prefer such an event: what could only come after it.
///
/// # Errors
///
/// What happened.
pub async fn silence<T>(
    lasts: Duration,
    why: &'static str,
    event: impl Future<Output = T>,
) -> Result<(), T> {
    debug_assert!(!why.is_empty(), "a lapse has a reason");
    timeout_at(Instant::now() + lasts, event).await.map_or(Ok(()), Err)
}

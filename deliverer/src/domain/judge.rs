//! What becomes of a delivery after an attempt.

use std::time::Duration;

use shared::domain::delivery::{Delivery, ParkReason};
use shared::domain::retry::{Policy, WAIT_MAX, exponential};
use shared::store::Verdict;

/// How often a receiver may move the time by `Retry-After` without using up an attempt.
pub(crate) const DEFERRALS_MAX: u32 = 20;

/// The first and the longest wait after a fault of our own.
const OURS_FIRST: Duration = Duration::from_secs(15);
const OURS_MAX: Duration = Duration::from_hours(1);

const GONE: u16 = 410;
/// Too Many Requests and Service Unavailable: a time that comes with them is an appointment.
const APPOINTMENTS: [u16; 2] = [429, 503];

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The receiver answered, in whatever way.
    Status { status: u16, retry_after: Option<Duration> },
    /// No complete answer: the receiver's failure.
    None,
    /// Nothing was sent, by a fault or a rule of our own.
    Ours,
}

/// Judges an attempt. `delivery` is the row as it was before the attempt's outcome; `chance` is uniform
/// in 0..=1.
///
/// 2xx delivers, 410 disables the endpoint, everything else fails, redirects included. A `Retry-After`
/// is a floor for the next attempt; with 429 and 503 it uses up no attempt, at most
/// [`DEFERRALS_MAX`] times.
pub(crate) fn judge(delivery: &Delivery, answer: Answer, policy: &Policy, chance: f64) -> Verdict {
    match answer {
        Answer::Status { status: 200..=299, .. } => Verdict::Delivered,
        Answer::Status { status: GONE, .. } => Verdict::Park(ParkReason::Gone),
        Answer::Status { status, retry_after: Some(asked) }
            if APPOINTMENTS.contains(&status) && delivery.deferrals < DEFERRALS_MAX =>
        {
            Verdict::Defer(later(asked.min(WAIT_MAX), policy.jitter, chance))
        }
        Answer::Status { retry_after, .. } => {
            failed(delivery, policy, chance, retry_after.unwrap_or_default())
        }
        Answer::None => failed(delivery, policy, chance, Duration::ZERO),
        Answer::Ours => {
            let before = delivery
                .attempt
                .saturating_sub(delivery.failures)
                .saturating_sub(delivery.deferrals)
                .saturating_sub(1);
            Verdict::Ours(exponential(OURS_FIRST, 2.0, OURS_MAX, before))
        }
    }
}

fn failed(delivery: &Delivery, policy: &Policy, chance: f64, floor: Duration) -> Verdict {
    match policy.wait(delivery.failures.saturating_add(1), chance) {
        Some(wait) => Verdict::Retry(wait.max(floor.min(WAIT_MAX))),
        None => Verdict::Park(ParkReason::Exhausted),
    }
}

/// Receivers tell many senders, or many conversations, the same time: they need not all keep it to the
/// millisecond.
fn later(wait: Duration, jitter: f64, chance: f64) -> Duration {
    const SPREAD_MAX: Duration = Duration::from_secs(30);
    let share = jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
    wait + wait.mul_f64(share).min(SPREAD_MAX)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

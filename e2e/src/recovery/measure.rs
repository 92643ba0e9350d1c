//! When a system serves again, as many messages as come, and when it is as good as before: what waited is
//! done, and of the messages that come in a while nearly all are answered soon.

use std::time::Duration;

use crate::overload::tally::Shot;
use crate::torture::faults::Window;

/// This share of the messages that come in a while...
pub(super) const SHARE: f64 = 0.95;
/// ...is answered so soon after each was due, repeats included.
const SOON: Duration = Duration::from_secs(2);
const WHILE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_secs(1);

/// What one fault did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovered {
    /// The share that was answered soon while it lasted.
    pub within: f64,
    /// How long after its end the first while began in which as many were answered as came; `None`: not
    /// before the next fault.
    pub serves: Option<Duration>,
    /// The same of the first while of whose messages nearly all were answered soon.
    pub as_before: Option<Duration>,
}

/// What a fault did, by when messages were due since `start`; `next` is when the next began.
pub(super) fn recovered(
    shots: &[Shot],
    window: &Window,
    start: Duration,
    next: Duration,
) -> Recovered {
    let [began, ended, next] =
        [window.began, window.ended, next].map(|at| at.saturating_sub(start));
    let first = |good: fn(&[Shot], Duration, Duration) -> f64| {
        let mut steps = (0..).map(|n| STEP * n).take_while(|after| ended + *after + WHILE <= next);
        steps.find(|after| good(shots, ended + *after, ended + *after + WHILE) >= SHARE)
    };
    let within = share(shots, began, ended);
    Recovered { within, serves: first(goodput), as_before: first(share) }
}

/// Answers of a while to each message that came in it; 0 when none came.
fn goodput(shots: &[Shot], from: Duration, to: Duration) -> f64 {
    let came = shots.iter().filter(|shot| (from..to).contains(&shot.due)).count();
    let done = |shot: &&Shot| shot.answered() && (from..to).contains(&(shot.due + shot.took));
    let answered = shots.iter().filter(done).count();
    if came == 0 { 0.0 } else { count(answered) / count(came) }
}

/// The share of those due in between that were answered soon; 0 of none.
pub(super) fn share(shots: &[Shot], from: Duration, to: Duration) -> f64 {
    let due: Vec<_> = shots.iter().filter(|shot| (from..to).contains(&shot.due)).collect();
    let soon = due.iter().filter(|shot| shot.answered() && shot.took <= SOON).count();
    if due.is_empty() { 0.0 } else { count(soon) / count(due.len()) }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than a double can count")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::tally::End;
    use crate::torture::faults::Fault;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Ten messages a second for a minute; those due in `bad` take ten seconds or fail.
    fn shots(bad: std::ops::Range<u64>) -> Vec<Shot> {
        let shot = |n: u64| {
            let due = Duration::from_millis(n * 100);
            let slow = bad.contains(&due.as_secs());
            let end = if slow && n.is_multiple_of(2) { End::Failed } else { End::Answered };
            let took = if slow { secs(10) } else { Duration::from_millis(50) };
            Shot { number: u32::try_from(n).unwrap(), due, took, end }
        };
        (0..600).map(shot).collect()
    }

    fn window(began: u64, ended: u64) -> Window {
        let (began, ended) = (secs(began + 100), secs(ended + 100));
        let (refused, taken_over, exit) = (None, None, None);
        Window {
            fault: Fault::Kill,
            target: String::new(),
            began,
            ended,
            refused,
            taken_over,
            exit,
        }
    }

    #[test]
    fn recovery_is_counted_from_the_end_of_the_fault_to_the_first_good_while() {
        let of = |bad| recovered(&shots(bad), &window(10, 15), secs(100), secs(150));
        let zero = Some(secs(0));
        let whole = Recovered { within: 1.0, serves: zero, as_before: zero };
        assert_eq!(of(0..0), whole);
        // Half of what came in the fault is answered in the ten seconds after it.
        assert_eq!(of(10..15), Recovered { within: 0.0, ..whole });
        let late = of(10..22);
        assert_eq!((late.within, late.as_before), (0.0, Some(secs(7))));
        // Half of what comes fails, until 22; from 20 on what came ten seconds before is answered beside it.
        assert_eq!(late.serves, Some(secs(5)), "from 20 to 25: 25 of before and 30 of now for 50");
    }

    #[test]
    fn a_system_that_stays_bad_has_not_recovered_and_nothing_is_not_good() {
        for shots in [shots(10..60), Vec::new()] {
            let of = recovered(&shots, &window(10, 15), secs(100), secs(150));
            assert_eq!((of.serves, of.as_before), (None, None));
        }
        let early = recovered(&shots(10..22), &window(10, 15), secs(100), secs(120));
        assert_eq!(early.as_before, None, "the next fault came first");
    }
}

//! When a system is as good as before: of the messages that come in a while, nearly all are answered soon.

use std::time::Duration;

use crate::overload::tally::Shot;
use crate::torture::faults::Window;

/// This share of the messages of a while...
pub(super) const SHARE: f64 = 0.95;
/// ...is answered so soon after it was due, repeats included.
const SOON: Duration = Duration::from_secs(2);
const WHILE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_secs(1);
/// How far is looked.
const LOOK_MAX: Duration = Duration::from_secs(35);

/// What one fault did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovered {
    /// The share that was answered soon while it lasted.
    pub within: f64,
    /// How long after its end the first good while began; `None`: not before the next fault.
    pub after: Option<Duration>,
}

/// What a fault did, by when messages were due since `start`.
pub(super) fn recovered(shots: &[Shot], window: &Window, start: Duration) -> Recovered {
    let (began, ended) = (window.began.saturating_sub(start), window.ended.saturating_sub(start));
    let good = |after: &Duration| {
        let from = ended + *after;
        share(shots, from, from + WHILE) >= SHARE
    };
    let steps = (0..).map(|n| STEP * n).take_while(|after| *after + WHILE <= LOOK_MAX);
    Recovered { within: share(shots, began, ended), after: steps.clone().find(good) }
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
        let of = |bad| recovered(&shots(bad), &window(10, 15), secs(100));
        assert_eq!(of(10..15), Recovered { within: 0.0, after: Some(secs(0)) });
        assert_eq!(of(10..22), Recovered { within: 0.0, after: Some(secs(7)) });
        assert_eq!(of(0..0), Recovered { within: 1.0, after: Some(secs(0)) });
    }

    #[test]
    fn a_system_that_stays_bad_has_not_recovered_and_nothing_is_not_good() {
        assert_eq!(recovered(&shots(10..60), &window(10, 15), secs(100)).after, None);
        assert_eq!(recovered(&[], &window(10, 15), secs(100)).after, None);
    }
}

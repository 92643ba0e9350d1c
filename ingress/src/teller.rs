//! Tells refusals to the log: one line each, but no more of them than somebody could read. A flood of
//! refusals is counted by the metrics; the log says how many lines it has left out.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::StatusCode;
use shared::telemetry::OUTCOME;

use crate::domain::refusal::Refusal;
use crate::metrics::Route;

/// Lines a second, over all reasons, and how many may come at once.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("invariant: ten is not zero");
const BURST: NonZeroU32 = NonZeroU32::new(50).expect("invariant: fifty is not zero");

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Teller {
    lines: DefaultDirectRateLimiter,
    untold: AtomicU64,
}

impl Default for Teller {
    fn default() -> Self {
        let quota = Quota::per_second(PER_SECOND).allow_burst(BURST);
        Self { lines: RateLimiter::direct(quota), untold: AtomicU64::new(0) }
    }
}

impl Teller {
    /// How many lines were left out since the last; `None`: this one is to be left out as well.
    fn may_tell(&self) -> Option<u64> {
        if self.lines.check().is_err() {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.untold.swap(0, Ordering::Relaxed))
    }

    /// Tells one refusal. What a client sent that nobody has proved stands in no line.
    pub(crate) fn refused(&self, refusal: &Refusal, route: Route, status: StatusCode, id: &str) {
        let (reason, status, route) = (refusal.reason(), status.as_u16(), route.as_str());
        let Some(untold) = self.may_tell() else {
            tracing::debug!(refusal.id = id, reason, status, route, "a request was refused");
            return;
        };
        match refusal {
            Refusal::Unknown(turn) | Refusal::TimedOut { turn, .. } => {
                tracing::info!(
                    target: OUTCOME,
                    reason, status, route, untold, turn.id = %turn, refusal.id = id,
                    "a turn got no answer"
                );
            }
            _ => tracing::info!(
                target: OUTCOME,
                reason, status, route, untold, refusal.id = id, "a request was refused"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_few_lines_that_say_how_many_are_missing() {
        let teller = Teller::default();
        let told = (0..1_000).filter_map(|_| teller.may_tell()).count();
        assert!((50..100).contains(&told), "{told}");
        let untold = teller.untold.load(Ordering::Relaxed);
        assert_eq!(untold + told as u64, 1_000);
        let next = (0..).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            teller.may_tell()
        });
        assert!(next.unwrap() >= untold, "{next:?}");
    }
}

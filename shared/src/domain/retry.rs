//! When a failed delivery is tried again: pure arithmetic over the number of recorded failures.
//!
//! The only file that knows `backoff`. The crate is unmaintained (two informational advisories,
//! see `deny.toml`); it computes delays here and nothing else.

use std::time::Duration;

use backoff::backoff::Backoff;

/// The longest wait that a schedule may hold or a receiver may ask for.
pub const WAIT_MAX: Duration = Duration::from_hours(24);

/// The spacing of retries after a failure.
#[derive(Clone, PartialEq, Debug)]
pub enum Spacing {
    /// The waits, one per retry; after the last the delivery is parked.
    List(Vec<Duration>),
    /// `initial × factor^n`, at most `max`, for `attempts_max` attempts in all.
    Exponential { initial: Duration, factor: f64, max: Duration, attempts_max: u32 },
}

/// A channel's retry schedule.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    pub spacing: Spacing,
    /// Jitter is only added: a wait is `base + uniform(0 ..= base × jitter)`. 0 to 1.
    pub jitter: f64,
}

impl Default for Policy {
    /// 5 s, 30 s, 2 min, 10 min, 1 h, 3 h, 6 h, 12 h, 24 h with 10 % jitter: ten attempts over two days.
    fn default() -> Self {
        let waits = [5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200, 86_400];
        Self { spacing: Spacing::List(waits.map(Duration::from_secs).to_vec()), jitter: 0.1 }
    }
}

impl Policy {
    /// The wait after the `failures`-th recorded failure (from 1), or `None` when the schedule is
    /// exhausted. `chance` is uniform in 0..=1; a larger one never gives a shorter wait.
    pub fn wait(&self, failures: u32, chance: f64) -> Option<Duration> {
        let retry = failures.saturating_sub(1);
        let base = match &self.spacing {
            Spacing::List(waits) => *waits.get(usize::try_from(retry).ok()?)?,
            Spacing::Exponential { initial, factor, max, attempts_max } => {
                if failures >= *attempts_max {
                    return None;
                }
                exponential(*initial, *factor, *max, retry)
            }
        };
        let base = base.min(WAIT_MAX);
        let added = base.as_secs_f64() * self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Some(base + Duration::from_secs_f64(added))
    }
}

/// `initial × factor^retry`, at most `max`.
pub fn exponential(initial: Duration, factor: f64, max: Duration, retry: u32) -> Duration {
    let power = i32::try_from(retry.min(60)).unwrap_or(60);
    let raw = (initial.as_secs_f64() * factor.max(1.0).powi(power)).min(max.as_secs_f64());
    let mut backoff = backoff::ExponentialBackoff {
        current_interval: Duration::from_secs_f64(raw),
        initial_interval: initial,
        // The crate's own jitter is symmetric and would fire early: jitter is added outside.
        randomization_factor: 0.0,
        multiplier: factor.max(1.0),
        max_interval: max,
        // The crate's default gives up after 15 minutes.
        max_elapsed_time: None,
        ..backoff::ExponentialBackoff::default()
    };
    backoff.next_backoff().unwrap_or(max).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exponential_policy(attempts_max: u32) -> Policy {
        let spacing = Spacing::Exponential {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(1),
            attempts_max,
        };
        Policy { spacing, jitter: 0.5 }
    }

    #[test]
    fn the_default_schedule_makes_ten_attempts() {
        let policy = Policy::default();
        assert_eq!(policy.wait(1, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(policy.wait(9, 0.0), Some(Duration::from_hours(24)));
        assert_eq!(policy.wait(10, 0.0), None);
    }

    #[test]
    fn an_exponential_schedule_doubles_up_to_its_maximum_and_ends() {
        let policy = exponential_policy(9);
        let waits: Vec<_> = (1..=9).map(|n| policy.wait(n, 0.0).map(|w| w.as_secs())).collect();
        let expected =
            [Some(1), Some(2), Some(4), Some(8), Some(16), Some(32), Some(60), Some(60), None];
        assert_eq!(waits, expected);
    }

    proptest! {
        #[test]
        fn jitter_only_makes_a_wait_longer_and_never_more_than_its_share(
            failures in 1u32..=u32::MAX - 1, chance in 0.0f64..=1.0,
        ) {
            let policy = exponential_policy(u32::MAX);
            let base = policy.wait(failures, 0.0).unwrap();
            let wait = policy.wait(failures, chance).unwrap();
            prop_assert!(wait >= base);
            prop_assert!(wait <= base.mul_f64(1.5) + Duration::from_millis(1));
            prop_assert!(base <= Duration::from_mins(1));
        }

        #[test]
        fn waits_never_shrink_as_failures_grow(failures in 1u32..1_000_000) {
            let policy = exponential_policy(u32::MAX);
            prop_assert!(policy.wait(failures + 1, 0.0) >= policy.wait(failures, 0.0));
        }
    }
}

//! What many requests came to, in figures.

use std::time::Duration;

use serde::Serialize;

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// 200.
    Answered,
    /// 429 or 503.
    Refused { retry_after: bool },
    /// Anything else: another status, a reset, no answer in time.
    Failed,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// What was said.
    pub number: u32,
    /// When it was due, from the start of its load.
    pub due: Duration,
    /// From when it was due to its end.
    pub took: Duration,
    pub end: End,
}

impl Shot {
    pub fn answered(&self) -> bool {
        self.end == End::Answered
    }
}

/// The figures of one load.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    pub offered: usize,
    pub answered: usize,
    pub refused: usize,
    pub failed: usize,
    /// Refusals that do not say when to come back.
    pub without_retry_after: usize,
    /// Answers a second.
    pub goodput: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub refusal_p99_ms: f64,
}

impl Tally {
    pub fn of(shots: &[Shot], lasted: Duration) -> Self {
        let is = |want: fn(&End) -> bool| shots.iter().filter(move |shot| want(&shot.end));
        let answered: Vec<_> =
            shots.iter().filter(|shot| shot.answered()).map(|shot| shot.took).collect();
        let refused: Vec<_> =
            is(|end| matches!(end, End::Refused { .. })).map(|shot| shot.took).collect();
        Self {
            offered: shots.len(),
            answered: answered.len(),
            refused: refused.len(),
            failed: is(|end| *end == End::Failed).count(),
            without_retry_after: is(|end| *end == End::Refused { retry_after: false }).count(),
            goodput: count(answered.len()) / lasted.as_secs_f64(),
            p50_ms: quantile_ms(answered.clone(), 0.5),
            p99_ms: quantile_ms(answered, 0.99),
            refusal_p99_ms: quantile_ms(refused, 0.99),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "as many requests as fit a double")]
fn count(n: usize) -> f64 {
    n as f64
}

/// The nearest rank; 0 of nothing.
fn quantile_ms(mut all: Vec<Duration>, quantile: f64) -> f64 {
    all.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank of `all`")]
    let rank = (count(all.len()) * quantile).ceil() as usize;
    all.get(rank.saturating_sub(1)).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_what_was_shot() {
        let shot =
            |ms, end| Shot { number: 1, due: Duration::ZERO, took: Duration::from_millis(ms), end };
        let mut shots: Vec<_> = (1..=100).map(|ms| shot(ms, End::Answered)).collect();
        shots.push(shot(7, End::Refused { retry_after: true }));
        shots.push(shot(9, End::Refused { retry_after: false }));
        shots.push(shot(5000, End::Failed));
        let tally = Tally::of(&shots, Duration::from_secs(10));
        assert_eq!((tally.offered, tally.answered, tally.refused, tally.failed), (103, 100, 2, 1));
        assert_eq!(tally.without_retry_after, 1);
        let near = |a: f64, b: f64| (a - b).abs() < 0.001;
        assert!(near(tally.goodput, 10.0) && near(tally.p50_ms, 50.0), "{tally:?}");
        assert!(near(tally.p99_ms, 99.0) && near(tally.refusal_p99_ms, 9.0), "{tally:?}");
        assert!(near(Tally::of(&[], Duration::from_secs(1)).p99_ms, 0.0));
    }
}

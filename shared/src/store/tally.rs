//! Figures of one channel over time, counted from its rows when somebody looks. An index by channel and time
//! finds them; the newest [`COUNTED`] turns and as many deliveries are counted, and it is said when there were more.

use std::collections::HashSet;

use uuid::Uuid;

use crate::domain::ids::ChannelId;
use crate::domain::outcome::Outcome;

/// The most turns, and the most settled deliveries, that one tally counts.
pub const COUNTED: u32 = 10_000;
/// The most buckets of a tally.
pub const BUCKETS: u32 = 400;

/// What is asked for: `count` buckets of `width_ms` from `from_ms` on (milliseconds since the Unix epoch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallyAsk {
    pub channel: ChannelId,
    pub from_ms: i64,
    pub width_ms: i64,
    /// At most [`BUCKETS`].
    pub count: u32,
}

impl TallyAsk {
    /// Where the buckets begin.
    pub fn bounds(&self) -> Vec<i64> {
        let count = self.count.min(BUCKETS);
        (0..i64::from(count)).map(|n| self.from_ms.saturating_add(n * self.width_ms)).collect()
    }

    /// Where the last one ends.
    pub fn end_ms(&self) -> i64 {
        self.from_ms.saturating_add(i64::from(self.count.min(BUCKETS)) * self.width_ms)
    }
}

/// Figures of one bucket, or of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub turns: u64,
    /// Different conversations.
    pub users: u64,
    /// By [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// From the turn's id to the end of its run, in milliseconds: half of the turns, 95 and 99 of a hundred took
    /// no longer.
    pub latency: [u64; 3],
    /// By the time of settling.
    pub delivered: u64,
    pub parked: u64,
    /// Attempts begun at those deliveries.
    pub attempts: u64,
}

/// See [`TallyAsk`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub whole: Figures,
    pub buckets: Vec<Figures>,
    /// Whether older turns, or deliveries, of the time that was asked for are not counted.
    pub turns_cut: bool,
    pub deliveries_cut: bool,
}

/// The quantiles of [`Figures::latency`].
pub const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// One turn, for engines that do not count themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) at_ms: i64,
    pub(super) conversation: Uuid,
    pub(super) outcome: i16,
    pub(super) took_ms: u64,
}

/// Counts turns into all buckets and each.
pub(super) fn count(ask: &TallyAsk, turns: &[Counted], tally: &mut Tally) {
    let mut buckets: Vec<Vec<&Counted>> = vec![Vec::new(); tally.buckets.len()];
    for turn in turns {
        let place = (turn.at_ms - ask.from_ms).div_euclid(ask.width_ms.max(1));
        let bucket = usize::try_from(place).ok().and_then(|place| buckets.get_mut(place));
        if let Some(bucket) = bucket {
            bucket.push(turn);
        }
    }
    let all: Vec<_> = turns.iter().collect();
    fill(&all, &mut tally.whole);
    for (turns, figures) in buckets.iter().zip(&mut tally.buckets) {
        fill(turns, figures);
    }
}

fn fill(turns: &[&Counted], figures: &mut Figures) {
    figures.turns = turns.len() as u64;
    figures.users = turns.iter().map(|turn| turn.conversation).collect::<HashSet<_>>().len() as u64;
    for (outcome, count) in Outcome::ALL.iter().zip(&mut figures.outcomes) {
        *count = turns.iter().filter(|turn| turn.outcome == outcome.code()).count() as u64;
    }
    let mut took: Vec<u64> = turns.iter().map(|turn| turn.took_ms).collect();
    took.sort_unstable();
    for (permille, figure) in [500, 950, 990].into_iter().zip(&mut figures.latency) {
        // As SQL's percentile_disc: the first at which so many are reached.
        let place = (took.len() * permille).div_ceil(1_000).saturating_sub(1);
        *figure = took.get(place).copied().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_by_time_and_quantiles_are_values_that_occurred() {
        let ask = TallyAsk { channel: "c".into(), from_ms: 1_000, width_ms: 100, count: 2 };
        let turn = |n: u64| Counted {
            at_ms: if n <= 10 { 1_000 } else { 1_199 },
            conversation: Uuid::from_u128(u128::from(n % 4)),
            outcome: if n == 7 { Outcome::Parked } else { Outcome::Answered }.code(),
            took_ms: n,
        };
        let turns: Vec<_> = (1..=100).map(turn).collect();
        let mut tally = Tally { buckets: vec![Figures::default(); 2], ..Tally::default() };
        count(&ask, &turns, &mut tally);
        let whole = &tally.whole;
        assert_eq!((whole.turns, whole.users, whole.latency), (100, 4, [50, 95, 99]));
        let of = |wanted: Outcome| {
            let place = Outcome::ALL.iter().position(|one| *one == wanted).unwrap();
            whole.outcomes[place]
        };
        assert_eq!((of(Outcome::Answered), of(Outcome::Parked)), (99, 1));
        assert_eq!(whole.outcomes.iter().sum::<u64>(), 100);
        let [first, second] = &tally.buckets[..] else { panic!("two") };
        assert_eq!((first.turns, first.latency, second.turns), (10, [5, 10, 10], 90));
        assert_eq!(ask.bounds(), [1_000, 1_100]);
        let mut none = Tally { buckets: vec![Figures::default(); 2], ..Tally::default() };
        count(&ask, &[], &mut none);
        assert_eq!(none.whole, Figures::default());
    }
}

//! PURE: which process should own which partition, where the broker does not decide it.
//!
//! Rendezvous hashing with equal shares: every process computes the same scores from (process, partition),
//! the highest wins as long as its process has not got its share, and a process that comes or goes moves
//! little more than its own. Left to the scores alone one of two processes would often have ten of
//! sixteen partitions, and the work that two can do would not be done.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::topology::Partition;

/// A process counts as a winner only after it was heard this often.
pub const HEARD_MIN: u32 = 3;
/// A partition is yielded at most once in this time.
pub const YIELD_EVERY: Duration = Duration::from_mins(1);

/// Another process, as it was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    pub process: Uuid,
    /// How often it was heard since it was last silent.
    pub heard: u32,
}

/// The place of `me` in the line for one of so many partitions: 0 is whose it should be, then by score.
pub fn rank(me: Uuid, others: &[Member], partition: Partition, partitions: u16) -> u32 {
    let all: Vec<_> = others.iter().map(|other| other.process).chain([me]).collect();
    let owner = owners(&all, partitions).get(usize::from(partition.0)).copied().flatten();
    if owner == Some(me) {
        return 0;
    }
    let mine = score(me, partition);
    let before = |process: Uuid| Some(process) == owner || score(process, partition) > mine;
    let before = others.iter().filter(|other| before(other.process)).count();
    u32::try_from(before).unwrap_or(u32::MAX)
}

/// Whose each partition should be. Shares differ by one at most.
fn owners(processes: &[Uuid], partitions: u16) -> Vec<Option<Uuid>> {
    let all = usize::from(partitions);
    let (share, mut larger) = (all / processes.len().max(1), all % processes.len().max(1));
    let mut scores: Vec<_> = (0..partitions)
        .flat_map(|n| processes.iter().map(move |process| (score(*process, Partition(n)), n)))
        .collect();
    scores.sort_unstable_by(|a, b| b.cmp(a));
    let mut owners = vec![None; all];
    let mut counts = HashMap::new();
    for ((_, process), n) in scores {
        let count = counts.entry(process).or_insert(0);
        let Some(owner @ None) = owners.get_mut(usize::from(n)) else { continue };
        if *count < share {
            *count += 1;
        } else if *count == share && larger > 0 {
            *count += 1;
            larger -= 1;
        } else {
            continue;
        }
        *owner = Some(process);
    }
    owners
}

/// Whether `me`, being given the partition's jobs, should yield it; with its rank then.
/// `since_yield` is the time since it last did.
pub fn yields(
    me: Uuid,
    others: &[Member],
    partition: Partition,
    partitions: u16,
    since_yield: Option<Duration>,
) -> Option<u32> {
    let settled: Vec<_> = others.iter().copied().filter(|m| m.heard >= HEARD_MIN).collect();
    let soon = since_yield.is_some_and(|since| since < YIELD_EVERY);
    let rank = rank(me, &settled, partition, partitions);
    (rank > 0 && !soon).then_some(rank)
}

/// The process itself decides between equal hashes.
fn score(process: Uuid, partition: Partition) -> (u64, Uuid) {
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(process.as_bytes());
    bytes[16..].copy_from_slice(&partition.0.to_le_bytes());
    (xxh3_64(&bytes), process)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn member(n: u128, heard: u32) -> Member {
        Member { process: process(n), heard }
    }

    /// Of processes 1 and 2, the one that the hash prefers for partition 0, and the other.
    fn winner_and_loser() -> (u128, u128) {
        if rank(process(1), &[member(2, 9)], Partition(0), 64) == 0 { (1, 2) } else { (2, 1) }
    }

    #[test]
    fn an_owner_yields_only_to_a_winner_heard_three_times_and_once_a_minute() {
        let (winner, loser) = winner_and_loser();
        let secs = |n| Some(Duration::from_secs(n));
        let table = [
            // (me, the other, heard, since the last yield, yields)
            (loser, winner, 3, None, true),
            (loser, winner, 2, None, false),
            (loser, winner, 9, secs(59), false),
            (loser, winner, 9, secs(60), true),
            (winner, loser, 9, None, false),
        ];
        for (me, other, heard, since, expected) in table {
            let others = [member(other, heard)];
            let yielded = yields(process(me), &others, Partition(0), 64, since);
            assert_eq!(yielded.is_some(), expected, "{me} {other} {heard} {since:?}");
        }
        assert_eq!(yields(process(loser), &[], Partition(0), 64, None), None, "alone");
    }

    #[test]
    fn every_partition_has_exactly_one_winner_and_all_ranks_differ() {
        for partition in (0..64).map(Partition) {
            let mut ranks: Vec<_> = (1..=5)
                .map(|me| {
                    let others: Vec<_> =
                        (1..=5).filter(|n| *n != me).map(|n| member(n, 9)).collect();
                    rank(process(me), &others, partition, 64)
                })
                .collect();
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2, 3, 4]);
        }
    }

    /// Whose each partition should be.
    fn split(processes: &[u128], partitions: u16) -> Vec<Option<Uuid>> {
        owners(&processes.iter().copied().map(process).collect::<Vec<_>>(), partitions)
    }

    #[test]
    fn shares_differ_by_one_at_most() {
        for (processes, partitions) in [(2, 16), (3, 16), (5, 16), (7, 64), (16, 16), (20, 16)] {
            for first in 0..50 {
                let processes: Vec<_> = (first * 100..first * 100 + processes).collect();
                let owners = split(&processes, partitions);
                let count = |n: &u128| owners.iter().filter(|o| **o == Some(process(*n))).count();
                let counts: Vec<_> = processes.iter().map(count).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most - least <= 1, "{partitions} over {counts:?}");
                assert_eq!(counts.iter().sum::<usize>(), usize::from(partitions));
            }
        }
    }

    #[test]
    fn a_process_that_comes_or_goes_moves_little_more_than_its_own_share() {
        let mut moved = 0;
        for first in 0..50 {
            let three = split(&[first, first + 100, first + 200], 64);
            let two = split(&[first, first + 100], 64);
            moved += three.iter().zip(&two).filter(|(three, two)| three != two).count();
        }
        let share = 50 * 64 / 3;
        assert!((share..share * 3 / 2).contains(&moved), "{moved} of a share of {share}");
    }
}

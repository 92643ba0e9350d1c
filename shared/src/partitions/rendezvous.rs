//! PURE: which process should own which partition, where the broker does not decide it.
//!
//! Rendezvous hashing: every process computes the same scores from (process, partition), the highest
//! wins, and a process that comes or goes moves no partition but its own share.

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

/// How many of `others` the hash prefers to `me` for a partition: 0 is the winner.
pub fn rank(me: Uuid, others: &[Member], partition: Partition) -> u32 {
    let mine = score(me, partition);
    let better = others.iter().filter(|other| score(other.process, partition) > mine).count();
    u32::try_from(better).unwrap_or(u32::MAX)
}

/// Whether `me`, being given the partition's jobs, should yield it; with its rank then.
/// `since_yield` is the time since it last did.
pub fn yields(
    me: Uuid,
    others: &[Member],
    partition: Partition,
    since_yield: Option<Duration>,
) -> Option<u32> {
    let settled: Vec<_> = others.iter().copied().filter(|m| m.heard >= HEARD_MIN).collect();
    let soon = since_yield.is_some_and(|since| since < YIELD_EVERY);
    let rank = rank(me, &settled, partition);
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
        if rank(process(1), &[member(2, 9)], Partition(0)) == 0 { (1, 2) } else { (2, 1) }
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
            let yielded = yields(process(me), &others, Partition(0), since);
            assert_eq!(yielded.is_some(), expected, "{me} {other} {heard} {since:?}");
        }
        assert_eq!(yields(process(loser), &[], Partition(0), None), None, "alone");
    }

    #[test]
    fn every_partition_has_exactly_one_winner_and_all_ranks_differ() {
        for partition in (0..64).map(Partition) {
            let mut ranks: Vec<_> = (1..=5)
                .map(|me| {
                    let others: Vec<_> =
                        (1..=5).filter(|n| *n != me).map(|n| member(n, 9)).collect();
                    rank(process(me), &others, partition)
                })
                .collect();
            ranks.sort_unstable();
            assert_eq!(ranks, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_process_that_leaves_moves_only_its_own_partitions() {
        let winner = |processes: &[u128], partition| {
            *processes
                .iter()
                .find(|me| {
                    let others: Vec<_> =
                        processes.iter().filter(|n| n != me).map(|n| member(*n, 9)).collect();
                    rank(process(**me), &others, partition) == 0
                })
                .unwrap()
        };
        for partition in (0..64).map(Partition) {
            let before = winner(&[1, 2, 3], partition);
            let after = winner(&[1, 2], partition);
            assert!(before == after || before == 3, "{partition}: {before} -> {after}");
        }
    }
}

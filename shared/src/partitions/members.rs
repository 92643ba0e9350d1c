//! Which processes work on the same queue: each says once a second that it is alive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::rendezvous::{self, Member};
use crate::broker::Broker;
use crate::ground::Ground;
use crate::topology::{Partition, Queue};
use crate::wire::envelope::Keys;
use crate::wire::jobs::Announcement;

/// How often a process says that it is alive.
const EVERY: Duration = Duration::from_secs(1);
/// A process not heard for this long is gone.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// While one is silent for longer than this nobody yields: should it be gone, every share is another, and
/// what was yielded to the wrong one stays there for a minute.
const DOUBT_AFTER: Duration = Duration::from_secs(2);
/// So long it keeps its place in the line of those that subscribe again: nobody is heard while the broker
/// is away, and all come back together.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);
/// More processes than this are not counted: announcements must not fill the memory.
const MEMBERS_MAX: usize = 1_024;

/// What is known of the others. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Members {
    me: Uuid,
    partitions: u16,
    others: Arc<Mutex<HashMap<Uuid, Heard>>>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    times: u32,
    last: Instant,
}

/// What an announcement changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Nothing,
    /// A process that was not known: it does not know us either.
    Newcomer,
}

impl Members {
    /// Begins to announce this process and to listen for the others.
    pub(super) fn start<B: Broker, S>(ground: &Ground<B, S>, queue: Queue) -> Self {
        let partitions = ground.broker.topology().partitions;
        let members = Self { me: ground.process, partitions, others: Arc::default() };
        let task = Task {
            members: members.clone(),
            broker: ground.broker.clone(),
            keys: ground.keys.clone(),
            room: queue.as_str(),
        };
        let _handle = ground.lifecycle.spawn(task.run(ground.lifecycle.stop()));
        members
    }

    /// Ends when the partition is to be yielded, with this process's rank.
    pub(super) async fn preferred(&self, partition: Partition, yielded: Option<Instant>) -> u32 {
        loop {
            let since = yielded.map(|at| at.elapsed());
            let known = self.known();
            let yields = rendezvous::yields(self.me, &known, partition, self.partitions, since);
            if let Some(rank) = yields.filter(|_| self.all_speak()) {
                return rank;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// This process's place in the line for a partition, among those that were there lately.
    pub(super) fn rank(&self, partition: Partition) -> u32 {
        let lately = self.heard_within(FORGOTTEN_AFTER);
        rendezvous::rank(self.me, &lately, partition, self.partitions)
    }

    /// Those that are there now.
    fn known(&self) -> Vec<Member> {
        self.heard_within(GONE_AFTER)
    }

    /// Whether of those that are there none has fallen silent.
    fn all_speak(&self) -> bool {
        self.heard_within(DOUBT_AFTER).len() == self.known().len()
    }

    fn heard_within(&self, within: Duration) -> Vec<Member> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|_, heard| heard.last.elapsed() < FORGOTTEN_AFTER);
        others
            .iter()
            .filter(|(_, heard)| heard.last.elapsed() < within)
            .map(|(process, heard)| Member { process: *process, heard: heard.times })
            .collect()
    }

    fn hear(&self, announcement: &Announcement, room: &str) -> Change {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        match announcement {
            Announcement::Alive { process, room: theirs }
                if theirs == room && *process != self.me =>
            {
                let full = others.len() >= MEMBERS_MAX;
                let heard = match others.get_mut(process) {
                    Some(heard) => heard,
                    None if full => return Change::Nothing,
                    None => {
                        others.entry(*process).or_insert(Heard { times: 0, last: Instant::now() })
                    }
                };
                if heard.last.elapsed() >= GONE_AFTER {
                    heard.times = 0;
                }
                *heard = Heard { times: heard.times.saturating_add(1), last: Instant::now() };
                if heard.times == 1 { Change::Newcomer } else { Change::Nothing }
            }
            Announcement::Leaving { process, room: theirs } if theirs == room => {
                others.remove(process);
                Change::Nothing
            }
            _ => Change::Nothing,
        }
    }
}

struct Task<B> {
    members: Members,
    broker: B,
    keys: Keys,
    room: &'static str,
}

impl<B: Broker> Task<B> {
    async fn run(self, stop: tokio_util::sync::CancellationToken) {
        let mut announcements = self.broker.announcements();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let room = || self.room.to_owned();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = tick.tick() => self.say(&Announcement::Alive { process: self.members.me, room: room() }).await,
                heard = announcements.recv() => match heard {
                    Ok(sealed) => self.heard(&sealed).await,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
            }
        }
        self.say(&Announcement::Leaving { process: self.members.me, room: room() }).await;
    }

    /// A newcomer is told at once that we are here, so that it knows its rank when it subscribes.
    async fn heard(&self, sealed: &bytes::Bytes) {
        let Ok(announcement) = Announcement::open(&self.keys, sealed) else { return };
        if self.members.hear(&announcement, self.room) == Change::Newcomer {
            let room = self.room.to_owned();
            self.say(&Announcement::Alive { process: self.members.me, room }).await;
        }
    }

    async fn say(&self, announcement: &Announcement) {
        match announcement.seal(&self.keys) {
            Ok(sealed) => self.broker.announce(sealed).await,
            Err(error) => tracing::error!(%error, "an announcement could not be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn members() -> Members {
        Members { me: Uuid::from_u128(1), partitions: 16, others: Arc::default() }
    }

    fn alive(process: u128, room: &str) -> Announcement {
        Announcement::Alive { process: Uuid::from_u128(process), room: room.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_is_counted_while_it_is_heard_in_the_same_room() {
        let members = members();
        assert_eq!(members.hear(&alive(2, "turns"), "turns"), Change::Newcomer);
        assert_eq!(members.hear(&alive(2, "turns"), "turns"), Change::Nothing);
        assert_eq!(members.hear(&alive(3, "deliveries"), "turns"), Change::Nothing);
        assert_eq!(members.hear(&alive(1, "turns"), "turns"), Change::Nothing, "itself");
        assert_eq!(members.known(), [Member { process: Uuid::from_u128(2), heard: 2 }]);
        tokio::time::advance(GONE_AFTER).await;
        assert_eq!(members.known(), []);
        assert_eq!(members.hear(&alive(2, "turns"), "turns"), Change::Newcomer, "counted anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_process_keeps_its_place_in_the_line_for_a_minute() {
        let members = members();
        let line = |members: &Members| -> u32 {
            (0..members.partitions).map(|n| members.rank(Partition(n))).sum()
        };
        members.hear(&alive(2, "turns"), "turns");
        assert_eq!(line(&members), 8, "half of the partitions are the other's");
        tokio::time::advance(FORGOTTEN_AFTER.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!((members.known().len(), line(&members)), (0, 8));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(line(&members), 0);
    }

    /// The killed one would be counted for five seconds, and its follower's share be taken for less.
    #[tokio::test(start_paused = true)]
    async fn nobody_yields_until_it_is_clear_who_is_there() {
        let mut members = members();
        // Of this one and those that are heard, some partition is always another's.
        members.me = Uuid::from_u128(9);
        let yields = async |members: &Members| {
            let mut ranks = (0..members.partitions).map(|n| members.preferred(Partition(n), None));
            ranks.any(|rank| rank.now_or_never().is_some())
        };
        for _ in 0..rendezvous::HEARD_MIN {
            members.hear(&alive(2, "turns"), "turns");
        }
        assert!(yields(&members).await, "to the one that is there");
        tokio::time::advance(DOUBT_AFTER).await;
        for _ in 0..rendezvous::HEARD_MIN {
            members.hear(&alive(3, "turns"), "turns");
        }
        assert!(!yields(&members).await, "2 may be gone");
        tokio::time::advance(GONE_AFTER.saturating_sub(DOUBT_AFTER)).await;
        members.hear(&alive(3, "turns"), "turns");
        assert!(yields(&members).await, "2 is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_leaves_no_longer_counts() {
        let members = members();
        members.hear(&alive(2, "turns"), "turns");
        let leaving = Announcement::Leaving { process: Uuid::from_u128(2), room: "turns".into() };
        members.hear(&leaving, "turns");
        assert_eq!(members.known(), []);
    }
}

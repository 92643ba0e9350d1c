//! Acknowledgements of one AMQP channel: what is finished is sent as one `multiple` ack up to the
//! contiguous low-water mark; what finished far ahead of it is sent singly, after a while. Exactly
//! one task sends them: two `multiple` acks that overtake each other close the channel.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::options::BasicAckOptions;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::broker::Stale;

/// How long acks are collected.
const COLLECT: Duration = Duration::from_millis(5);
/// So many are sent without waiting.
const COLLECT_MAX: usize = 64;
/// A finished job whose predecessor has not finished is acked singly after this time.
const STRAGGLE: Duration = Duration::from_millis(50);

/// One ack to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ack {
    tag: u64,
    multiple: bool,
}

/// Which tags are finished and which are acked. Tags of a channel are 1, 2, 3, ….
#[derive(Debug, Default)]
struct Tracker {
    /// Every tag up to here is acked.
    low: u64,
    /// Finished tags above `low`: since when, or `None` when acked singly.
    finished: BTreeMap<u64, Option<Instant>>,
    unsent: usize,
}

impl Tracker {
    /// Says whether the tag is news.
    fn finish(&mut self, tag: u64, now: Instant) -> bool {
        if tag <= self.low || self.finished.contains_key(&tag) {
            return false;
        }
        self.finished.insert(tag, Some(now));
        self.unsent += 1;
        true
    }

    /// The acks that are due; stragglers that finished before `straggled`.
    fn take(&mut self, straggled: Instant) -> Vec<Ack> {
        let mut acks = Vec::new();
        // The broker insists that the tag of a `multiple` ack is itself unacknowledged.
        let mut mark = None;
        while let Some(entry) = self.finished.first_entry() {
            if *entry.key() != self.low + 1 {
                break;
            }
            self.low += 1;
            if entry.remove().is_some() {
                mark = Some(self.low);
                self.unsent -= 1;
            }
        }
        acks.extend(mark.map(|tag| Ack { tag, multiple: true }));
        for (tag, since) in &mut self.finished {
            if since.is_some_and(|since| since <= straggled) {
                *since = None;
                self.unsent -= 1;
                acks.push(Ack { tag: *tag, multiple: false });
            }
        }
        acks
    }
}

#[derive(Debug)]
struct State {
    tracker: Tracker,
    open: bool,
}

/// The acks of one subscription, shared by its jobs' workers and the sending task.
#[derive(Debug)]
pub(super) struct Acks {
    state: Mutex<State>,
    channel: Channel,
    some: Notify,
    many: Notify,
}

impl Acks {
    pub(super) fn new(channel: Channel) -> Self {
        let state = Mutex::new(State { tracker: Tracker::default(), open: true });
        Self { state, channel, some: Notify::new(), many: Notify::new() }
    }

    /// A job is finished.
    pub(super) fn ack(&self, tag: u64) -> Result<(), Stale> {
        let mut state = self.lock();
        if !state.open || !self.channel.status().connected() {
            return Err(Stale);
        }
        if state.tracker.finish(tag, Instant::now()) {
            match state.tracker.unsent {
                1 => self.some.notify_one(),
                COLLECT_MAX => self.many.notify_one(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses further acks; the sending task sends what it has and ends.
    pub(super) fn close(&self) {
        self.lock().open = false;
        self.some.notify_one();
        self.many.notify_one();
    }

    /// Finished or not, jobs above this number of unacknowledged ones are not counted.
    pub(super) fn settled(&self) -> u64 {
        let state = self.lock();
        state.tracker.low + state.tracker.finished.len() as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The acks to send now; whether to go on; whether some remain unsent.
    fn take(&self) -> (Vec<Ack>, bool, bool) {
        let mut state = self.lock();
        let now = Instant::now();
        let straggled = if state.open { now.checked_sub(STRAGGLE).unwrap_or(now) } else { now };
        let acks = state.tracker.take(straggled);
        (acks, state.open, state.tracker.unsent > 0)
    }
}

/// Sends acks until they are closed or the channel is gone.
pub(super) async fn send_all(acks: &Acks) {
    let mut some_left = false;
    loop {
        if some_left {
            let _ = tokio::time::timeout(STRAGGLE, acks.many.notified()).await;
        } else {
            acks.some.notified().await;
            let _ = tokio::time::timeout(COLLECT, acks.many.notified()).await;
        }
        let (batch, open, left) = acks.take();
        some_left = left;
        for ack in batch {
            let options = BasicAckOptions { multiple: ack.multiple };
            if acks.channel.basic_ack(ack.tag, options).await.is_err() {
                acks.lock().open = false;
                return;
            }
        }
        if !open {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn up_to(tag: u64) -> Ack {
        Ack { tag, multiple: true }
    }

    const fn single(tag: u64) -> Ack {
        Ack { tag, multiple: false }
    }

    #[test]
    fn the_low_water_mark_waits_for_the_slowest() {
        let mut tracker = Tracker::default();
        let early = Instant::now();
        let late = early + STRAGGLE;
        for tag in [2, 3, 5] {
            assert!(tracker.finish(tag, late));
        }
        assert!(!tracker.finish(3, late), "finished twice");
        assert_eq!(tracker.take(early), []);
        tracker.finish(1, late);
        assert_eq!(tracker.take(early), [up_to(3)]);
        assert!(!tracker.finish(2, late), "acked twice");
        tracker.finish(4, late);
        assert_eq!(tracker.take(early), [up_to(5)]);
        assert_eq!((tracker.low, tracker.unsent), (5, 0));
    }

    #[test]
    fn a_straggler_is_acked_singly_and_never_again() {
        let mut tracker = Tracker::default();
        let now = Instant::now();
        tracker.finish(2, now);
        tracker.finish(3, now);
        assert_eq!(tracker.take(now), [single(2), single(3)]);
        tracker.finish(1, now);
        // 3 is acked already: the broker would refuse it as the tag of a multiple ack.
        assert_eq!(tracker.take(now), [up_to(1)]);
        assert_eq!((tracker.low, tracker.unsent), (3, 0));
        tracker.finish(4, now);
        assert_eq!(tracker.take(now), [up_to(4)]);
    }

    proptest::proptest! {
        #[test]
        fn every_tag_is_acked_once_whatever_the_order(
            order in proptest::sample::subsequence((1..=40u64).collect::<Vec<_>>(), 40)
                .prop_shuffle(),
            pauses in proptest::collection::vec(0..3u8, 40),
        ) {
            let mut tracker = Tracker::default();
            let (early, late) = (Instant::now(), Instant::now() + STRAGGLE);
            let mut unacked: std::collections::BTreeSet<u64> = (1..=40).collect();
            for (tag, pause) in order.into_iter().zip(pauses) {
                tracker.finish(tag, late);
                let straggled = match pause { 0 => continue, 1 => early, _ => late };
                for ack in tracker.take(straggled) {
                    proptest::prop_assert!(unacked.contains(&ack.tag), "{ack:?} is unknown");
                    unacked.retain(|tag| *tag != ack.tag && !(ack.multiple && *tag < ack.tag));
                }
            }
            for ack in tracker.take(late) {
                proptest::prop_assert!(unacked.contains(&ack.tag), "{ack:?} is unknown");
                unacked.retain(|tag| *tag != ack.tag && !(ack.multiple && *tag < ack.tag));
            }
            proptest::prop_assert!(unacked.is_empty(), "{unacked:?} are left");
        }
    }

    use proptest::strategy::Strategy as _;
}

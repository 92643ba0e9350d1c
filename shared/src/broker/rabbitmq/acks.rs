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
use crate::fault::{self, Point};

/// How long acks are collected: each is a command in a quorum queue's log. What was not yet acked when
/// its process dies comes again, and is known by then.
const COLLECT: Duration = Duration::from_millis(50);
/// So many are sent without waiting.
const COLLECT_MAX: usize = 64;
/// A finished job whose predecessor has not finished is acked singly after this time.
const STRAGGLE: Duration = Duration::from_millis(250);
/// How often it is looked for such jobs.
const LOOK: Duration = Duration::from_millis(50);
/// Single acks that are sent at a time. A quorum queue takes in 32 acks before it has written the
/// first; RabbitMQ keeps what is beyond that in the channel, and forgets it when the channel closes.
const SINGLES_MAX: usize = 16;
/// Time for the broker to write them.
const SINGLES_EVERY: Duration = Duration::from_millis(5);
/// Time for the broker to take in the last acks before the channel is closed.
const LAST: Duration = Duration::from_millis(20);

/// One ack to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ack {
    tag: u64,
    multiple: bool,
}

/// What remains after acks were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Stragglers that have to wait a little longer.
    NotYetDue,
    /// More stragglers than are sent at a time.
    Due,
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

    /// The acks that are due, and what is left; stragglers are those that finished before `straggled`.
    fn take(&mut self, straggled: Instant) -> (Vec<Ack>, Left) {
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
        let due = |since: &Option<Instant>| since.is_some_and(|since| since <= straggled);
        let mut stragglers = self.finished.iter_mut().filter(|(_, since)| due(since));
        for (tag, since) in stragglers.by_ref().take(SINGLES_MAX) {
            *since = None;
            self.unsent -= 1;
            acks.push(Ack { tag: *tag, multiple: false });
        }
        let left = match (stragglers.next(), self.unsent) {
            (Some(_), _) => Left::Due,
            (None, 0) => Left::Nothing,
            (None, _) => Left::NotYetDue,
        };
        (acks, left)
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

    /// The acks to send now, what is left then, and whether more may come.
    fn take(&self) -> (Vec<Ack>, Left, bool) {
        let mut state = self.lock();
        let now = Instant::now();
        let straggled = if state.open { now.checked_sub(STRAGGLE).unwrap_or(now) } else { now };
        let (acks, left) = state.tracker.take(straggled);
        (acks, left, state.open)
    }
}

/// Sends acks until they are closed or the channel is gone.
pub(super) async fn send_all(acks: &Acks) {
    let mut left = Left::Nothing;
    loop {
        match left {
            Left::Nothing => {
                acks.some.notified().await;
                let _ = tokio::time::timeout(COLLECT, acks.many.notified()).await;
            }
            Left::NotYetDue => {
                let _ = tokio::time::timeout(LOOK, acks.many.notified()).await;
            }
            Left::Due => tokio::time::sleep(SINGLES_EVERY).await,
        }
        let (batch, remaining, open) = acks.take();
        left = remaining;
        for ack in &batch {
            let options = BasicAckOptions { multiple: ack.multiple };
            if acks.channel.basic_ack(ack.tag, options).await.is_err() {
                acks.lock().open = false;
                return;
            }
            fault::point(Point::AckSent);
        }
        if !open && left == Left::Nothing {
            if !batch.is_empty() {
                tokio::time::sleep(LAST).await;
            }
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
        assert_eq!(tracker.take(early), (vec![], Left::NotYetDue));
        tracker.finish(1, late);
        assert_eq!(tracker.take(early), (vec![up_to(3)], Left::NotYetDue));
        assert!(!tracker.finish(2, late), "acked twice");
        tracker.finish(4, late);
        assert_eq!(tracker.take(early), (vec![up_to(5)], Left::Nothing));
        assert_eq!((tracker.low, tracker.unsent), (5, 0));
    }

    #[test]
    fn a_straggler_is_acked_singly_and_never_again() {
        let mut tracker = Tracker::default();
        let now = Instant::now();
        tracker.finish(2, now);
        tracker.finish(3, now);
        assert_eq!(tracker.take(now), (vec![single(2), single(3)], Left::Nothing));
        tracker.finish(1, now);
        // 3 is acked already: the broker would refuse it as the tag of a multiple ack.
        assert_eq!(tracker.take(now).0, [up_to(1)]);
        assert_eq!((tracker.low, tracker.unsent), (3, 0));
        tracker.finish(4, now);
        assert_eq!(tracker.take(now).0, [up_to(4)]);
    }

    #[test]
    fn many_stragglers_go_out_a_few_at_a_time() {
        let mut tracker = Tracker::default();
        let now = Instant::now();
        for tag in 2..=40 {
            tracker.finish(tag, now);
        }
        let sizes: Vec<_> = (0..3).map(|_| tracker.take(now)).map(|(a, l)| (a.len(), l)).collect();
        assert_eq!(sizes, [(16, Left::Due), (16, Left::Due), (7, Left::Nothing)]);
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
                for ack in tracker.take(straggled).0 {
                    proptest::prop_assert!(unacked.contains(&ack.tag), "{ack:?} is unknown");
                    unacked.retain(|tag| *tag != ack.tag && !(ack.multiple && *tag < ack.tag));
                }
            }
            // In the end all are contiguous: one ack, if any, is for all that is left.
            for ack in tracker.take(late).0 {
                proptest::prop_assert!(unacked.contains(&ack.tag), "{ack:?} is unknown");
                unacked.retain(|tag| *tag != ack.tag && !(ack.multiple && *tag < ack.tag));
            }
            proptest::prop_assert!(unacked.is_empty(), "{unacked:?} are left");
        }
    }

    use proptest::strategy::Strategy as _;
}

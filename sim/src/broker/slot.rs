//! One partition: a queue with a single active consumer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use shared::broker::Job;

use crate::world::Process;

#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    body: Bytes,
    redelivered: bool,
}

#[derive(Debug)]
struct Holder {
    id: u64,
    process: Process,
    given: u64,
    unacked: BTreeMap<u64, Entry>,
    /// Acks that were asked for and have not arrived.
    asked: BTreeSet<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Slot {
    ready: VecDeque<Entry>,
    /// The first is active.
    holders: VecDeque<Holder>,
}

/// What a consumer is told.
#[derive(Debug)]
pub(crate) enum Next {
    Job(Job),
    Nothing,
    Ended,
}

impl Slot {
    pub(crate) fn push(&mut self, id: u64, body: Bytes) {
        self.ready.push_back(Entry { id, body, redelivered: false });
    }

    pub(crate) fn subscribe(&mut self, id: u64, process: Process) {
        let (unacked, asked) = (BTreeMap::new(), BTreeSet::new());
        self.holders.push_back(Holder { id, process, given: 0, unacked, asked });
    }

    pub(crate) fn next(&mut self, consumer: u64) -> Next {
        let Some(at) = self.holders.iter().position(|holder| holder.id == consumer) else {
            return Next::Ended;
        };
        if at > 0 {
            return Next::Nothing;
        }
        let Some(entry) = self.ready.pop_front() else { return Next::Nothing };
        let holder = &mut self.holders[0];
        holder.given += 1;
        let (tag, redelivered, body) = (holder.given, entry.redelivered, entry.body.clone());
        holder.unacked.insert(tag, entry);
        Next::Job(Job { tag, redelivered, body })
    }

    /// Notes that an ack is on its way; says whether the consumer still is one.
    pub(crate) fn ask(&mut self, consumer: u64, tag: u64) -> bool {
        let holder = self.holders.iter_mut().find(|holder| holder.id == consumer);
        holder.is_some_and(|holder| holder.asked.insert(tag))
    }

    pub(crate) fn ack(&mut self, consumer: u64, tag: u64) {
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.id == consumer) {
            holder.unacked.remove(&tag);
        }
    }

    /// A consumer says good-bye: its acks count, the rest goes back to the head.
    pub(crate) fn close(&mut self, consumer: u64) {
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.id == consumer) {
            let asked = std::mem::take(&mut holder.asked);
            holder.unacked.retain(|tag, _| !asked.contains(tag));
        }
        self.end(|holder| holder.id == consumer);
    }

    pub(crate) fn end_all(&mut self, of: impl Fn(Process) -> bool) {
        self.end(|holder| of(holder.process));
    }

    fn end(&mut self, which: impl Fn(&Holder) -> bool) {
        let holders = std::mem::take(&mut self.holders).into_iter();
        let (gone, kept): (VecDeque<Holder>, VecDeque<Holder>) = holders.partition(&which);
        self.holders = kept;
        let mut back: Vec<Entry> =
            gone.into_iter().flat_map(|holder| holder.unacked.into_values()).collect();
        back.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        for entry in back {
            self.ready.push_front(Entry { redelivered: true, ..entry });
        }
    }

    /// What was not on disk is gone.
    pub(crate) fn forget(&mut self) {
        self.ready.clear();
    }

    pub(crate) fn depth(&self) -> usize {
        self.ready.len() + self.holders.iter().map(|holder| holder.unacked.len()).sum::<usize>()
    }
}

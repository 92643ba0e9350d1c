//! The checker: pure. It compares what clients were told with what the bot heard and what the endpoint
//! got. Its tests seed each defect and see it found: a checker that cannot fail proves nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::history::{Conversation, Fate, Thread};

/// Everything that a run showed to be wrong, and how much it looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub conversations: usize,
    pub sends: usize,
    pub accepted: usize,
    pub unknown: usize,
    /// Sends of unknown fate that took effect: legal, and worth knowing.
    pub recovered: usize,
    /// POSTs of a delivery beyond its first: legal when the endpoint had not answered 2xx.
    pub repeated_posts: usize,
    /// POSTs of a delivery that had been answered 2xx before: legal around kills, counted.
    pub duplicate_deliveries: usize,
    pub faults: Vec<Fault>,
}

/// One promise broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub conversation: Conversation,
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Accepted, and in no list.
    Lost,
    /// In a list, and never sent.
    Unexpected,
    /// Twice in a list.
    DuplicatedEffect,
    /// A list that is not in the order of the sends.
    Reordered,
    /// Two lists of one conversation, neither a prefix of the other.
    Forked,
    /// An effect of an asynchronous turn without a delivery that was answered 2xx.
    ReplyLost,
    /// Two POSTs of one delivery with different bytes.
    ReplyChanged,
    /// One answer in POSTs with different ids, so that the receiver cannot tell a repetition.
    ReplyDuplicated,
    /// First POSTs that succeeded, not in the order of the turns.
    DeliveredOutOfOrder,
    /// Nothing to look at: a run in which too little was accepted shows nothing.
    Vacuous,
}

impl Verdict {
    pub fn count(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.faults.is_empty() { "PASS" } else { "FAIL" };
        write!(
            f,
            "{word}: {} conversations, {} sends, {} accepted, {} unknown ({} took effect); \
             lost {}, unexpected {}, duplicated {}, reordered {}, forked {}, replies lost {}, \
             changed {}, under two ids {}, out of order {}, vacuous {}; repeated POSTs {}, of them after a 2xx {}",
            self.conversations,
            self.sends,
            self.accepted,
            self.unknown,
            self.recovered,
            self.count(Kind::Lost),
            self.count(Kind::Unexpected),
            self.count(Kind::DuplicatedEffect),
            self.count(Kind::Reordered),
            self.count(Kind::Forked),
            self.count(Kind::ReplyLost),
            self.count(Kind::ReplyChanged),
            self.count(Kind::ReplyDuplicated),
            self.count(Kind::DeliveredOutOfOrder),
            self.count(Kind::Vacuous),
            self.repeated_posts,
            self.duplicate_deliveries,
        )?;
        for fault in self.faults.iter().take(20) {
            write!(
                f,
                "\n  {:?} in conversation {}: {}",
                fault.kind, fault.conversation, fault.what
            )?;
        }
        Ok(())
    }
}

/// Judges a run.
pub fn check(threads: &BTreeMap<Conversation, Thread>) -> Verdict {
    let mut verdict = Verdict { conversations: threads.len(), ..Verdict::default() };
    for (&conversation, thread) in threads {
        let mut found = |kind, what: String| {
            verdict.faults.push(Fault { kind, conversation, what });
        };
        effects(thread, &mut found);
        forks(thread, &mut found);
        let posts = if thread.asynchronous { deliveries(thread, &mut found) } else { (0, 0) };
        verdict.repeated_posts += posts.0;
        verdict.duplicate_deliveries += posts.1;
        count(thread, &mut verdict);
    }
    if verdict.accepted * 10 < verdict.sends * 7 || verdict.sends == 0 {
        let what = format!("{} of {} sends were accepted", verdict.accepted, verdict.sends);
        verdict.faults.push(Fault { kind: Kind::Vacuous, conversation: 0, what });
    }
    verdict
}

fn count(thread: &Thread, verdict: &mut Verdict) {
    let last = thread.last.as_deref().unwrap_or_default();
    verdict.sends += thread.sends.len();
    for send in &thread.sends {
        match send.fate {
            Fate::Accepted => verdict.accepted += 1,
            Fate::Unknown => {
                verdict.unknown += 1;
                verdict.recovered += usize::from(last.contains(&send.seq));
            }
            Fate::Refused => {}
        }
    }
}

/// The final list against the sends.
fn effects(thread: &Thread, found: &mut impl FnMut(Kind, String)) {
    let Some(last) = &thread.last else {
        found(Kind::Lost, "the conversation's list could not be read at the end".to_owned());
        return;
    };
    for send in &thread.sends {
        match (send.fate, last.iter().filter(|seq| **seq == send.seq).count()) {
            (Fate::Accepted, 0) => found(Kind::Lost, format!("message {}", send.seq)),
            (Fate::Refused, 1..) => {
                found(
                    Kind::Unexpected,
                    format!("message {} was refused and took effect", send.seq),
                );
            }
            (_, 2..) => found(Kind::DuplicatedEffect, format!("message {}", send.seq)),
            (Fate::Accepted | Fate::Unknown | Fate::Refused, _) => {}
        }
    }
    for seq in last {
        if !thread.sends.iter().any(|send| send.seq == *seq) {
            found(Kind::Unexpected, format!("message {seq} was never sent"));
        }
    }
    if let Some((before, after)) = inversion(last) {
        found(Kind::Reordered, format!("{before} before {after}"));
    }
}

/// The first pair of neighbours that stand the wrong way round.
fn inversion(list: &[u32]) -> Option<(u32, u32)> {
    list.iter().zip(list.iter().skip(1)).find(|(a, b)| a > b).map(|(a, b)| (*a, *b))
}

/// Every list that anybody saw must be a prefix of the final one.
fn forks(thread: &Thread, found: &mut impl FnMut(Kind, String)) {
    let last = thread.last.as_deref().unwrap_or_default();
    let lists = thread.answers.iter().chain(thread.posts.iter().map(|post| &post.list));
    for list in lists {
        if !last.starts_with(list) {
            let at = list.last().copied().unwrap_or_default();
            found(Kind::Forked, format!("the list seen at message {at} is no prefix of the last"));
        }
    }
}

/// The POSTs of an asynchronous conversation. Returns repeated POSTs, and those after a 2xx.
fn deliveries(thread: &Thread, found: &mut impl FnMut(Kind, String)) -> (usize, usize) {
    let mut bodies: HashMap<&str, u64> = HashMap::new();
    let mut succeeded: HashMap<&str, bool> = HashMap::new();
    let mut ids: HashMap<u32, &str> = HashMap::new();
    let (mut repeated, mut duplicate) = (0, 0);
    let mut order = Vec::new();
    for post in &thread.posts {
        let id = post.webhook_id.as_str();
        let seq = post.list.last().copied().unwrap_or_default();
        let first = *ids.entry(seq).or_insert(id);
        if first != id {
            found(Kind::ReplyDuplicated, format!("the answer to message {seq}: {first} and {id}"));
        }
        if let Some(before) = bodies.insert(id, post.body) {
            repeated += 1;
            if before != post.body {
                found(Kind::ReplyChanged, format!("{id}, the answer to message {seq}"));
            }
        }
        let success = (200..300).contains(&post.status);
        let before = succeeded.get(id).copied().unwrap_or(false);
        duplicate += usize::from(before);
        if success && !before {
            order.push(seq);
        }
        succeeded.insert(id, before || success);
    }
    if let Some((before, after)) = inversion(&order) {
        found(Kind::DeliveredOutOfOrder, format!("{before} before {after}"));
    }
    for seq in thread.last.as_deref().unwrap_or_default() {
        if !order.contains(seq) {
            found(Kind::ReplyLost, format!("the answer to message {seq}"));
        }
    }
    (repeated, duplicate)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

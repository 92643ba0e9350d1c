//! The checker: pure. It compares what clients were told with what the bot heard and what the endpoint
//! got. Its tests seed each defect and see it found: a checker that cannot fail proves nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::history::{Conversation, Fate, Send, TENANT, Thread, tenant_of};

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
    /// Something of another tenant or another conversation.
    Crossed,
    /// It took too long until the product served again.
    Stalled,
    /// Nothing to look at: a run in which too little was accepted shows nothing.
    Vacuous,
}

impl Kind {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 12] = [
        Self::Lost,
        Self::Unexpected,
        Self::DuplicatedEffect,
        Self::Reordered,
        Self::Forked,
        Self::ReplyLost,
        Self::ReplyChanged,
        Self::ReplyDuplicated,
        Self::DeliveredOutOfOrder,
        Self::Crossed,
        Self::Stalled,
        Self::Vacuous,
    ];

    /// Its name in a verdict.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unexpected => "unexpected",
            Self::DuplicatedEffect => "duplicated",
            Self::Reordered => "reordered",
            Self::Forked => "forked",
            Self::ReplyLost => "replies lost",
            Self::ReplyChanged => "changed",
            Self::ReplyDuplicated => "under two ids",
            Self::DeliveredOutOfOrder => "out of order",
            Self::Crossed => "crossed",
            Self::Stalled => "stalled",
            Self::Vacuous => "vacuous",
        }
    }
}

impl Verdict {
    /// `VALID`: green. `BROKEN`: a promise was broken. `INVALID`: the run shows nothing.
    pub fn word(&self) -> &'static str {
        if self.faults.is_empty() {
            "VALID"
        } else if self.faults.iter().all(|fault| fault.kind == Kind::Vacuous) {
            "INVALID"
        } else {
            "BROKEN"
        }
    }

    /// How often each kind was found.
    pub fn counts(&self) -> String {
        let counts = Kind::ALL.map(|kind| format!("{} {}", kind.name(), self.count(kind)));
        counts.join(", ")
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.faults.is_empty() { "PASS" } else { "FAIL" };
        write!(
            f,
            "{word}: {} conversations, {} sends, {} accepted, {} unknown ({} took effect); {}; \
             repeated POSTs {}, of them after a 2xx {}",
            self.conversations,
            self.sends,
            self.accepted,
            self.unknown,
            self.recovered,
            self.counts(),
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
    let mut owners = HashMap::new();
    for (&conversation, thread) in threads {
        let mut found = |kind, what: String| {
            verdict.faults.push(Fault { kind, conversation, what });
        };
        effects(thread, &mut found);
        forks(thread, &mut found);
        crossings(conversation, thread, &mut owners, &mut found);
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
    let known = |seq: &&u32| {
        let of = |send: &&Send| send.seq == **seq;
        thread.sends.iter().find(of).is_none_or(|send| send.fate != Fate::Unknown)
    };
    let mut latest = 0;
    for seq in last {
        // What nobody knows to be accepted may take effect at any later time.
        if *seq < latest && known(&seq) {
            found(Kind::Reordered, format!("{latest} before {seq}"));
        }
        latest = latest.max(*seq);
    }
}

/// Everything of a conversation tells its tenant.
fn crossings<'a>(
    conversation: Conversation,
    thread: &'a Thread,
    owners: &mut HashMap<&'a str, Conversation>,
    found: &mut impl FnMut(Kind, String),
) {
    let tenant = tenant_of(conversation);
    let posts = thread.posts.iter().map(|post| &post.list);
    let lists = thread.answers.iter().chain(posts).chain(&thread.last);
    let strange = |seq: &u32| usize::try_from(*seq).is_ok_and(|seq| seq / TENANT != tenant);
    if let Some(seq) = lists.flatten().find(|seq| strange(seq)) {
        found(Kind::Crossed, format!("{seq} is another tenant's"));
    }
    for post in &thread.posts {
        if post.stranger {
            found(Kind::Crossed, format!("{} came with strange credentials", post.webhook_id));
        }
        let owner = *owners.entry(&post.webhook_id).or_insert(conversation);
        if owner != conversation {
            let id = &post.webhook_id;
            found(Kind::Crossed, format!("{id} is also a delivery of conversation {owner}"));
        }
    }
}

/// Every list that anybody saw must be a prefix of the final one.
fn forks(thread: &Thread, found: &mut impl FnMut(Kind, String)) {
    let last = thread.last.as_deref().unwrap_or_default();
    let lists = thread.answers.iter().chain(thread.posts.iter().map(|post| &post.list));
    for seq in &thread.strange {
        found(Kind::ReplyLost, format!("message {seq} was answered with something else"));
    }
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
    let last = thread.last.as_deref().unwrap_or_default();
    let place = |seq: &u32| last.iter().position(|other| other == seq);
    for (before, after) in order.iter().zip(order.iter().skip(1)) {
        if place(before) > place(after) {
            found(Kind::DeliveredOutOfOrder, format!("{before} before {after}"));
        }
    }
    for seq in last {
        if !order.contains(seq) {
            found(Kind::ReplyLost, format!("the answer to message {seq}"));
        }
    }
    (repeated, duplicate)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

//! What must hold when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use serde_json::Value;
use shared::domain::ids::{ConversationId, TurnId};
use shared::domain::outcome::Outcome;
use shared::domain::turn::Mode;

use crate::bot::messages;
use crate::store::Db;

/// What came of a publish, as its caller saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Accepted,
    /// It may surface later or never.
    Unknown,
    Refused,
}

#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub(crate) conversation: ConversationId,
    /// From 1, one more with every message of the conversation.
    pub(crate) number: u64,
    pub(crate) turn: TurnId,
    pub(crate) mode: Mode,
    pub(crate) sent: Sent,
}

/// What an endpoint saw, in order.
#[derive(Clone, Debug)]
pub(crate) enum Post {
    Arrived { id: String, body: Bytes },
    Accepted { id: String },
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) sends: Vec<Send>,
    pub(crate) posts: Vec<Post>,
    pub(crate) replies: Vec<(TurnId, Bytes)>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub seed: u64,
    /// The same for the same seed, or something is left to chance.
    pub trace: u64,
    /// Empty when every promise held.
    pub offences: Vec<String>,
    pub accepted: u64,
    pub posts: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Turns whose bot was too late.
    pub timed_out: u64,
    /// Commits that came too late and were refused.
    pub refused_commits: u64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, trace, accepted, posts, faults, timed_out, refused_commits, .. } = self;
        write!(
            f,
            "seed {seed} trace {trace:016x}: {accepted} accepted, {posts} posts, faults {faults:?}, \
             {timed_out} timed out, {refused_commits} commits refused"
        )?;
        for offence in &self.offences {
            write!(f, "\n  {offence}")?;
        }
        Ok(())
    }
}

/// The list that the bot keeps of a conversation.
fn list(db: &Db, conversation: ConversationId) -> Vec<u64> {
    let Some(row) = db.conversations.get(&conversation) else { return Vec::new() };
    let state: Value = serde_json::from_slice(&row.session.state).unwrap_or_default();
    numbers(&state["BotUserSession"]["list"])
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// Every promise that did not hold, in words.
pub(crate) fn offences(history: &History, db: &Db) -> Vec<String> {
    let mut conversations: BTreeMap<ConversationId, Vec<&Send>> = BTreeMap::new();
    for send in &history.sends {
        conversations.entry(send.conversation).or_default().push(send);
    }
    let mut found: Vec<String> = Vec::new();
    let frozen = history.faults.contains_key("freeze");
    for (conversation, sends) in &conversations {
        let list = list(db, *conversation);
        found.extend(turns(sends, &list, db, frozen));
        let mode = sends.first().map(|send| send.mode);
        found.extend(if mode == Some(Mode::Sync) {
            replies(sends, &list, db)
        } else {
            deliveries(sends, &list, history)
        });
    }
    found.extend(replies_changed(history, db));
    found.extend(db.strays.iter().map(|why| format!("a job became a stray: {why}")));
    found
}

/// `frozen`: a process was, so that its bot may have been too late.
fn turns(sends: &[&Send], list: &[u64], db: &Db, frozen: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for number in list {
        if !seen.insert(*number) {
            found.push(format!("duplicated effect: {number} twice in {list:?}"));
        }
        if !sends.iter().any(|send| send.number == *number && send.sent != Sent::Refused) {
            found.push(format!("unexpected: {number} in {list:?}"));
        }
    }
    let accepted: Vec<u64> =
        sends.iter().filter(|s| s.sent == Sent::Accepted).map(|send| send.number).collect();
    // A frozen process's bot may be too late; the user is told so, and the list does not grow.
    let late = |number: &u64| {
        let rows = sends.iter().filter(|send| send.number == *number);
        let mut rows = rows.filter_map(|send| db.turns.get(&send.turn));
        frozen && rows.any(|row| row.outcome == Outcome::BotTimedOut)
    };
    let gone = accepted.iter().filter(|number| !seen.contains(number) && !late(number));
    found.extend(gone.map(|number| format!("lost: {number}")));
    let order: Vec<u64> = list.iter().copied().filter(|n| accepted.contains(n)).collect();
    if !order.is_sorted() {
        found.push(format!("reordered: {order:?}"));
    }
    for send in sends {
        let effects = db.effects.iter().filter(|turn| **turn == send.turn).count();
        if effects > 1 {
            found.push(format!("duplicated effect: {} was committed {effects} times", send.number));
        }
        let outcome = db.turns.get(&send.turn).map(|row| row.outcome);
        let ended =
            |outcome| outcome == Outcome::Answered || (frozen && outcome == Outcome::BotTimedOut);
        if outcome.is_some_and(|outcome| !ended(outcome)) {
            found.push(format!("turn {} ended as {outcome:?}", send.number));
        }
    }
    found
}

/// Every stored answer shows the list as it was: a beginning of what it became.
fn replies(sends: &[&Send], list: &[u64], db: &Db) -> Vec<String> {
    let shown = sends.iter().filter_map(|send| {
        let body: Value = serde_json::from_slice(&db.turns.get(&send.turn)?.reply).ok()?;
        serde_json::from_str::<Value>(body["text"].as_str()?).ok().map(|list| numbers(&list))
    });
    shown
        .filter(|shown| !list.starts_with(shown))
        .map(|shown| format!("state fork: an answer shows {shown:?}, the list became {list:?}"))
        .collect()
}

fn replies_changed(history: &History, db: &Db) -> Vec<String> {
    let changed = history
        .replies
        .iter()
        .filter(|(turn, body)| db.turns.get(turn).is_none_or(|row| row.reply != *body));
    changed.map(|(turn, _)| format!("reply changed: {turn} was told what is not stored")).collect()
}

/// Each message came, with one id and one body, and none before those in front of it were accepted.
fn deliveries(sends: &[&Send], list: &[u64], history: &History) -> Vec<String> {
    let turns: BTreeMap<u64, TurnId> = sends.iter().map(|send| (send.number, send.turn)).collect();
    let expected: Vec<(String, String)> = list
        .iter()
        .filter_map(|number| turns.get(number).map(|turn| (*number, *turn)))
        .flat_map(|(number, turn)| {
            (0..messages(number)).map(move |i| (format!("msg_{turn}_{i}"), format!("{number}#{i}")))
        })
        .collect();
    let place: BTreeMap<&str, usize> =
        expected.iter().enumerate().map(|(at, (id, _))| (id.as_str(), at)).collect();
    let mut found = Vec::new();
    let (mut accepted, mut arrived) = (0, 0);
    let own = |id: &str| place.get(id).copied();
    for post in &history.posts {
        match post {
            Post::Arrived { id, body } => {
                let Some(at) = own(id) else { continue };
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                if body["text"].as_str() != Some(&expected[at].1) {
                    found.push(format!("reply changed: {id} said {body}"));
                }
                if at > arrived || (at == arrived && accepted < at) {
                    found.push(format!("reordered: {} came too early", expected[at].1));
                }
                arrived = arrived.max(at + 1);
            }
            Post::Accepted { id } => {
                if let Some(at) = own(id) {
                    accepted = accepted.max(at + 1);
                }
            }
        }
    }
    let missing = expected.iter().skip(accepted).map(|(_, text)| format!("reply lost: {text}"));
    found.extend(missing);
    found
}

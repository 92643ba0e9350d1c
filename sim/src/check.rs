//! What must hold when everything has come to rest.

mod bursts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use serde_json::Value;
use shared::domain::ids::{ConversationId, TurnId};
use shared::domain::turn::Mode;
use tokio::time::Instant;

use crate::run::Scenario;
use crate::store::Db;
use bursts::Way;

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
    /// When it was on its way.
    pub(crate) at: Instant,
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
    /// Turns that were settled without a run because of others, by outcome.
    pub aside: BTreeMap<&'static str, u64>,
    /// Commits that came too late and were refused.
    pub refused_commits: u64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, trace, accepted, posts, faults, timed_out, aside, refused_commits, ..
        } = self;
        write!(
            f,
            "seed {seed} trace {trace:016x}: {accepted} accepted, {posts} posts, faults {faults:?}, \
             {timed_out} timed out, aside {aside:?}, {refused_commits} commits refused"
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
pub(crate) fn offences(scenario: Scenario, history: &History, db: &Db) -> Vec<String> {
    let mut conversations: BTreeMap<ConversationId, Vec<&Send>> = BTreeMap::new();
    for send in &history.sends {
        conversations.entry(send.conversation).or_default().push(send);
    }
    let mut found: Vec<String> = Vec::new();
    let frozen = history.faults.contains_key("freeze");
    for (conversation, sends) in &conversations {
        let list = list(db, *conversation);
        let Some(mode) = sends.first().map(|send| send.mode) else { continue };
        let ways = bursts::ways(sends, db);
        found.extend(turns(sends, &list, db, &ways));
        found.extend(bursts::offences(scenario, mode, &ways, db, frozen));
        if mode == Mode::Sync {
            found.extend(replies(sends, &list, db));
            found.extend(bursts::untold(scenario, sends, history));
        } else {
            found.extend(deliveries(&ways, history));
        }
    }
    found.extend(replies_changed(history, db));
    found.extend(db.strays.iter().map(|why| format!("a job became a stray: {why}")));
    found
}

fn turns(sends: &[&Send], list: &[u64], db: &Db, ways: &[Way<'_>]) -> Vec<String> {
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
    let heard = |number: u64| ways.iter().find(|way| way.send.number == number).map(Way::is_heard);
    let gone =
        accepted.iter().filter(|number| !seen.contains(number) && heard(**number) != Some(false));
    found.extend(gone.map(|number| format!("lost: {number}")));
    let refused = seen.iter().filter(|number| heard(**number) == Some(false));
    found.extend(
        refused.map(|number| format!("heard: {number}, of which its caller was told otherwise")),
    );
    let order: Vec<u64> = list.iter().copied().filter(|n| accepted.contains(n)).collect();
    if !order.is_sorted() {
        found.push(format!("reordered: {order:?}"));
    }
    for send in sends {
        let effects = db.effects.iter().filter(|(turn, _)| *turn == send.turn).count();
        if effects > 1 {
            found.push(format!("duplicated effect: {} was committed {effects} times", send.number));
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
fn deliveries(ways: &[Way<'_>], history: &History) -> Vec<String> {
    let expected: Vec<(String, String)> = ways
        .iter()
        .flat_map(|way| way.texts().into_iter().zip(0..).map(|(text, i)| (way.send.turn, text, i)))
        .map(|(turn, text, i)| (format!("msg_{turn}_{i}"), text))
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

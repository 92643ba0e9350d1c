//! What must hold of messages that come faster than answers: what the channel's policy promises of each.

use std::time::Duration;

use dispatcher::domain::step::BUSY;
use serde_json::Value;
use shared::domain::outcome::Outcome;
use shared::domain::turn::Mode;
use shared::registry::WhileBusy;
use tokio::time::Instant;

use super::{History, Send, Sent};
use crate::bot::messages;
use crate::run::{Scenario, while_busy};
use crate::store::Db;

/// Between a turn's commit and the moment from which its conversation is not busy any more, without faults.
const TOLD: Duration = Duration::from_secs(1);

/// What became of a turn.
pub(super) struct Way<'a> {
    pub(super) send: &'a Send,
    outcome: Outcome,
    /// How the next turn of the conversation that ran has ended, if one did.
    next: Option<Outcome>,
    /// When the last turn before it that ran was committed, if one was.
    last: Option<Instant>,
}

/// The settled turns of a conversation, in the order of their commits.
pub(super) fn ways<'a>(sends: &[&'a Send], db: &Db) -> Vec<Way<'a>> {
    let mut ways: Vec<Way<'a>> = Vec::new();
    let mut last = None;
    for (turn, committed) in &db.effects {
        let Some(send) = sends.iter().find(|send| send.turn == *turn) else { continue };
        let Some(row) = db.turns.get(turn) else { continue };
        if ways.iter().any(|way| way.send.turn == *turn) {
            continue;
        }
        let (outcome, committed) = (row.outcome, *committed);
        if !outcome.is_aside() {
            for before in ways.iter_mut().rev().take_while(|way| way.next.is_none()) {
                before.next = Some(outcome);
            }
        }
        ways.push(Way { send, outcome, next: None, last });
        if !outcome.is_aside() {
            last = Some(committed);
        }
    }
    ways
}

impl Way<'_> {
    /// Whether the bot's list must have it. A run that was too late takes with it what it was to answer.
    pub(super) fn is_heard(&self) -> bool {
        match self.outcome {
            Outcome::Answered => true,
            Outcome::Merged => self.next == Some(Outcome::Answered),
            _ => false,
        }
    }

    /// What an asynchronous channel posts of it; nothing is asked of what is posted of a failure.
    pub(super) fn texts(&self) -> Vec<String> {
        let number = self.send.number;
        match self.outcome {
            Outcome::Answered => (0..messages(number)).map(|i| format!("{number}#{i}")).collect(),
            Outcome::Rejected => vec![BUSY.to_owned()],
            _ => Vec::new(),
        }
    }
}

/// `frozen`: a process was, so that its bot may have been too late.
pub(super) fn offences(
    scenario: Scenario,
    mode: Mode,
    ways: &[Way<'_>],
    db: &Db,
    frozen: bool,
) -> Vec<String> {
    let policy = while_busy(scenario.seed, mode);
    let mut found = Vec::new();
    for way in ways {
        let Way { send, outcome, next, last, .. } = way;
        let number = send.number;
        let why = match (outcome, policy) {
            (Outcome::Answered, _) => None,
            (Outcome::BotTimedOut, _) if frozen => None,
            (Outcome::Merged, WhileBusy::Merge(_)) | (Outcome::Superseded, WhileBusy::Latest) => {
                next.is_none().then_some("no turn behind it ran")
            }
            (Outcome::Rejected, WhileBusy::Reject) => match last {
                None => Some("no turn before it ran"),
                Some(last) if !scenario.faults && *last + TOLD < send.at => {
                    Some("the turn before it was answered long ago")
                }
                Some(_) => None,
            },
            _ => Some("its channel has no such outcome"),
        };
        found.extend(why.map(|why| format!("{}: {number}, and {why}", outcome.as_str())));
        // Whoever asks for the answer of a turn that did not run is told what became of it.
        let row = db.turns.get(&send.turn);
        let body: Value =
            row.and_then(|row| serde_json::from_slice(&row.reply).ok()).unwrap_or_default();
        let word = body["outcome"].as_str();
        if outcome.is_aside() != word.is_some() || word.is_some_and(|word| word != outcome.as_str())
        {
            found.push(format!("untold: {number} is {}, its answer {body}", outcome.as_str()));
        }
    }
    found
}

/// Without faults each caller that waits is told, once at least.
pub(super) fn untold(scenario: Scenario, sends: &[&Send], history: &History) -> Vec<String> {
    let is_told = |send: &Send| history.replies.iter().any(|(turn, _)| *turn == send.turn);
    let accepted = sends.iter().filter(|send| send.sent == Sent::Accepted && !scenario.faults);
    let untold = accepted.filter(|send| !is_told(send));
    untold.map(|send| format!("untold: {} has waited in vain", send.number)).collect()
}

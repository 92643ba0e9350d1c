//! What a turn leaves behind, from how its run ended; and what is tried when that cannot be stored.

use bytes::Bytes;
use shared::domain::outcome::Outcome;
use shared::domain::wider::Change;
use shared::registry::Bot;
use shared::wire::v1::TaskEnd;

use super::overrides::{self, Spoken};
use super::render::{Reader, render, render_aside};
use super::session::Session;

/// How a bot's run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ran {
    Well {
        messages: Vec<Spoken>,
        task: Option<TaskEnd>,
        session: Box<Session>,
        /// What it changes beyond the conversation.
        wider: Vec<Change>,
        /// For an operator: why another bot answered.
        detail: String,
    },
    /// The outcome says how; the detail is for an operator.
    Badly { outcome: Outcome, detail: String },
}

/// What is committed for a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub outcome: Outcome,
    pub detail: String,
    /// The stored answer.
    pub reply: Bytes,
    /// One POST body each.
    pub deliveries: Vec<Bytes>,
    /// The session's state.
    pub state: Bytes,
    /// The sealed job of a parked turn.
    pub parked: Option<Bytes>,
    /// Changes beyond the conversation.
    pub wider: Vec<Change>,
}

/// The step that a run makes. After a bad one the user reads the error message, and the session is as
/// it was when the turn began: what the bot had said until then is dropped.
pub fn after(ran: Ran, opened: &Session, error_message: &str, reader: Reader<'_>) -> Step {
    let (outcome, detail, messages, task, session, wider) = match ran {
        Ran::Well { messages, task, session, wider, detail } => {
            (Outcome::Answered, detail, messages, task, session, wider)
        }
        Ran::Badly { outcome, detail } => {
            let messages = vec![Spoken::keyed(overrides::ERROR, error_message)];
            (outcome, detail, messages, None, Box::new(opened.clone()), Vec::new())
        }
    };
    let rendered = render(&messages, task.as_ref(), reader);
    Step {
        outcome,
        detail,
        reply: rendered.reply,
        deliveries: rendered.deliveries,
        state: session.to_bytes(),
        parked: None,
        wider,
    }
}

/// What a refused message is answered with, unless the channel has its own words (key `rejected`).
pub const BUSY: &str =
    "Your last message is still being answered. Please send this one again after that.";

/// The step of a turn that did not run because of others of its conversation. Those of which another answers
/// say nothing, unless the channel has words for it.
pub fn aside(outcome: Outcome, state: Bytes, reader: Reader<'_>) -> Step {
    let word = outcome.as_str();
    let usual = if outcome == Outcome::Rejected { BUSY } else { "" };
    let says = !usual.is_empty() || reader.overrides.get(word).is_some();
    let messages = Vec::from_iter(says.then(|| Spoken::keyed(word, usual)));
    let rendered = render_aside(&messages, word, reader);
    Step {
        outcome,
        detail: String::new(),
        reply: rendered.reply,
        deliveries: rendered.deliveries,
        state,
        parked: None,
        wider: Vec::new(),
    }
}

/// The step of a turn that is given up: its state is what was stored, and only a waiting caller is told.
pub fn park(detail: String, state: Bytes, sealed: Bytes, reader: Reader<'_>) -> Step {
    let messages = [Spoken::keyed(overrides::ERROR, Bot::ERROR_MESSAGE)];
    Step {
        outcome: Outcome::Parked,
        detail,
        reply: render(&messages, None, reader).reply,
        deliveries: Vec::new(),
        state,
        parked: Some(sealed),
        wider: Vec::new(),
    }
}

/// What is tried instead of a step that the database refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The bot's result is at fault: its error reply.
    ErrorReply,
    Park,
    /// Nothing can be committed: keep the job for an operator.
    Stray,
}

pub fn instead_of(refused: Outcome) -> Instead {
    match refused {
        Outcome::Answered => Instead::ErrorReply,
        Outcome::BotFailed
        | Outcome::BotTimedOut
        | Outcome::BotUnavailable
        | Outcome::ResultRefused
        | Outcome::Merged
        | Outcome::Superseded
        | Outcome::Rejected => Instead::Park,
        Outcome::Parked => Instead::Stray,
    }
}

/// What a second look says of a commit that did not succeed for certain, when the turn is not in the
/// inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondLook {
    /// Nothing has happened: the same result may be committed again, without another run.
    CommitAgain,
    /// The result rests on a state that is no more: run once more.
    RunAgain,
    /// It was moved under a second run, too: somebody else works on this partition.
    Close,
}

/// Only a version that has moved is a miss. `misses` counts those of the runs before this one.
pub fn second_look(based_on: i64, now: i64, misses: u32) -> SecondLook {
    match (based_on == now, misses) {
        (true, _) => SecondLook::CommitAgain,
        (false, 0) => SecondLook::RunAgain,
        (false, _) => SecondLook::Close,
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;

//! A dialog that is open: what a script began with, and its journal up to the question it waits at. It is
//! kept in the session and committed with the turn, so that any dispatcher goes on with it.

use script::job::{Kind, Message, Outcome, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::registry::ScriptLogic;
use xxhash_rust::xxh3::xxh3_64;

use super::heard;
use crate::bots::TurnContext;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Dialog {
    /// The script's hash: another script cannot replay this journal.
    script: String,
    /// The turn that it began with.
    pub(super) began: Message,
    /// The session as it was then: a replay changes it again.
    pub(super) bot_user: Map<String, Value>,
    pub(super) journal: Vec<Step>,
    /// Pauses so far.
    round: u32,
}

impl Dialog {
    /// The dialog that the turn belongs to, with the turn as the answer to its question; or a new one. A
    /// journal of another version of the script is dropped: the script begins anew with this message.
    pub(super) fn open(turn: &TurnContext, source: &str) -> Self {
        let session = turn.session();
        let script = ScriptLogic::version(source);
        let kept = session.dialog.and_then(|kept| serde_json::from_value::<Self>(*kept).ok());
        match kept.filter(|kept| kept.script == script).and_then(|kept| kept.answered(turn)) {
            Some(dialog) => dialog,
            None => Self {
                script,
                began: heard(turn),
                bot_user: session.bot_user,
                journal: Vec::new(),
                round: 0,
            },
        }
    }

    fn answered(mut self, turn: &TurnContext) -> Option<Self> {
        let open = |step: &&mut Step| step.kind == Kind::Ask && step.result.is_none();
        let question = self.journal.iter_mut().rfind(open)?;
        question.round = Some(self.round + 1);
        question.result = Some(Outcome::Answer(heard(turn)));
        Some(self)
    }

    pub(super) fn wait(self, journal: Vec<Step>, round: u32) -> Self {
        Self { journal, round, ..self }
    }

    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("invariant: maps of strings are JSON")
    }
}

/// The script that an open dialog began with, where that is not this one.
pub(super) fn began_with<'a>(dialog: &'a Value, source: &str) -> Option<&'a str> {
    dialog["script"].as_str().filter(|version| *version != ScriptLogic::version(source))
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
pub(super) fn hash32(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

/// What was read in the turn that is at work: its message is the last that was heard.
pub(super) fn heard_last<'a>(
    began: &'a mut Message,
    journal: &'a mut [Step],
) -> &'a mut Map<String, Value> {
    let mut answers = journal.iter_mut().rev().filter_map(|step| match &mut step.result {
        Some(Outcome::Answer(message)) => Some(message),
        Some(Outcome::Response(_) | Outcome::Failed { .. }) | None => None,
    });
    &mut answers.next().unwrap_or(began).seen
}

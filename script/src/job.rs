//! What a host is given and what it gives back. JSON on a pipe: nothing else crosses.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One run of a script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The script's file name, for error messages.
    pub name: String,
    pub source: String,
    pub input: Input,
    pub limits: Limits,
}

/// A job as its host reads it: the input goes on to the script as it came.
#[derive(Debug, Deserialize)]
pub(crate) struct Received {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) input: Box<RawValue>,
    pub(crate) limits: Limits,
}

/// What one run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the engine's heap.
    pub memory: usize,
    /// Milliseconds until the run is ended.
    pub time_ms: u64,
    /// Bytes of the reply.
    pub output: usize,
    /// Messages that one run may say.
    pub messages: usize,
    /// Steps that a dialog may have: questions, messages and calls together.
    pub steps: usize,
}

/// What the script sees, and what it has come to before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// `context.session.BotUserSession` as it was when the script began.
    pub bot_user_session: Map<String, Value>,
    /// `context.session.UserContext`.
    pub user_context: Map<String, Value>,
    /// The turn that the script began with.
    pub message: Message,
    pub session_id: String,
    pub channel: Value,
    pub env: Map<String, Value>,
    pub journal: Vec<Step>,
    /// Of the wider contexts those that the script may use, as of the start of the turn.
    #[serde(default)]
    pub wider: Map<String, Value>,
}

/// One turn of the user, and the time and the chance that the script finds with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub text: String,
    /// The whole body of the request.
    pub payload: Value,
    /// Milliseconds since the Unix epoch.
    pub now: u64,
    pub seed: u32,
    /// What was read of the wider contexts in this turn: a replay reads the same.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub seen: Map<String, Value>,
}

/// One step of a script. Its place in the journal is its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    #[serde(rename = "k")]
    pub kind: Kind,
    /// A hash of what was asked, said or called: a replay must come to the same.
    #[serde(rename = "h")]
    pub hash: u32,
    /// Its beginning, for people.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The pause of the script after which its result was there.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Say,
    Ask,
    Fetch,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Answer(Message),
    Response(Response),
    /// The call failed; the script sees an error with these words.
    Failed {
        why: String,
        now: u64,
    },
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: Map<String, Value>,
    pub body: String,
    /// The body was longer than may be read.
    pub truncated: bool,
    pub now: u64,
}

/// A host's answer to a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    Ok(Box<Output>),
    Err(Fault),
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The script has come to its end. Otherwise it waits for `open`.
    pub done: bool,
    /// It has ended the session: what is kept of it and an open question go with it.
    #[serde(default)]
    pub closed: bool,
    /// What it said after the journal's end: texts, or objects.
    pub says: Vec<Value>,
    pub bot_user_session: Map<String, Value>,
    /// Steps that this run has added to the journal.
    pub journal: Vec<Step>,
    pub open: Vec<Open>,
    /// Pauses that this run has had.
    pub round: u32,
    #[serde(default)]
    pub task: Option<Task>,
    #[serde(default)]
    pub logs: Vec<String>,
    /// What it changed of the wider contexts in this turn.
    #[serde(default)]
    pub changes: Vec<Wide>,
    /// What it has read of them.
    #[serde(default)]
    pub seen: Map<String, Value>,
}

/// A change of one key of a wider context: one of `put`, `add` and `gone`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wide {
    pub scope: String,
    pub key: String,
    /// Missing, or what is to stand there; JSON's null is a value like any other.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub put: Option<Value>,
    /// Milliseconds that what is put is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<i64>,
}

fn there<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// A step without a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its place in the journal.
    pub step: usize,
    /// The call to make; a question has none.
    #[serde(default)]
    pub call: Option<Call>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub method: String,
    pub url: String,
    pub headers: Map<String, Value>,
    pub body: String,
}

/// How a task ended, as the script says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub reason: Option<String>,
    pub name: Option<String>,
    pub id: Option<String>,
}

/// Why a script could not be run to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    pub message: String,
    /// In the script, counted from 1, where it is known.
    pub line: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// It threw, or is not JavaScript.
    Thrown,
    /// Its time was up.
    Time,
    Memory,
    /// It did not do the same again.
    Replay,
    /// What it came to is too large, or cannot be kept.
    Output,
}

impl Fault {
    /// For an operator: file, line, and the lines around it.
    pub fn describe(&self, name: &str, source: &str) -> String {
        let Some(line) = self.line else { return format!("{name}: {}", self.message) };
        let at = usize::try_from(line).unwrap_or(usize::MAX);
        let first = at.saturating_sub(2).max(1);
        let mut text = format!("{name}:{line}: {}", self.message);
        for (number, code) in (1..).zip(source.lines()).skip(first - 1).take(3) {
            let mark = if number == at { '>' } else { ' ' };
            let code: String = code.chars().take(160).collect();
            let _ = write!(text, "\n{mark}{number:>4} | {code}");
        }
        text
    }
}

//! The JSON of an HTTP bot: what it is asked, and what its answer means.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::turn::Mode;
use shared::wire::v1::{BotMessage, TaskEnd};

use super::super::{BotError, TurnContext, TurnEnd};
use crate::domain::clean;

/// The longest reason, id or name of a task, in bytes.
const WORD_MAX: usize = 1_000;

/// See `docs/http-bot.request.schema.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    version: u32,
    turn_id: String,
    conversation_id: String,
    attempt: u32,
    bot: Value,
    channel: &'a Value,
    user: Value,
    message: Value,
    attachments: &'a Value,
    custom_data: &'a Value,
    payload: &'a Value,
    session: Value,
    context: Value,
}

/// See `docs/http-bot.response.schema.json`. Unknown fields are for later versions.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    messages: Vec<Value>,
    session: Option<Map<String, Value>>,
    end_of_task: Option<bool>,
    end_reason: Option<String>,
    completed_task_id: Option<String>,
    completed_task_name: Option<String>,
}

/// The request's body.
pub(super) fn question(turn: &TurnContext, attempt: u32) -> Bytes {
    let payload: Value = serde_json::from_str(&turn.turn.payload).unwrap_or_default();
    let mode = match turn.turn.mode {
        Mode::Sync => "sync",
        Mode::Async => "async",
    };
    let channel = json!({"id": turn.channel.id.as_str(), "name": turn.channel.name, "mode": mode});
    let session = turn.session();
    let bot_user = session.with_last_message(&payload, &channel);
    let question = Question {
        version: 1,
        turn_id: turn.turn.id.to_string(),
        conversation_id: turn.conversation.to_string(),
        attempt,
        bot: json!({"id": turn.bot.id.as_str(), "name": turn.bot.name}),
        channel: &channel,
        user: json!({"id": turn.turn.user.as_str()}),
        message: json!({"text": turn.turn.text}),
        attachments: &payload["message"]["attachments"],
        custom_data: &payload["customData"],
        payload: &payload,
        session: json!({"id": session.id, "new": session.is_new}),
        context: json!({"session": {"BotUserSession": bot_user}}),
    };
    serde_json::to_vec(&question).expect("invariant: maps of strings are JSON").into()
}

/// Reads the answer and does what it says. An empty body says nothing.
pub(super) fn obey(body: &[u8], turn: &TurnContext) -> Result<TurnEnd, BotError> {
    let answer = read(body)?;
    for message in answer.messages {
        turn.say(match message {
            Value::String(text) => BotMessage::Text(text),
            template @ Value::Object(_) => BotMessage::Template(template),
            _ => return Err(wrong("a message is neither a text nor an object")),
        })?;
    }
    if let Some(session) = answer.session {
        turn.set_session(session)?;
    }
    let ends = answer.end_of_task.is_some()
        || answer.end_reason.is_some()
        || answer.completed_task_id.is_some()
        || answer.completed_task_name.is_some();
    let words = [&answer.end_reason, &answer.completed_task_id, &answer.completed_task_name];
    if words.into_iter().flatten().any(|word| word.len() > WORD_MAX) {
        return Err(wrong("what it says of the task's end is too long"));
    }
    let task = ends.then(|| TaskEnd {
        end_of_task: answer.end_of_task.unwrap_or_default(),
        end_reason: answer.end_reason.map(clean::text),
        completed_task_id: answer.completed_task_id.map(clean::text),
        completed_task_name: answer.completed_task_name.map(clean::text),
    });
    Ok(TurnEnd { task })
}

fn read(body: &[u8]) -> Result<Answer, BotError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Answer::default());
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        wrong(&format!("it is no JSON at line {} column {}", error.line(), error.column()))
    })?;
    if !clean::is_shallow(&value) {
        return Err(wrong("it is nested too deep"));
    }
    // The parser's own words would repeat what the bot said.
    serde_json::from_value(value).map_err(|_| wrong("it is no object, or a field has another type"))
}

fn wrong(why: &str) -> BotError {
    BotError::Failed(format!("its answer is wrong: {why}"))
}

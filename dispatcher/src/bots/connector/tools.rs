//! The tools of a model: HTTP endpoints that it may call, as it was declared.

use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use shared::egress::Request;
use shared::registry::Tool;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::{ConnectorBot, Exchange};
use crate::domain::clean;
use crate::domain::peers::chat::Call;

/// How often a model may call in one turn before it must have answered.
pub(super) const ROUNDS_MAX: usize = 8;
/// Calls that a model may make at once.
pub(super) const CALLS_MAX: usize = 16;
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of one call's arguments.
const ARGUMENTS_MAX: usize = 64 * 1024;
/// Bytes of everything that a model says, asks and is told on the way to its answer.
const SPENT_MAX: usize = 1024 * 1024;
/// Bytes of a result that the model is told.
const RESULT_MAX: usize = 16 * 1024;

/// Makes a call, the `number`-th of the turn. Whatever becomes of it is told to the model.
pub(super) async fn make(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    tools: &[Tool],
    call: &Call,
    number: usize,
) -> String {
    match attempt(bot, exchange, tools, call, number).await {
        Ok(text) => clean::text(text),
        Err(why) => json!({"error": why}).to_string(),
    }
}

/// Refuses a turn whose tools have said too much.
pub(super) fn within(spent: usize) -> Result<(), String> {
    if spent > SPENT_MAX {
        return Err(format!("its calls and their results are larger than {SPENT_MAX} bytes"));
    }
    Ok(())
}

async fn attempt(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    tools: &[Tool],
    call: &Call,
    number: usize,
) -> Result<String, String> {
    if call.arguments.len() > ARGUMENTS_MAX {
        return Err(format!("the arguments are larger than {ARGUMENTS_MAX} bytes"));
    }
    let tool = tools.iter().find(|tool| tool.name == call.name).ok_or("there is no such tool")?;
    let arguments: Map<String, Value> = match call.arguments.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|_| "the arguments are no JSON object")?,
    };
    let heard = exchange.heard();
    let body = json!({
        "tool": tool.name,
        "arguments": arguments,
        "turnId": heard.turn,
        "sessionId": heard.session,
        "user": {"id": heard.user},
        "customData": heard.custom_data(),
    });
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("switchhook"));
    // A model that is asked again may call something else in the same place: not under the same key.
    let what = xxh3_64(format!("{}\0{}", tool.name, call.arguments).as_bytes());
    let key = format!("{}-{number}-{what:016x}", exchange.turn.key());
    if let Ok(key) = HeaderValue::from_str(&key) {
        headers.insert(HeaderName::from_static("idempotency-key"), key);
    }
    let left = exchange.turn.deadline.saturating_duration_since(Instant::now());
    let request = Request {
        method: Method::POST,
        url: tool.url.clone(),
        headers,
        body: body.to_string().into(),
        deadline: DEADLINE.min(left),
        response_max: RESULT_MAX,
    };
    let response = bot.egress.send(request).await.map_err(|error| error.as_str())?;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    if response.status.is_success() {
        return Ok(text);
    }
    Err(format!("it answered {}: {text}", response.status.as_u16()))
}

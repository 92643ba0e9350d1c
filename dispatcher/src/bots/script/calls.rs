//! `fetch` of scripts: made here, through the guarded way out, never by the script's host.
//!
//! A call is at least once for the other side. It carries an `Idempotency-Key` of turn and step: the same
//! when the turn is run again after a crash.

use std::time::Duration;

use ::http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use script::job::{Call, Open, Outcome, Response};
use serde_json::{Map, Value};
use shared::egress::{Client, Request};
use tokio::time::Instant;

use crate::bots::TurnContext;
use crate::domain::clean;

/// Deadline of one call; the turn's own bounds all of them together.
const DEADLINE: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 8;
const RESPONSE_MAX: usize = 128 * 1024;
const HEADERS_MAX: usize = 50;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The transport's own.
const TAKEN: [HeaderName; 8] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// The calls among what a script waits for, with their steps.
pub(super) fn of(open: Vec<Open>) -> Vec<(usize, Call)> {
    open.into_iter().filter_map(|open| Some((open.step, open.call?))).collect()
}

/// Makes them side by side; each comes to something.
pub(super) async fn make(
    egress: &Client,
    turn: &TurnContext,
    calls: Vec<(usize, Call)>,
) -> Vec<(usize, Outcome)> {
    let began = Instant::now();
    let now = || {
        let passed = u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
        turn.turn.id.unix_ms() + passed
    };
    let results = calls.into_iter().map(|(step, call)| async move {
        let result = match request(turn, step, call) {
            Ok(request) => egress.send(request).await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        let outcome = match result {
            Ok(response) => Outcome::Response(Response {
                status: response.status.as_u16(),
                headers: headers_of(&response.headers),
                body: clean::text(String::from_utf8_lossy(&response.body).into_owned()),
                truncated: response.truncated,
                now: now(),
            }),
            Err(why) => Outcome::Failed { why, now: now() },
        };
        (step, outcome)
    });
    stream::iter(results).buffered(AT_ONCE).collect().await
}

fn request(turn: &TurnContext, step: usize, call: Call) -> Result<Request, String> {
    let method = Method::from_bytes(call.method.as_bytes()).map_err(|_| "no such method")?;
    let url = call.url.parse().map_err(|error| format!("{:?} is no URL: {error}", call.url))?;
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("switchhook"));
    let key = format!("{}-{step}", turn.key());
    if let Ok(key) = HeaderValue::from_str(&key) {
        headers.insert(IDEMPOTENCY_KEY, key);
    }
    if call.headers.len() > HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    for (name, value) in &call.headers {
        let wrong = || format!("{name:?} cannot be a header of it");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if TAKEN.contains(&name) {
            return Err(wrong());
        }
        headers.insert(
            name.clone(),
            value.ok_or_else(|| format!("{name:?} cannot be a header of it"))?,
        );
    }
    let left = turn.deadline.saturating_duration_since(Instant::now());
    let (body, deadline) = (Bytes::from(call.body), DEADLINE.min(left));
    Ok(Request { method, url, headers, body, deadline, response_max: RESPONSE_MAX })
}

fn headers_of(headers: &HeaderMap) -> Map<String, Value> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), Value::String(text(value)))).collect()
}

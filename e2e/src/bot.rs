//! The append bot: its session is a list, each message appends a number, and the answer is the whole
//! list. A list shows loss, duplication and order at once; a counter would hide them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::history::{self, History};
use crate::journal::Event;

/// How long each answer takes: so long, and up to so much more, told by the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thinks {
    pub at_least: Duration,
    pub more: Duration,
}

impl Thinks {
    fn about(self, body: &[u8]) -> Duration {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let share = f64::from(u32::try_from(hasher.finish() % 1000).unwrap_or_default()) / 1000.0;
        self.at_least + self.more.mul_f64(share)
    }
}

/// The message that appends a number.
pub fn append(seq: u32) -> String {
    format!("append {seq}")
}

/// The message that only asks for the list; the answer is marked, so that it is told apart.
pub const PROBE: &str = "probe";

/// What a deadly message begins with.
pub const DEADLY: &str = "poison";

/// Ends when dropped.
pub struct AppendBot {
    pub address: SocketAddr,
    _server: JoinSet<()>,
}

impl AppendBot {
    /// `deadly` is told of each run over a deadly message.
    pub async fn start(
        thinks: Thinks,
        deadly: Option<mpsc::UnboundedSender<String>>,
        history: History,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app =
            Router::new().route("/{tenant}", post(turn)).with_state((thinks, deadly, history));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It ends with the set.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, _server: server })
    }

    /// Where a tenant's bot is: the two keep different marks of the same messages.
    pub fn url(&self, tenant: usize) -> String {
        format!("http://{}/{tenant}", self.address)
    }
}

async fn turn(
    State((thinks, deadly, history)): State<(
        Thinks,
        Option<mpsc::UnboundedSender<String>>,
        History,
    )>,
    Path(tenant): Path<usize>,
    body: Bytes,
) -> axum::response::Response {
    let thinks = thinks.about(&body);
    if !thinks.is_zero() {
        testkit::lapse(thinks, "the bot thinks").await;
    }
    let request: Option<Value> = serde_json::from_slice(&body).ok();
    let text = request.as_ref().and_then(|request| request["message"]["text"].as_str());
    if let (Some(deadly), Some(text)) = (deadly, text.filter(|text| text.starts_with(DEADLY))) {
        // Who listens ends the process that waits for the answer.
        let _ = deadly.send(text.to_owned());
        return std::future::pending().await;
    }
    let Some(answer) = request.as_ref().and_then(|request| answer(tenant, request)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if let (Some(journal), Some(request)) = (history.journal(), &request) {
        let user = request["user"]["id"].as_str().unwrap_or_default();
        let mid = request["turnId"].as_str();
        let text = request["message"]["text"].as_str();
        journal
            .note(&Event { mid, value: text, ..Event::new("bot", "ok", "run") }.of(tenant, user));
    }
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn answer(tenant: usize, request: &Value) -> Option<Value> {
    let session = &request["context"]["session"]["BotUserSession"];
    let mut list: Vec<u32> = match session.get("list") {
        Some(list) => serde_json::from_value(list.clone()).ok()?,
        None => Vec::new(),
    };
    let text = request["message"]["text"].as_str()?;
    if text == PROBE {
        return Some(json!({"messages": [format!("{PROBE}:{}", write_list(&list))]}));
    }
    list.push(history::value(tenant, text.strip_prefix("append ")?.parse().ok()?));
    Some(json!({"messages": [write_list(&list)], "session": {"list": list}}))
}

fn write_list(list: &[u32]) -> String {
    format!("[{}]", list.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

/// Reads an answer, the probe's mark taken off.
pub fn read_list(text: &str) -> Option<Vec<u32>> {
    let text = text.strip_prefix(PROBE).and_then(|rest| rest.strip_prefix(':')).unwrap_or(text);
    let numbers = text.strip_prefix('[')?.strip_suffix(']')?;
    numbers.split_whitespace().map(|number| number.parse().ok()).collect()
}

/// Whether a text answers a probe.
pub fn is_probe(text: &str) -> bool {
    text.starts_with("probe:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_grows_with_each_message_and_comes_back_in_the_answer() {
        let request = |text: &str, list: Value| json!({"message": {"text": text}, "context": {"session": {"BotUserSession": list}}});
        let first = answer(0, &request("append 1", json!({}))).unwrap();
        assert_eq!(first, json!({"messages": ["[1]"], "session": {"list": [1]}}));
        let second = answer(0, &request("append 2", first["session"].clone())).unwrap();
        assert_eq!(read_list(second["messages"][0].as_str().unwrap()), Some(vec![1, 2]));
        let probe = answer(0, &request(PROBE, second["session"].clone())).unwrap();
        let text = probe["messages"][0].as_str().unwrap();
        assert!(is_probe(text));
        assert_eq!(read_list(text), Some(vec![1, 2]));
        assert_eq!(answer(0, &request("append x", json!({}))), None);
        let other = answer(1, &request("append 3", second["session"].clone())).unwrap();
        assert_eq!(other["messages"][0], "[1 2 1000003]");
    }
}

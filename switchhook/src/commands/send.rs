//! Talks to a channel as a client would, and waits for the answer in either mode. An asynchronous
//! answer is polled: POST_URL is another's.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use shared::config::{self, Settings};
use shared::egress::{Client, Request as HttpRequest, Response as HttpResponse};
use shared::process::{Failure, block_on};
use tokio::time::Instant;
use url::Url;

use crate::cli::talk::Send;
use crate::office::reach::reach;
use crate::office::views::Wire;
use crate::office::{Request, Response};
use crate::output;

const POLL_EVERY: Duration = Duration::from_millis(100);
const RESPONSE_MAX: usize = 8 * 1024 * 1024;
/// Names the turn in the answers of ingress.
const TURN_ID: &str = "switchhook-turn-id";

pub(crate) fn run(settings: &Settings, args: &Send) -> Result<(), Failure> {
    let timeout = super::talk::time("--timeout", &args.timeout)?;
    block_on(async {
        let request = Request::Wire { channel: args.channel.clone() };
        let Response::Wire(wire) = reach(settings, request).await? else {
            return Err(Failure::other("the answer is none to this question"));
        };
        let mut talk = Talk::new(wire, args, timeout)?;
        if args.text.is_empty() {
            return talk.interactively().await;
        }
        talk.say(&args.text.join(" ")).await
    })
}

/// One conversation by hand.
struct Talk {
    client: Client,
    wire: Wire,
    host: String,
    headers: HeaderMap,
    user: String,
    new_session: bool,
    json: bool,
    timeout: Duration,
}

impl Talk {
    fn new(wire: Wire, args: &Send, timeout: Duration) -> Result<Self, Failure> {
        // The guard protects against addresses that a stranger chose; this one the operator chose.
        let anywhere = ["0.0.0.0/0", "::/0"]
            .iter()
            .filter_map(|text| config::value::Value::parse(text).ok())
            .collect();
        let open = config::Egress { allow: anywhere, allow_http: true };
        let client = Client::new(&open, Vec::new())
            .map_err(|error| Failure::other(format!("no client can be made: {error}")))?;
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::try_from(format!("bearer {}", wire.token))
            .map_err(|error| Failure::other(error.to_string()))?;
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let host = args.url.as_ref().map_or_else(|| wire.host_url.clone(), ToString::to_string);
        Ok(Self {
            client,
            host: host.trim_end_matches('/').to_owned(),
            wire,
            headers,
            user: args.user.clone(),
            new_session: args.new_session,
            json: args.json.json,
            timeout,
        })
    }

    /// Says every line of standard input.
    async fn interactively(&mut self) -> Result<(), Failure> {
        let stdin = std::io::stdin();
        let prompt = stdin.is_terminal();
        if prompt {
            output::line("Say something; an empty line or Ctrl-D ends.")?;
        }
        let mut line = String::new();
        loop {
            line.clear();
            let read = stdin.lock().read_line(&mut line);
            let read = read.map_err(|error| Failure::other(format!("standard input: {error}")))?;
            let text = line.trim_end_matches(['\r', '\n']);
            if read == 0 || (prompt && text.is_empty()) {
                return Ok(());
            }
            self.say(text).await?;
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), Failure> {
        let body = json!({
            "session": {"new": std::mem::take(&mut self.new_session)},
            "message": {"text": text},
            "from": {"id": self.user},
            "to": {"id": self.wire.bot_id},
        });
        let deadline = Instant::now() + self.timeout;
        let path = self.wire.path.clone();
        let body = Bytes::from(body.to_string());
        let response = self.call(Method::POST, &path, body, deadline).await?;
        let turn = response.headers.get(TURN_ID).and_then(|id| id.to_str().ok());
        match (response.status, turn) {
            (StatusCode::OK, _) if !self.wire.is_async => self.show(&response.body),
            (StatusCode::OK | StatusCode::GATEWAY_TIMEOUT, Some(turn)) => {
                let turn = turn.to_owned();
                self.poll(&turn, deadline).await
            }
            (StatusCode::OK, None) => Err(Failure::other(
                "the message was accepted, but ingress did not name the turn to wait for",
            )),
            (status, _) => Err(refusal(status, &response.body)),
        }
    }

    async fn poll(&self, turn: &str, deadline: Instant) -> Result<(), Failure> {
        let path = format!("/chatbot/v2/webhook/{}/poll/{turn}", self.wire.bot_id);
        loop {
            let response = self.call(Method::GET, &path, Bytes::new(), deadline).await?;
            if response.status != StatusCode::OK {
                return Err(refusal(response.status, &response.body));
            }
            let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            if body.get("status").and_then(Value::as_str) != Some("Inprogress") {
                return self.show(&response.body);
            }
            if Instant::now() >= deadline {
                return Err(Failure::unavailable(format!(
                    "no answer within {:?}; the turn {turn} goes on and can be polled for a day",
                    self.timeout
                )));
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<HttpResponse, Failure> {
        let url = format!("{}{path}", self.host);
        let url: Url =
            url.parse().map_err(|error| Failure::usage(format!("--url: {url}: {error}")))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let request = HttpRequest {
            method,
            url: url.clone(),
            headers: self.headers.clone(),
            body,
            deadline: left.max(Duration::from_secs(1)),
            response_max: RESPONSE_MAX,
        };
        let sent = self.client.send(request).await;
        sent.map_err(|error| Failure::unavailable(format!("{url}: {error}")))
    }

    /// The messages, a line each.
    fn show(&self, body: &[u8]) -> Result<(), Failure> {
        if self.json {
            return output::line(&String::from_utf8_lossy(body));
        }
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Failure::other(format!("the answer is no JSON: {error}")))?;
        match body.get("text") {
            Some(Value::String(text)) => output::line(text),
            Some(Value::Array(texts)) => texts.iter().try_for_each(|text| match text {
                Value::String(text) => output::line(text),
                other => output::line(&other.to_string()),
            }),
            _ => output::line(&body.to_string()),
        }
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let why = parsed.pointer("/errors/0/msg").and_then(Value::as_str).unwrap_or("without a reason");
    Failure::refused(format!("{status}: {why}"))
}

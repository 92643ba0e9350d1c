//! One call of a peer: attempts, deadline, size, and what counts as an answer.

use std::time::Duration;

use ::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT,
};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use shared::domain::retry::exponential;
use shared::egress::{Error, Request, Response};
use shared::fault::{self, Point};
use tokio::time::Instant;
use url::Url;

use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnContext};
use crate::domain::clean;
use crate::domain::peers::chat;

/// Room for what stands around the messages: cards, usage, events of a stream piece by piece.
const RESPONSE_ROOM: usize = 512 * 1024;
/// The most that is read of any response.
const RESPONSE_MAX: usize = 4 * 1024 * 1024;
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Who is called how.
pub(super) struct Call {
    pub(super) url: Url,
    pub(super) body: Value,
    /// A header with a secret in it, instead of `Authorization`.
    pub(super) header: Option<(HeaderName, SecretString)>,
}

/// What a peer answered with a status of success, or with another that its protocol knows.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Answer {
    /// The body as JSON, which is not nested too deep.
    pub(super) fn json(&self) -> Result<Value, BotError> {
        let value: Value =
            serde_json::from_str(&self.text).map_err(|_| failed("its answer is no JSON"))?;
        if !clean::is_shallow(&value) {
            return Err(failed("its answer is nested too deep"));
        }
        Ok(value)
    }

    /// The answer, when it is one of success; what an error says of itself is a word at most.
    pub(super) fn well(self) -> Result<Self, BotError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let word = self.json().map_or_else(|_| String::new(), |body| chat::word(&body["error"]));
        Err(failed(format!("it answered {}{word}", self.status.as_u16())))
    }
}

impl ConnectorBot<'_> {
    /// POSTs JSON to a path below the peer's URL.
    pub(super) async fn post(
        &self,
        exchange: &Exchange<'_>,
        path: &[&str],
        body: Value,
    ) -> Result<Answer, BotError> {
        let call = Call { url: below(&self.logic.url, path)?, body, header: None };
        self.call(exchange, &call).await
    }

    pub(super) async fn call(
        &self,
        exchange: &Exchange<'_>,
        call: &Call,
    ) -> Result<Answer, BotError> {
        let mut attempt = 1;
        loop {
            let (error, asked) = match self.attempt(exchange, call).await {
                Ok(response) if !is_put_off(response.status) => return read(&response),
                Ok(response) => {
                    let why = format!("it answered {}", response.status.as_u16());
                    (failed(why), retry_after(&response.headers))
                }
                Err(Error::Timeout) => return Err(BotError::TimedOut),
                // Nothing was sent.
                Err(error @ (Error::Unresolvable(_) | Error::Connect(_))) => {
                    (failed(error.to_string()), None)
                }
                Err(error @ (Error::Refused(_) | Error::Tls(_) | Error::Protocol(_))) => {
                    return Err(failed(error.to_string()));
                }
            };
            let wait = asked.unwrap_or_default().max(self.back_off(attempt));
            let left = exchange.turn.deadline.saturating_duration_since(Instant::now());
            let late = wait >= left;
            if attempt >= self.logic.attempts_max || late {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, exchange: &Exchange<'_>, call: &Call) -> Result<Response, Error> {
        let turn = exchange.turn;
        let left = turn.deadline.saturating_duration_since(Instant::now());
        let request = Request {
            method: Method::POST,
            url: call.url.clone(),
            headers: self.headers(exchange, call),
            body: call.body.to_string().into(),
            deadline: self.logic.deadline.min(left),
            response_max: response_max(turn),
        };
        let response = self.egress.send(request).await;
        fault::point(Point::TurnCalled);
        response
    }

    fn headers(&self, exchange: &Exchange<'_>, call: &Call) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(USER_AGENT, HeaderValue::from_static("switchhook"));
        let mut set = |name: HeaderName, value: &str, sensitive: bool| {
            if let Ok(mut value) = HeaderValue::from_str(value) {
                value.set_sensitive(sensitive);
                headers.insert(name, value);
            }
        };
        if let Some(traceparent) = &exchange.turn.traceparent {
            set(HeaderName::from_static("traceparent"), traceparent, false);
        }
        match (&call.header, &self.logic.authorization) {
            (Some((name, secret)), _) => set(name.clone(), secret.expose_secret(), true),
            (None, Some(secret)) => set(AUTHORIZATION, secret.expose_secret(), true),
            (None, None) => {}
        }
        headers
    }

    /// 100 ms, doubling up to 2 s, and up to half as much again by chance.
    fn back_off(&self, attempt: u32) -> Duration {
        let base = exponential(WAIT_FIRST, 2.0, WAIT_MAX, attempt.saturating_sub(1));
        base + base.mul_f64(self.entropy.chance() / 2.0)
    }
}

/// The most bytes that a peer may say in a turn.
pub(super) fn response_max(turn: &TurnContext) -> usize {
    let room = turn.limits.session_max + turn.limits.message_max * turn.limits.messages_max;
    (room + RESPONSE_ROOM).min(RESPONSE_MAX)
}

/// Too much at the moment: the peer has not begun.
fn is_put_off(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?;
    asked.trim().parse().ok().map(Duration::from_secs)
}

fn read(response: &Response) -> Result<Answer, BotError> {
    if response.headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(failed("its answer is compressed, which was not asked for"));
    }
    if response.truncated {
        return Err(failed("its answer is too large"));
    }
    let text = String::from_utf8(response.body.to_vec())
        .map_err(|_| failed("its answer is no text in UTF-8"))?;
    Ok(Answer { status: response.status, text })
}

/// A path below a URL, whether or not that ends with a slash.
pub(super) fn below(base: &Url, path: &[&str]) -> Result<Url, BotError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| failed("its URL has no path"))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_below_the_url_that_was_given() {
        for (base, expected) in [
            ("http://a/v1", "http://a/v1/chat/completions"),
            ("http://a/v1/", "http://a/v1/chat/completions"),
            ("http://a", "http://a/chat/completions"),
            ("http://a/v1?key=1", "http://a/v1/chat/completions?key=1"),
        ] {
            let url = below(&base.parse().unwrap(), &["chat", "completions"]).unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }
}

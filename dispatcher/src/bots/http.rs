//! A bot behind HTTP: one documented JSON request and response a turn (`docs/http-bot.md`).
//!
//! A turn is at least once for the bot: retries here, and a run again after a crash, carry the same
//! `Idempotency-Key`, the turn's id.

mod body;

use std::time::Duration;

use ::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT,
};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use shared::domain::retry::exponential;
use shared::egress::{Client, Error, Request, Response};
use shared::entropy::Entropy;
use shared::fault::{self, Point};
use shared::registry::HttpLogic;
use tokio::time::Instant;

use super::{Bot, BotError, TurnContext, TurnEnd};

/// Room for the JSON around messages and session.
const RESPONSE_ROOM: usize = 64 * 1024;
/// The most that is read of any response.
const RESPONSE_MAX: usize = 4 * 1024 * 1024;
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// One turn's use of an HTTP bot.
#[derive(Debug)]
pub struct HttpBot<'a> {
    pub logic: &'a HttpLogic,
    pub egress: &'a Client,
    pub entropy: &'a Entropy,
}

/// How one attempt ended, by what comes next.
enum Attempt {
    Answered(Bytes),
    /// Try again, not before this time when the bot asked for one.
    Again(BotError, Option<Duration>),
    Failed(BotError),
}

impl Bot for HttpBot<'_> {
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        let answer = self.call(turn).await?;
        fault::point(Point::TurnCalled);
        body::obey(&answer, turn)
    }
}

impl HttpBot<'_> {
    /// Attempts until one is answered, the attempts are used up, or the turn's deadline leaves no time
    /// for another.
    async fn call(&self, turn: &TurnContext) -> Result<Bytes, BotError> {
        let mut attempt = 1;
        loop {
            let (error, asked) = match self.attempt(turn, attempt).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again(error, asked) => (error, asked),
            };
            let wait = asked.unwrap_or_default().max(self.back_off(attempt));
            let left = turn.deadline.saturating_duration_since(Instant::now());
            if attempt >= self.logic.attempts_max || wait >= left {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, turn: &TurnContext, attempt: u32) -> Attempt {
        let left = turn.deadline.saturating_duration_since(Instant::now());
        let room = turn.limits.session_max + turn.limits.message_max * turn.limits.messages_max;
        let request = Request {
            method: Method::POST,
            url: self.logic.url.clone(),
            headers: self.headers(turn),
            body: body::question(turn, attempt),
            deadline: self.logic.deadline.min(left),
            response_max: (room + RESPONSE_ROOM).min(RESPONSE_MAX),
        };
        match self.egress.send(request).await {
            Ok(response) => judge(response),
            Err(Error::Timeout) => Attempt::Again(BotError::TimedOut, None),
            Err(error @ (Error::Refused(_) | Error::Tls(_))) => {
                Attempt::Failed(BotError::Failed(error.to_string()))
            }
            Err(error @ (Error::Unresolvable(_) | Error::Connect(_) | Error::Protocol(_))) => {
                Attempt::Again(BotError::Failed(error.to_string()), None)
            }
        }
    }

    fn headers(&self, turn: &TurnContext) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("switchhook"));
        let mut set = |name: HeaderName, value: &str, sensitive: bool| {
            if let Ok(mut value) = HeaderValue::from_str(value) {
                value.set_sensitive(sensitive);
                headers.insert(name, value);
            }
        };
        set(HeaderName::from_static("idempotency-key"), &turn.key(), false);
        if let Some(traceparent) = &turn.traceparent {
            set(HeaderName::from_static("traceparent"), traceparent, false);
        }
        if let Some(authorization) = &self.logic.authorization {
            set(AUTHORIZATION, authorization.expose_secret(), true);
        }
        headers
    }

    /// 100 ms, doubling up to 2 s, and up to half as much again by chance.
    fn back_off(&self, attempt: u32) -> Duration {
        let base = exponential(WAIT_FIRST, 2.0, WAIT_MAX, attempt.saturating_sub(1));
        base + base.mul_f64(self.entropy.chance() / 2.0)
    }
}

fn judge(response: Response) -> Attempt {
    let status = response.status;
    let failed = |why: String| BotError::Failed(why);
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let asked = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        return Attempt::Again(failed(format!("it answered {}", status.as_u16())), asked);
    }
    if !status.is_success() {
        return Attempt::Failed(failed(format!("it answered {}", status.as_u16())));
    }
    let packed = response.headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if packed {
        return Attempt::Failed(failed("its answer is compressed, which was not asked for".into()));
    }
    if response.truncated {
        return Attempt::Failed(failed("its answer is too large".into()));
    }
    Attempt::Answered(response.body)
}

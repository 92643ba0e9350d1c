//! What HTTP makes of a refusal: the only file that knows `StatusCode`.
//!
//! Bodies have the protocol's shape (§2.3): `{"errors":[{"msg":…,"code":…}],"_v":…,"_t":…}`, where the
//! code is the status and `_t` the refusal's id, which also stands in a header and in the log.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use shared::domain::ids::TurnId;
use shared::entropy::Entropy;

use crate::domain::refusal::Refusal;

/// Names the turn in answers, also in those that came in time.
pub(crate) const TURN_ID: HeaderName = HeaderName::from_static("switchhook-turn-id");
/// Carries the id of a refusal, which the protocol calls a trace id.
pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("switchhook-trace-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// `Retry-After` where only the passing of time helps.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(2);

/// The protocol's version that a body speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
    /// Bots that call, not clients: they read errors of another shape.
    BotFramework,
}

#[derive(Serialize)]
struct Errors<'a> {
    #[serde(rename = "errors")]
    messages: [Message<'a>; 1],
    #[serde(rename = "_v", skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(rename = "_t", skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    #[serde(rename = "pollId", skip_serializing_if = "Option::is_none")]
    poll_id: Option<String>,
    #[serde(rename = "pollUrl", skip_serializing_if = "Option::is_none")]
    poll_url: Option<&'a str>,
}

#[derive(Serialize)]
struct BotFrameworkError<'a> {
    error: CodeAndMessage<'a>,
}

#[derive(Serialize)]
struct CodeAndMessage<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    msg: &'a str,
    code: u16,
}

/// A 200 with these bytes, or with an empty body.
pub(crate) fn ok(body: Bytes, turn: Option<TurnId>) -> Response<Body> {
    let empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    if !empty {
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    }
    if let Some(turn) = turn {
        insert(&mut response, TURN_ID, &turn.to_string());
    }
    response
}

/// The answer to a refused request. `trace` is the refusal's id.
pub(crate) fn refuse(refusal: &Refusal, version: Version, trace: &str) -> Response<Body> {
    let status = status(refusal);
    let (turn, poll_url) = match refusal {
        Refusal::TimedOut { turn, poll_url } => (Some(*turn), Some(poll_url.as_str())),
        Refusal::Unknown(turn) => (Some(*turn), None),
        _ => (None, None),
    };
    let body = body(refusal, version, trace, (turn, poll_url));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    insert(&mut response, TRACE_ID, trace);
    if let Some(wait) = retry_after(refusal) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    if let Some(turn) = turn {
        insert(&mut response, TURN_ID, &turn.to_string());
    }
    if let Some(url) = poll_url {
        insert(&mut response, header::LOCATION, url);
    }
    match refusal {
        // RFC 9110 §15.5.2 and §15.5.6: a 401 names the scheme, a 405 the method.
        Refusal::Unauthenticated => insert(&mut response, header::WWW_AUTHENTICATE, "Bearer"),
        Refusal::Method(allowed) => insert(&mut response, header::ALLOW, allowed),
        _ => {}
    }
    if closes(refusal) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn body(
    refusal: &Refusal,
    version: Version,
    trace: &str,
    (turn, poll_url): (Option<TurnId>, Option<&str>),
) -> Vec<u8> {
    let msg = message(refusal);
    let version = match version {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::BotFramework => {
            let code = match refusal {
                Refusal::NoPath | Refusal::NoTicket => "not_found",
                // The word of the Bot Framework's own service.
                Refusal::TurnEnded => "ConversationNotFound",
                other => other.reason(),
            };
            let error = CodeAndMessage { code, message: &msg };
            let body = serde_json::to_vec(&BotFrameworkError { error });
            return body.expect("invariant: strings are JSON");
        }
    };
    // A spent or unknown poll id has neither version nor trace (protocol §2.3).
    let bare = *refusal == Refusal::NoData;
    let body = Errors {
        messages: [Message { msg: &msg, code: status(refusal).as_u16() }],
        version: (!bare).then_some(version),
        trace: (!bare).then_some(trace),
        poll_id: poll_url.and(turn).map(|turn| turn.to_string()),
        poll_url,
    };
    serde_json::to_vec(&body).expect("invariant: strings and numbers are JSON")
}

/// Whether a refusal is no fault of the caller's: a 5xx.
pub(crate) fn is_ours(refusal: &Refusal) -> bool {
    status(refusal).is_server_error()
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NoPath | Refusal::NoTicket | Refusal::TurnEnded => StatusCode::NOT_FOUND,
        Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Framing(_)
        | Refusal::BodyBroken
        | Refusal::Invalid(_)
        | Refusal::BadKey(_)
        | Refusal::NoData => StatusCode::BAD_REQUEST,
        Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
        Refusal::NotLive(_) => StatusCode::FORBIDDEN,
        Refusal::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
        Refusal::KeyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::TooManyFailures(_) | Refusal::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Busy
        | Refusal::Saturated
        | Refusal::NotAccepted(_)
        | Refusal::Unknown(_)
        | Refusal::PollAway => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn message(refusal: &Refusal) -> std::borrow::Cow<'static, str> {
    match refusal {
        Refusal::NoPath | Refusal::NoTicket => "Not found".into(),
        Refusal::TurnEnded => "The turn has ended: this was not sent".into(),
        Refusal::Method(_) => "Method not allowed".into(),
        Refusal::Framing(why) => format!("Bad request: {why}").into(),
        Refusal::Unauthenticated => "Invalid Access token".into(),
        Refusal::TooManyFailures(_) | Refusal::TooFast(_) => "Too Many requests".into(),
        Refusal::NotLive(state) => format!("The channel is {state}").into(),
        Refusal::MediaType(why) => format!("Unsupported media type: {why}").into(),
        Refusal::TooLarge { max } => format!("The body is larger than {max} bytes").into(),
        Refusal::BodyTimedOut => "The body did not come in time".into(),
        Refusal::BodyBroken => "Invalid Request Payload: the body is incomplete".into(),
        Refusal::Invalid(what) => format!("Invalid Request Payload: {what}").into(),
        Refusal::BadKey(why) => format!("Invalid Idempotency-Key: {why}").into(),
        Refusal::KeyMismatch => "The Idempotency-Key was used with another body".into(),
        Refusal::Busy => "Not accepted: too many requests are waiting".into(),
        Refusal::Saturated => "Not accepted: the bot is saturated".into(),
        Refusal::NotAccepted(why) => format!("Not accepted: {}", why.words()).into(),
        Refusal::Unknown(_) => "Unknown: the message may have been accepted".into(),
        Refusal::TimedOut { .. } => "The request has been timed-out".into(),
        Refusal::NoData => "No data found".into(),
        Refusal::PollAway => "The answer cannot be looked up now".into(),
    }
}

/// Every 429 and 503 has one.
fn retry_after(refusal: &Refusal) -> Option<Duration> {
    match refusal {
        Refusal::TooManyFailures(wait) | Refusal::TooFast(wait) => Some(*wait),
        Refusal::Busy | Refusal::PollAway => Some(SOON),
        Refusal::Saturated | Refusal::NotAccepted(_) | Refusal::Unknown(_) => Some(LATER),
        _ => None,
    }
}

/// `Retry-After` has whole seconds only: never sooner than asked for, never at once.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Whether what follows on the connection cannot be trusted to be a request.
fn closes(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Framing(_)
            | Refusal::TooLarge { .. }
            | Refusal::BodyTimedOut
            | Refusal::BodyBroken
    )
}

/// The platform's form: `RTM-TRACE-` and nine characters.
pub(crate) fn trace_id(entropy: &Entropy) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut random = entropy.u64();
    let mut text = String::with_capacity(19);
    text.push_str("RTM-TRACE-");
    for _ in 0..9 {
        text.push(char::from(DIGITS[usize::try_from(random % 36).unwrap_or(0)]));
        random /= 36;
    }
    text
}

fn insert(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds_and_never_none() {
        for (ms, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms}");
        }
    }

    #[test]
    fn every_429_and_503_says_when_to_come_back() {
        use crate::domain::refusal::Why;
        let turn = TurnId::new(uuid::Uuid::from_u128(1));
        for refusal in [
            Refusal::TooManyFailures(SOON),
            Refusal::TooFast(SOON),
            Refusal::Busy,
            Refusal::Saturated,
            Refusal::NotAccepted(Why::QueueFull),
            Refusal::Unknown(turn),
            Refusal::PollAway,
        ] {
            let response = refuse(&refusal, Version::V1, "RTM-TRACE-1");
            assert!(response.headers().contains_key(header::RETRY_AFTER), "{refusal:?}");
        }
    }

    #[test]
    fn a_trace_id_has_the_platforms_form() {
        let id = trace_id(&Entropy::seeded(3));
        let (head, tail) = id.split_at(10);
        assert_eq!((head, tail.len()), ("RTM-TRACE-", 9));
        assert!(tail.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
    }
}

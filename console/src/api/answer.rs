//! Answers: what went well, and problems as RFC 9457 wants them. The only file that knows status codes.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Value, json};

use crate::office::etag;
use crate::office::problem::{Kind, Problem};

pub(crate) type Reply = Response<Full<Bytes>>;

/// What the edge refuses before the office is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    NoToken,
    NoPath,
    /// With those that are, all of them (RFC 9110 §15.5.6).
    Method(Vec<&'static str>),
    TooLarge,
    TooSlow,
    MediaType,
    NoMatch,
    Busy,
}

impl Refusal {
    const fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "a valid API token is needed"),
            Self::NoPath => (StatusCode::NOT_FOUND, "there is nothing at this path"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "another method is meant here"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
            Self::MediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
            }
            Self::NoMatch => (
                StatusCode::PRECONDITION_REQUIRED,
                "say with If-Match which state you have seen, or * for any",
            ),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too much at once: try again"),
        }
    }

    pub(crate) fn reply(self) -> Reply {
        let (status, words) = self.told();
        let mut reply = problem(status, words);
        let headers = reply.headers_mut();
        match self {
            Self::NoToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method(allowed) => {
                let allowed = HeaderValue::from_str(&allowed.join(", "));
                headers.extend(allowed.ok().map(|allowed| (header::ALLOW, allowed)));
            }
            Self::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::NoPath | Self::TooLarge | Self::TooSlow | Self::MediaType | Self::NoMatch => {}
        }
        reply
    }
}

/// A problem of the office. What the inside said of itself stays inside.
pub(super) fn refused(why: &Problem) -> Reply {
    match why.kind {
        Kind::NotFound => problem(StatusCode::NOT_FOUND, &why.words),
        Kind::Invalid => problem(StatusCode::BAD_REQUEST, &why.words),
        Kind::Conflict => problem(StatusCode::CONFLICT, &why.words),
        Kind::Stale => problem(StatusCode::PRECONDITION_FAILED, &why.words),
        Kind::Reused => problem(StatusCode::UNPROCESSABLE_ENTITY, &why.words),
        Kind::Forbidden => problem(StatusCode::FORBIDDEN, &why.words),
        Kind::Away => {
            tracing::warn!(error = %why.words, "the control plane has no store");
            let words = "the store is away; a change may or may not have been made";
            let mut reply = problem(StatusCode::SERVICE_UNAVAILABLE, words);
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            reply
        }
    }
}

fn problem(status: StatusCode, words: &str) -> Reply {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": words,
    });
    bare(status, "application/problem+json", body.to_string().into())
}

pub(super) fn one(status: StatusCode, value: &impl Serialize, tagged: bool) -> Reply {
    let value = serde_json::to_value(value).unwrap_or_default();
    let mut reply = bare(status, "application/json", value.to_string().into());
    if tagged {
        let tag = HeaderValue::try_from(format!("\"{}\"", etag::of(&without_secrets(value))));
        if let Ok(tag) = tag {
            reply.headers_mut().insert(header::ETAG, tag);
        }
    }
    reply
}

/// The tag is of what a later look shows: secrets are shown once.
fn without_secrets(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove("client_secret");
        if let Some(endpoint) = fields.get_mut("endpoint").and_then(Value::as_object_mut) {
            endpoint.shift_remove("signing_secret");
        }
    }
    value
}

pub(super) fn nothing() -> Reply {
    bare(StatusCode::NO_CONTENT, "application/json", Bytes::new())
}

fn bare(status: StatusCode, media: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

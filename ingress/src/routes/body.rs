//! The body of a request: what kind, how large, how long it may take.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

use crate::domain::refusal::Refusal;

/// Printable ASCII, at most so many.
const KEY_MAX: usize = 255;
/// Most of a refused body that is read, and for how long.
const DISCARD_MAX: usize = 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// JSON, and nothing that would have to be unpacked.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else {
        return Err(Refusal::MediaType("one Content-Type: application/json is needed"));
    };
    if !is_json(kind) {
        return Err(Refusal::MediaType("the Content-Type must be application/json"));
    }
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings = encodings.filter(|encoding| !plain(encoding));
    match encodings.next() {
        Some(_) => Err(Refusal::MediaType("the body must not be encoded")),
        None => Ok(()),
    }
}

fn is_json(kind: &HeaderValue) -> bool {
    let Ok(text) = kind.to_str() else { return false };
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let utf8 = |part: &str| match part.trim().split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    };
    essence.eq_ignore_ascii_case("application/json") && parts.all(utf8)
}

fn plain(encoding: &HeaderValue) -> bool {
    encoding.as_bytes().eq_ignore_ascii_case(b"identity")
}

/// The `Idempotency-Key`, when there is one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (key, more) = (keys.next(), keys.next());
    let Some(key) = key else { return Ok(None) };
    if more.is_some() {
        return Err(Refusal::BadKey("there is more than one"));
    }
    let bytes = key.as_bytes();
    if bytes.is_empty() || bytes.len() > KEY_MAX {
        return Err(Refusal::BadKey("it must be 1 to 255 characters long"));
    }
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    key.to_str()
        .ok()
        .filter(|_| printable)
        .map(Some)
        .ok_or(Refusal::BadKey("it must be printable ASCII characters"))
}

/// Reads all of it.
pub(super) async fn read(
    body: &mut Incoming,
    max: usize,
    within: Duration,
) -> Result<Bytes, Refusal> {
    if length(body).is_some_and(|length| length > max as u64) {
        return Err(Refusal::TooLarge { max });
    }
    match tokio::time::timeout(within, Limited::new(body, max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge { max }),
        Ok(Err(_)) => Err(Refusal::BodyBroken),
        Err(_) => Err(Refusal::BodyTimedOut),
    }
}

/// How long the body says that it is.
pub(super) fn length(body: &Incoming) -> Option<u64> {
    body.size_hint().exact()
}

/// Reads what a refused client is still sending, within bounds, and forgets it: closing a connection
/// over unread bytes resets it, and the client may never see why it was refused. One that waits to be
/// asked for its body is not.
pub(super) async fn discard(body: &mut Incoming, headers: &HeaderMap) {
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    let reading = async {
        let mut left = DISCARD_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether it ended or not: the answer is the same.
    tokio::time::timeout(DISCARD_TIMEOUT, reading).await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_plain_json_is_taken() {
        for (kind, fine) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("application/jsonx", false),
            ("text/plain", false),
            ("", false),
        ] {
            let headers = headers(&[("content-type", kind)]);
            assert_eq!(check_media_type(&headers).is_ok(), fine, "{kind}");
        }
        assert!(check_media_type(&headers(&[])).is_err());
        let json = ("content-type", "application/json");
        assert!(check_media_type(&headers(&[json, json])).is_err());
        assert!(check_media_type(&headers(&[json, ("content-encoding", "identity")])).is_ok());
        assert!(check_media_type(&headers(&[json, ("content-encoding", "gzip")])).is_err());
    }

    #[test]
    fn a_key_is_a_line_of_printable_characters() {
        assert_eq!(key(&headers(&[])), Ok(None));
        assert_eq!(key(&headers(&[(IDEMPOTENCY_KEY, "a-1")])), Ok(Some("a-1")));
        assert_eq!(key(&headers(&[(IDEMPOTENCY_KEY, "a 1")])), Ok(Some("a 1")));
        for bad in ["", "a\tb"] {
            assert!(key(&headers(&[(IDEMPOTENCY_KEY, bad)])).is_err(), "{bad:?}");
        }
        let twice = (IDEMPOTENCY_KEY, "a");
        assert!(key(&headers(&[twice, twice])).is_err());
        let mut long = HeaderMap::new();
        long.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&"k".repeat(256)).unwrap());
        assert!(key(&long).is_err());
        long.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&"k".repeat(255)).unwrap());
        assert!(key(&long).is_ok());
    }
}

//! One request, read: what a handler needs and nothing of HTTP.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::table::Route;
use crate::office::actor::Actor;
use crate::office::decide::Once;
use crate::office::problem::Problem;

/// Things on a page, unless it is said otherwise, and at most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 200;
/// Longest `Idempotency-Key`.
const KEY_MAX: usize = 255;

pub(super) struct Call {
    pub(super) route: &'static Route,
    pub(super) actor: Actor,
    pub(super) parts: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Bytes,
    /// The tag that a change is tied to; `None` for any.
    pub(super) expected: Option<String>,
    pub(super) key: Option<String>,
}

impl Call {
    /// The first part of the path that varies.
    pub(super) fn id(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    pub(super) fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// The body as what it is to be. What is wrong is told by place, never by value: it may be a secret.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // A list of values in the order of the fields would be read as an object.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::invalid("the body: a JSON object is needed"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let words = error.to_string();
            let fields = ["unknown field", "missing field"];
            let plain = fields.iter().any(|start| words.starts_with(start));
            let at = format!("line {}, column {}", error.line(), error.column());
            let words = words.split(" at line").next().unwrap_or_default();
            Problem::invalid(if plain && words.len() < 1_000 {
                format!("the body: {words}")
            } else {
                format!("the body is not what is described for this route ({at})")
            })
        })
    }

    /// As [`Call::body`]; nothing stands for nothing.
    pub(super) fn body_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.body() }
    }

    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// How many things a page holds.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.word("limit") else { return Ok(LIMIT) };
        let limit = text.parse::<usize>().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| Problem::invalid(format!("limit: 1 to {LIMIT_MAX}")))
    }

    /// The id after which a page goes on.
    pub(super) fn cursor(&self) -> Result<Option<String>, Problem> {
        let Some(text) = self.word("cursor") else { return Ok(None) };
        let id = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let id = id.and_then(|bytes| String::from_utf8(bytes).ok());
        id.filter(|id| !id.contains('\0'))
            .map(Some)
            .ok_or_else(|| Problem::invalid("cursor: take it from the page before"))
    }

    /// What makes a repeat of this request the same request.
    pub(super) fn once(&self) -> Result<Option<Once>, Problem> {
        let Some(key) = &self.key else { return Ok(None) };
        let printable = key.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if key.is_empty() || key.len() > KEY_MAX || !printable {
            return Err(Problem::invalid("Idempotency-Key: 1 to 255 printable characters"));
        }
        let parts =
            [self.actor.person.as_str(), &self.route.action.id(), &self.parts.join("/"), key];
        let mut of = digest::Context::new(&digest::SHA256);
        for part in parts {
            of.update(&(part.len() as u64).to_le_bytes());
            of.update(part.as_bytes());
        }
        let text = |digest: digest::Digest| BASE64_URL_SAFE_NO_PAD.encode(digest);
        let mut query = Vec::new();
        for (word, value) in &self.query {
            query.extend([word.as_bytes(), b"=", value.as_bytes(), b"&"].concat());
        }
        let said = [&query[..], b"\n", &self.body].concat();
        let fingerprint = text(digest::digest(&digest::SHA256, &said));
        Ok(Some(Once { id: text(of.finish()), fingerprint }))
    }
}

/// A cursor that goes on after this id.
pub(super) fn after(id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(id)
}

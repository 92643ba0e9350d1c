//! What a row of the table is, and how its answer is judged.

use crate::support::http::{Answer, Request};

/// The server may also hang up without an answer.
pub(super) const HANG_UP: u16 = 0;

pub(super) struct Row {
    pub(super) name: String,
    pub(super) request: Vec<u8>,
    /// Any of these.
    statuses: Vec<u16>,
    body: Body,
}

/// What the body of an answer must be.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Exactly these bytes.
    Exactly(String),
    /// The protocol's shape of an error, whose code is the status and whose message starts so.
    Error(&'static str),
    /// As [`Body::Error`], and the message contains this too.
    ErrorNaming(&'static str, &'static str),
    /// Nothing that came through the router: an error as above, or no body at all.
    ErrorOrNone,
    /// Not told.
    Any,
}

pub(super) const TOKEN: Body = Body::Error("Invalid Access token");
pub(super) const NOT_FOUND: Body = Body::Error("Not found");
pub(super) const PAYLOAD: Body = Body::Error("Invalid Request Payload");

/// `Invalid Request Payload`, naming the field that is wrong.
pub(super) fn naming(field: &'static str) -> Body {
    Body::ErrorNaming("Invalid Request Payload", field)
}

pub(super) fn no_data() -> Body {
    Body::Exactly(r#"{"errors":[{"msg":"No data found","code":400}]}"#.to_owned())
}

pub(super) fn said(text: &str) -> Body {
    Body::Exactly(serde_json::json!({ "text": text }).to_string())
}

pub(super) fn row(name: impl Into<String>, request: &Request, status: u16, body: Body) -> Row {
    raw(name, request.bytes(), &[status], body)
}

pub(super) fn raw(
    name: impl Into<String>,
    request: impl Into<Vec<u8>>,
    statuses: &[u16],
    body: Body,
) -> Row {
    Row { name: name.into(), request: request.into(), statuses: statuses.to_vec(), body }
}

impl Row {
    /// What is wrong with the answer.
    pub(super) fn judge(&self, answer: Option<&Answer>) -> Result<(), String> {
        let Some(answer) = answer else {
            let may = self.statuses.contains(&HANG_UP);
            return if may { Ok(()) } else { Err("hung up without an answer".to_owned()) };
        };
        let (status, text) = (answer.status, &answer.body);
        if !self.statuses.contains(&status) {
            return Err(format!("{status} instead of {:?}: {text}", self.statuses));
        }
        if [429, 503].contains(&status) {
            let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
            wait.ok_or("no Retry-After")?;
        }
        let as_said = match &self.body {
            Body::Exactly(expected) => text == expected,
            Body::Error(start) => is_error(answer, start),
            Body::ErrorNaming(start, part) => is_error(answer, start) && text.contains(part),
            Body::ErrorOrNone => text.is_empty() || is_error(answer, ""),
            Body::Any => true,
        };
        if as_said { Ok(()) } else { Err(format!("{status} with {text} and not {:?}", self.body)) }
    }
}

/// `{"errors":[{"msg":…,"code":…}],"_v":"v1","_t":"RTM-TRACE-…"}`, where the code is the status.
fn is_error(answer: &Answer, start: &str) -> bool {
    let Ok(body) = serde_json::from_str::<serde_json::Value>(&answer.body) else { return false };
    let error = &body["errors"][0];
    let trace = body["_t"].as_str().unwrap_or_default();
    error["code"] == answer.status
        && error["msg"].as_str().is_some_and(|message| message.starts_with(start))
        && ["v1", "v2"].iter().any(|version| body["_v"] == *version)
        && trace.starts_with("RTM-TRACE-")
        && answer.header("content-type") == Some("application/json")
}

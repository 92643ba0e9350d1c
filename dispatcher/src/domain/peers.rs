//! Other platforms' words into ours and back: what a peer is asked, and what its answer says. One file per
//! protocol; `cards` are what several of them share.
//!
//! Answers are read leniently: a field of another type than described counts as missing.

pub mod activity;
pub mod botkit;
pub mod cards;
pub mod chat;
pub mod dify;
pub mod rasa;
pub mod rasa_actions;
pub mod responses;
pub mod sse;

use serde_json::{Map, Value};

/// A turn as peers are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    pub turn: &'a str,
    pub user: &'a str,
    /// Our session is the peer's conversation: a new session begins a new one there.
    pub session: &'a str,
    pub is_new: bool,
    pub bot: &'a str,
    pub channel: &'a str,
    pub text: &'a str,
    /// The request's whole body.
    pub payload: &'a Value,
}

/// Something that came with a message, by its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub url: String,
    /// As the client said: `image`, `image/png`, `pdf`, or nothing.
    pub kind: String,
    pub name: String,
}

impl Attachment {
    pub fn is_image(&self) -> bool {
        let kinds = ["image", "png", "jpg", "jpeg", "gif", "webp"];
        let kind = self.kind.to_ascii_lowercase();
        let ending = self.url.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        kind.starts_with("image/")
            || kinds.contains(&kind.as_str())
            || kinds[1..].contains(&&*ending)
    }
}

impl Heard<'_> {
    /// Attachments that have a URL: as links, or as objects (protocol §3.3).
    pub fn attachments(&self) -> Vec<Attachment> {
        let list = &self.payload["message"]["attachments"];
        let items = match list {
            Value::Array(items) => items.iter().collect(),
            Value::Object(_) | Value::String(_) => vec![list],
            Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
        };
        let read = |item: &Value| {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            let url = item.as_str().or_else(|| item["url"].as_str())?.to_owned();
            Some(Attachment { url, kind: text("fileType"), name: text("fileName") })
        };
        items.into_iter().filter_map(read).collect()
    }

    /// Null when the request has none.
    pub fn custom_data(&self) -> &Value {
        &self.payload["customData"]
    }

    pub fn language(&self) -> &str {
        let language = |key: &str| self.payload[key].as_str().filter(|text| !text.is_empty());
        language("interactiveLanguage").or_else(|| language("InteractiveLanguage")).unwrap_or("en")
    }
}

/// The text at a key, unless it is missing or empty.
fn text_at<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The list at a key; what is none counts as empty.
fn list_at<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(super) fn heard<'a>(text: &'a str, payload: &'a Value) -> Heard<'a> {
        Heard {
            turn: "t1",
            user: "ann",
            session: "s1",
            is_new: true,
            bot: "st-1",
            channel: "ivrInst-1",
            text,
            payload,
        }
    }

    #[test]
    fn attachments_are_links_or_objects_in_a_list_or_alone() {
        let one = |url: &str, kind: &str| Attachment {
            url: url.to_owned(),
            kind: kind.to_owned(),
            name: String::new(),
        };
        for (attachments, expected) in [
            (json!(["http://a/x.png"]), vec![one("http://a/x.png", "")]),
            (
                json!([{"url": "http://a", "fileType": "pdf"}, {"fileId": "1"}]),
                vec![one("http://a", "pdf")],
            ),
            (json!({"url": "http://a"}), vec![one("http://a", "")]),
            (json!(null), vec![]),
        ] {
            let payload = json!({"message": {"attachments": attachments}});
            assert_eq!(heard("", &payload).attachments(), expected);
        }
        assert!(one("http://a/x.PNG", "").is_image() && one("http://a", "image/gif").is_image());
        assert!(!one("http://a/x.pdf", "pdf").is_image());
    }
}

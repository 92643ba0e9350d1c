//! Messages with keys, and what a channel shows instead of them.

use std::borrow::Cow;

use serde_json::Value;
use shared::registry::Overrides;
use shared::wire::v1::BotMessage;

/// The key of a bot's configured error message.
pub const ERROR: &str = "error";

/// One message of a bot, by its key where it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    pub key: Option<String>,
    pub message: BotMessage,
}

impl Spoken {
    /// An object of exactly `key` and `message` is a message with a key; anything else is said as it stands.
    pub fn of(message: BotMessage) -> Self {
        match message {
            BotMessage::Template(Value::Object(mut map)) if is_keyed(&map) => {
                let key = match map.shift_remove("key") {
                    Some(Value::String(key)) => Some(key),
                    _ => None,
                };
                let message = match map.shift_remove("message") {
                    Some(Value::String(text)) => BotMessage::Text(text),
                    other => BotMessage::Template(other.unwrap_or_default()),
                };
                Self { key, message }
            }
            message => Self { key: None, message },
        }
    }

    pub fn keyed(key: &str, text: &str) -> Self {
        Self { key: Some(key.to_owned()), message: BotMessage::Text(text.to_owned()) }
    }

    /// The message as this channel's readers see it.
    pub fn shown<'a>(&'a self, overrides: &Overrides) -> Cow<'a, BotMessage> {
        let instead = self.key.as_deref().and_then(|key| overrides.get(key));
        instead.map_or(Cow::Borrowed(&self.message), Cow::Owned)
    }
}

/// What of a value is the message, for checks of it before it is said.
pub fn message_of(value: &Value) -> &Value {
    match value {
        Value::Object(map) if is_keyed(map) => &map["message"],
        other => other,
    }
}

fn is_keyed(map: &serde_json::Map<String, Value>) -> bool {
    let message = map.get("message").is_some_and(|said| said.is_string() || said.is_object());
    map.len() == 2 && message && map.get("key").is_some_and(Value::is_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(said: Value, overrides: &Overrides) -> Value {
        let message = match said {
            Value::String(text) => BotMessage::Text(text),
            template => BotMessage::Template(template),
        };
        match Spoken::of(message).shown(overrides).into_owned() {
            BotMessage::Text(text) => Value::String(text),
            BotMessage::Template(template) => template,
        }
    }

    #[test]
    fn a_message_with_a_key_that_the_channel_names_is_replaced_and_no_other() {
        let template = json!({"type": "template", "payload": {"template_type": "x"}});
        let overrides = json!({"greeting": "Ahoy!", "menu": template});
        let overrides: Overrides = serde_json::from_value(overrides).unwrap();
        let key = |key: &str, message: Value| json!({"key": key, "message": message});
        let table = [
            (key("greeting", json!("Hello")), json!("Ahoy!")),
            (key("menu", json!("1. one")), template.clone()),
            (key("greeting", template.clone()), json!("Ahoy!")),
            (key("farewell", json!("Bye")), json!("Bye")),
            (key("", json!("Bye")), json!("Bye")),
            (json!("Hello"), json!("Hello")),
            (template.clone(), template.clone()),
        ];
        for (said, expected) in table {
            assert_eq!(shown(said.clone(), &overrides), expected, "{said}");
            assert_eq!(shown(said.clone(), &Overrides::NONE), *message_of(&said));
        }
    }

    #[test]
    fn an_object_that_only_looks_like_it_is_said_as_it_stands() {
        let overrides = serde_json::from_value(json!({"greeting": "Ahoy!"})).unwrap();
        for said in [
            json!({"key": "greeting"}),
            json!({"key": "greeting", "message": 1}),
            json!({"key": 1, "message": "Hello"}),
            json!({"key": "greeting", "message": "Hello", "more": 1}),
            json!({"key": "greeting", "text": "Hello"}),
        ] {
            assert_eq!(shown(said.clone(), &overrides), said);
            assert_eq!(message_of(&said), &said);
        }
    }
}

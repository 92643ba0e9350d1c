//! What a channel says instead of a bot's messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::v1::BotMessage;

/// Messages by the key of the one that each replaces: a text, or an object for a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overrides(BTreeMap<String, Value>);

impl Overrides {
    pub const NONE: Self = Self(BTreeMap::new());
    pub const COUNT_MAX: usize = 100;
    /// Bytes of the longest key.
    pub const KEY_MAX: usize = 100;
    /// Bytes of the largest message, as the wire has it.
    pub const MESSAGE_MAX: usize = 16 * 1024;
    /// Bytes of all keys and messages together: every process holds those of every channel.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// Whoever makes one has checked it: nothing is refused here.
    pub const fn new(messages: BTreeMap<String, Value>) -> Self {
        Self(messages)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub const fn messages(&self) -> &BTreeMap<String, Value> {
        &self.0
    }

    /// What is said instead of the message with this key.
    pub fn get(&self, key: &str) -> Option<BotMessage> {
        self.0.get(key).map(|message| match message {
            Value::String(text) => BotMessage::Text(text.clone()),
            template => BotMessage::Template(template.clone()),
        })
    }
}

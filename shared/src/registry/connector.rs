//! Bots that speak another platform's protocol (`docs/connectors.md`): whom they speak with, and how.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// Settings of a bot that lives on another platform.
#[derive(Clone, Debug)]
pub struct ConnectorLogic {
    pub peer: Peer,
    pub url: Url,
    /// The value of the `Authorization` header; for `BotKit` the app's secret, which signs. Encrypted at rest.
    pub authorization: Option<SecretString>,
    /// The deadline of one call; the turn's own bounds all of them together.
    pub deadline: Duration,
    /// Attempts at one call, where the peer has surely not begun to work on the one before.
    pub attempts_max: u32,
}

impl ConnectorLogic {
    pub const DEADLINE: Duration = Duration::from_secs(10);
    pub const ATTEMPTS: u32 = 2;
}

/// Whom a connector speaks with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Peer {
    /// The REST channel of a Rasa server.
    Rasa,
    /// A Rasa action server, without Rasa: one action answers every message.
    RasaActions { action: String },
    /// A bot of the Bot Framework or the Agents SDK.
    BotFramework(Activities),
    /// An OpenAI-compatible `chat/completions`.
    Openai(Model),
    /// An OpenAI-compatible `responses`.
    OpenaiResponses {
        #[serde(flatten)]
        model: Model,
        /// The peer keeps the conversation; otherwise the session does.
        store: bool,
    },
    /// A Kore `BotKit` server's `on_webhook`.
    Botkit { client_id: String, component: String },
    /// A Dify app's `chat-messages`.
    Dify { stream: bool },
}

impl Peer {
    /// The word for its kind, as registry files have it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rasa => "rasa",
            Self::RasaActions { .. } => "rasa-actions",
            Self::BotFramework(_) => "bot-framework",
            Self::Openai(_) => "openai",
            Self::OpenaiResponses { .. } => "openai-responses",
            Self::Botkit { .. } => "botkit",
            Self::Dify { .. } => "dify",
        }
    }
}

/// How a bot of the Bot Framework is spoken with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activities {
    /// Tells the bot of the user's arrival when a session begins.
    pub welcome: bool,
    #[serde(default)]
    pub replies: RepliesBy,
    /// A bot that replies by calls has said everything when nothing has come for so long.
    #[serde(default = "Activities::idle_ms")]
    pub idle_ms: u32,
}

impl Activities {
    pub const IDLE: Duration = Duration::from_millis(500);

    fn idle_ms() -> u32 {
        u32::try_from(Self::IDLE.as_millis()).unwrap_or(u32::MAX)
    }
}

impl Default for Activities {
    fn default() -> Self {
        Self { welcome: true, replies: RepliesBy::default(), idle_ms: Self::idle_ms() }
    }
}

/// How a bot of the Bot Framework replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepliesBy {
    /// It is found out.
    #[default]
    Auto,
    /// With its response (`expectReplies`).
    Expect,
    /// By calls of its own.
    Normal,
}

impl RepliesBy {
    pub const ALL: [Self; 3] = [Self::Auto, Self::Expect, Self::Normal];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Expect => "expect",
            Self::Normal => "normal",
        }
    }
}

/// A language model, and what it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Asks for the answer piece by piece; it is put together before anybody sees it.
    #[serde(default)]
    pub stream: bool,
    /// Messages of the conversation that are sent along, the newest.
    pub history: u32,
    /// Tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
}

impl Model {
    pub const HISTORY: u32 = 20;
}

/// An HTTP endpoint that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub description: String,
    #[serde(with = "super::spec::url_text")]
    pub url: Url,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

//! What a person writes of an app, a bot or a channel, on the command line or in a file. Durations
//! are texts like `15s`. What is left out gets its default. No `Debug`: drafts hold secrets.

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects;

/// Durations, in the schemas: what is too long or too short is told by the words of a refusal.
const TIME: &str = r"^\s*[0-9]+\s*(ms|s|min|m|h|d)\s*$";
const REPLIES: &[&str] = &["auto", "expect", "normal"];
const CONNECTORS: &[&str] =
    &["rasa", "rasa-actions", "bot-framework", "openai", "openai-responses", "botkit", "dify"];
const WHILE_BUSY: &str = r"^(queue|latest|reject|merge:\s*[0-9]+\s*(ms|s|min|m|h|d)\s*)$";

/// An app.
#[derive(Args, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppDraft {
    /// Its name.
    #[arg(long)]
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Its client id (cs-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "CLIENT_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How its tokens are signed: HS256, HS512, RS256 or RS512 [default: HS256].
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// For HS256 and HS512; otherwise one is made.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// For RS256 and RS512: an RSA public key of at least 2048 bits, in PEM.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    #[command(flatten)]
    #[serde(default, skip_serializing_if = "RulesDraft::is_empty")]
    pub rules: RulesDraft,
}

/// What an app asks of its tokens.
#[derive(Args, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesDraft {
    /// The oldest token that is taken, by its `iat` [default: any].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub age_max: Option<String>,
    /// Networks that the app's requests come from, like `203.0.113.0/24`, comma separated [default: any].
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub networks: Vec<String>,
    /// Take a message's token once: it must carry `jti` and an `exp` at most an hour ahead.
    #[arg(long)]
    #[serde(default)]
    pub single_use: bool,
}

impl RulesDraft {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A bot.
#[derive(Args, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BotDraft {
    /// Its name.
    #[arg(long)]
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Its id (st-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "BOT_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// URL of an HTTP bot; without it the bot is an echo.
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2_048))]
    pub http: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Its script's file, in a registry file; read before the draft goes anywhere.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The script itself, and its file's name.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub source_name: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Begin open dialogs anew when the script changes; otherwise they end with the script that they began with.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_dialogs: bool,
    /// Deadline of one call of an HTTP bot [default: 10s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub http_deadline: Option<String>,
    /// Calls of an HTTP bot in one turn, retries included [default: 2].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub http_attempts: Option<u32>,
    #[command(flatten)]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "objects::one")]
    pub connector: Option<ConnectorDraft>,
    /// What the user reads when the bot fails.
    #[arg(long, value_name = "TEXT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4_096))]
    pub error_message: Option<String>,
    /// Inactivity after which a new session starts [default: 15min].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub session_timeout: Option<String>,
    /// Turns that run at once in one dispatcher [default: 64].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub permits: Option<u32>,
    /// A bot, by id or name, that answers when this one fails.
    #[arg(long, value_name = "BOT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// A bot, by id or name, that gets the same turns unseen: its answers are compared.
    #[arg(long, value_name = "BOT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// A bot, by id or name, that stands in for this one in a share of the conversations.
    #[arg(long, value_name = "BOT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// The canary's share of the conversations, 0 to 100.
    #[arg(long, value_name = "PERCENT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub canary_percent: Option<f64>,
}

/// A bot of another platform. Which words it takes depends on its kind.
#[derive(Args, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorDraft {
    /// Bot of another platform: rasa, rasa-actions, bot-framework, openai, openai-responses, botkit or dify.
    #[arg(long = "connector", value_name = "KIND")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = CONNECTORS))]
    pub kind: Option<String>,
    /// Where it is: the base of its API, or for bot-framework its messaging endpoint.
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2_048))]
    pub url: Option<String>,
    /// Deadline of one call [default: 10s].
    #[arg(long = "connector-deadline", value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub deadline: Option<String>,
    /// Attempts at one call that was surely not begun on [default: 2].
    #[arg(long = "connector-attempts", value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub attempts: Option<u32>,
    /// rasa-actions: the action that answers every message.
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub action: Option<String>,
    /// bot-framework: tell the bot of the user's arrival when a session begins [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub welcome: Option<bool>,
    /// bot-framework: how it replies: expect (with its response), normal (by calls of its own), or auto, which finds out [default: auto].
    #[arg(long, value_name = "HOW")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = REPLIES))]
    pub replies: Option<String>,
    /// bot-framework: a bot that replies by calls has said everything when nothing has come for so long [default: 500ms].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub idle: Option<String>,
    /// openai, openai-responses: the model.
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub model: Option<String>,
    /// openai, openai-responses: what the model is told before anything else.
    #[arg(long, value_name = "TEXT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub instructions: Option<String>,
    /// openai, openai-responses, dify: ask for the answer piece by piece [default: false; dify: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// openai, openai-responses: messages of the conversation that are sent along [default: 20].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000))]
    pub history: Option<u32>,
    /// openai, openai-responses: most tokens of one answer [default: the peer's].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub max_tokens: Option<u32>,
    /// openai, openai-responses: the model's temperature [default: the peer's].
    #[arg(long, value_name = "NUMBER")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// openai-responses: the peer keeps the conversation, not the session [default: false].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// botkit: the client id of its app (cs-…).
    #[arg(long, value_name = "CLIENT_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub client_id: Option<String>,
    /// botkit: the component whose `on_webhook` is called.
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub component: Option<String>,
    /// openai, openai-responses: HTTP endpoints that the model may call.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "objects::many")]
    #[schemars(length(max = 32))]
    pub tools: Option<Vec<ToolDraft>>,
}

/// An HTTP endpoint that a model may call.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolDraft {
    /// Its name.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// What it does, for the model.
    #[schemars(length(max = 32_768))]
    pub description: String,
    /// Where it is called, by POST.
    #[schemars(length(max = 2_048))]
    pub url: String,
    /// JSON Schema of its arguments [default: an object].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["object", "null"]))]
    pub parameters: Option<serde_json::Value>,
}

/// A channel.
#[derive(Args, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelDraft {
    /// Its bot, by id or name.
    #[arg(long)]
    pub bot: String,
    /// The app whose tokens it takes, by client id or name.
    #[arg(long)]
    pub app: String,
    /// Its name, unique within the bot.
    #[arg(long)]
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Its instance id (ivrInst-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "INSTANCE_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where answers are sent by POST (makes the channel asynchronous).
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2_048))]
    pub post_url: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// Header that carries the access token [default: authorization, as `Bearer TOKEN`].
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub token_header: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// How long a synchronous caller waits for the answer [default: 15s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub deadline: Option<String>,
    /// Waits between attempts at a POST, like `5s,30s,2min`, or `exponential:INITIAL,FACTOR,MAX,ATTEMPTS`.
    #[arg(long, value_name = "SCHEDULE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// Share of a wait that may be added by chance, 0 to 1 [default: 0.1].
    #[arg(long, value_name = "SHARE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub jitter: Option<f64>,
    /// Deadline of one POST [default: 15s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub post_deadline: Option<String>,
    /// POSTs that run at once in one deliverer [default: 16].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub post_permits: Option<u32>,
    /// Answer one message as a plain string, not as an array of one [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_as_string: Option<bool>,
    /// Write the quotes of templates as `&quot;` [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape_templates: Option<bool>,
    /// Messages that are said here instead of the bot's, by their keys: a text each, or an object for a template.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<BTreeMap<String, serde_json::Value>>,
    /// What becomes of messages that come while others of their conversation wait for an answer: `queue`,
    /// `latest`, `reject` or `merge:TIME` [default: queue].
    #[arg(long, value_name = "POLICY")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = WHILE_BUSY))]
    pub while_busy: Option<String>,
    /// Messages a second that one conversation may send [default: 10].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub rate: Option<u32>,
    /// Messages that one conversation may send at once [default: 50].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: Option<u32>,
    /// Let it go live at once instead of awaiting approval.
    #[arg(long)]
    #[serde(default)]
    pub approve: bool,
}

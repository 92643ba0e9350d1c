//! What a person writes of an app, a bot or a channel, on the command line or in a file. Durations
//! are texts like `15s`. What is left out gets its default. No `Debug`: drafts hold secrets.

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An app.
#[derive(Args, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppDraft {
    /// Its name.
    #[arg(long)]
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
    pub age_max: Option<String>,
    /// Networks that the app's requests come from, like `203.0.113.0/24`, comma separated [default: any].
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
    pub name: String,
    /// Its id (st-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "BOT_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// URL of an HTTP bot; without it the bot is an echo.
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    pub source_name: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Deadline of one call of an HTTP bot [default: 10s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_deadline: Option<String>,
    /// Calls of an HTTP bot in one turn, retries included [default: 2].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_attempts: Option<u32>,
    /// What the user reads when the bot fails.
    #[arg(long, value_name = "TEXT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Inactivity after which a new session starts [default: 15min].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_timeout: Option<String>,
    /// Turns that run at once in one dispatcher [default: 64].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permits: Option<u32>,
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
    pub name: String,
    /// Its instance id (ivrInst-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "INSTANCE_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where answers are sent by POST (makes the channel asynchronous).
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_url: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// Header that carries the access token [default: authorization, as `Bearer TOKEN`].
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_header: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
    /// How long a synchronous caller waits for the answer [default: 15s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Waits between attempts at a POST, like `5s,30s,2min`, or `exponential:INITIAL,FACTOR,MAX,ATTEMPTS`.
    #[arg(long, value_name = "SCHEDULE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// Share of a wait that may be added by chance, 0 to 1 [default: 0.1].
    #[arg(long, value_name = "SHARE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
    /// Deadline of one POST [default: 15s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_deadline: Option<String>,
    /// POSTs that run at once in one deliverer [default: 16].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_permits: Option<u32>,
    /// Answer one message as a plain string, not as an array of one [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_as_string: Option<bool>,
    /// Write the quotes of templates as `&quot;` [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape_templates: Option<bool>,
    /// Messages a second that one conversation may send [default: 10].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Messages that one conversation may send at once [default: 50].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Let it go live at once instead of awaiting approval.
    #[arg(long)]
    #[serde(default)]
    pub approve: bool,
}

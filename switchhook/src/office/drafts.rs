//! What a person writes of an app, a bot or a channel, on the command line or in a file. Durations
//! are texts like `15s`. What is left out gets its default. No `Debug`: drafts hold secrets.

use clap::Args;
use serde::{Deserialize, Serialize};

/// An app.
#[derive(Args, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppDraft {
    /// Its name.
    #[arg(long)]
    pub(crate) name: String,
    /// Its client id (cs-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "CLIENT_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// How its tokens are signed: HS256 or HS512 [default: HS256].
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) algorithm: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// A bot.
#[derive(Args, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BotDraft {
    /// Its name.
    #[arg(long)]
    pub(crate) name: String,
    /// Its id (st-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "BOT_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// URL of an HTTP bot; without it the bot is an echo.
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization: Option<String>,
    /// Deadline of one call of an HTTP bot [default: 10s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_deadline: Option<String>,
    /// Calls of an HTTP bot in one turn, retries included [default: 2].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_attempts: Option<u32>,
    /// What the user reads when the bot fails.
    #[arg(long, value_name = "TEXT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error_message: Option<String>,
    /// Inactivity after which a new session starts [default: 15min].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session_timeout: Option<String>,
    /// Turns that run at once in one dispatcher [default: 64].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) permits: Option<u32>,
}

/// A channel.
#[derive(Args, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelDraft {
    /// Its bot, by id or name.
    #[arg(long)]
    pub(crate) bot: String,
    /// The app whose tokens it takes, by client id or name.
    #[arg(long)]
    pub(crate) app: String,
    /// Its name, unique within the bot.
    #[arg(long)]
    pub(crate) name: String,
    /// Its instance id (ivrInst-…), when it has one already; otherwise a new one is made.
    #[arg(long, value_name = "INSTANCE_ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Where answers are sent by POST (makes the channel asynchronous).
    #[arg(long, value_name = "URL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) post_url: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_token: Option<String>,
    /// Header that carries the access token [default: authorization, as `Bearer TOKEN`].
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_header: Option<String>,
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signing_secret: Option<String>,
    /// How long a synchronous caller waits for the answer [default: 15s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<String>,
    /// Waits between attempts at a POST, like `5s,30s,2min`, or `exponential:INITIAL,FACTOR,MAX,ATTEMPTS`.
    #[arg(long, value_name = "SCHEDULE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<String>,
    /// Share of a wait that may be added by chance, 0 to 1 [default: 0.1].
    #[arg(long, value_name = "SHARE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jitter: Option<f64>,
    /// Deadline of one POST [default: 15s].
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) post_deadline: Option<String>,
    /// POSTs that run at once in one deliverer [default: 16].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) post_permits: Option<u32>,
    /// Answer one message as a plain string, not as an array of one [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) single_as_string: Option<bool>,
    /// Write the quotes of templates as `&quot;` [default: true].
    #[arg(long, value_name = "BOOL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) escape_templates: Option<bool>,
    /// Messages a second that one conversation may send [default: 10].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<u32>,
    /// Messages that one conversation may send at once [default: 50].
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) burst: Option<u32>,
    /// Let it go live at once instead of awaiting approval.
    #[arg(long)]
    #[serde(default)]
    pub(crate) approve: bool,
}

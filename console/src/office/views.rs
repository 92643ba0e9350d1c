//! What the command line shows. Secrets appear only where they are made or asked for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use shared::domain::retry::Spacing;
use shared::domain::turn::Mode;
use shared::registry::{App, Bot, Channel, Endpoint, Logic};

use super::drafts::RulesDraft;

/// An app.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppView {
    pub client_id: String,
    pub name: String,
    pub algorithm: String,
    /// For RS256 and RS512: the key that its tokens are checked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The end of the overlap in which the key before it is good too, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "RulesDraft::is_empty")]
    pub rules: RulesDraft,
    /// Shown once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// A bot.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct BotView {
    pub bot_id: String,
    pub name: String,
    /// `echo`, `http` or `script`.
    pub logic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The script's file name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// Of a script: whether open dialogs begin anew when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_dialogs: Option<bool>,
    pub error_message: String,
    pub session_timeout_ms: u64,
    pub permits: u32,
    /// The bot whose channels it inherits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Whether what is shown is an edit beside what runs.
    #[serde(default)]
    pub unpublished: bool,
}

/// A channel.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChannelView {
    pub webhook_id: String,
    pub name: String,
    pub bot_id: String,
    pub client_id: String,
    /// `sync` or `async`.
    pub mode: String,
    pub state: String,
    pub ordinal: u32,
    /// Where clients POST.
    pub url: String,
    pub deadline_ms: u64,
    pub rate_per_second: u32,
    pub rate_burst: u32,
    /// What is said here instead of the bot's messages, by their keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, serde_json::Value>,
    /// What becomes of messages that come faster than answers: `queue`, `latest`, `reject` or `merge:TIME`.
    pub while_busy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointView>,
    /// Whether what is shown is an edit beside what runs.
    #[serde(default)]
    pub unpublished: bool,
}

/// Where an asynchronous channel's answers go.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct EndpointView {
    pub post_url: String,
    pub token_header: String,
    pub has_token: bool,
    pub retry: String,
    pub jitter: f64,
    pub deadline_ms: u64,
    pub permits: u32,
    /// A receiver said 410; an approval enables it again.
    pub disabled: bool,
    /// For the receiver, to check signatures. Shown once, when the channel is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<String>,
}

/// What came of sealing every secret with the vault's current key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ResealedView {
    /// Secrets that there are.
    pub secrets: u64,
    /// Those that an earlier key had sealed.
    pub resealed: u64,
}

/// A token.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    pub token: String,
    pub client_id: String,
    /// Seconds since the Unix epoch; missing when it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Who did what.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct AuditView {
    pub entry_id: String,
    pub at_ms: u64,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: serde_json::Value,
}

/// What it takes to talk to a channel.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Wire {
    pub host_url: String,
    pub path: String,
    pub bot_id: String,
    pub is_async: bool,
    pub token: String,
}

impl AppView {
    pub fn of(app: &App, secret: bool) -> Self {
        Self {
            client_id: app.client_id.to_string(),
            name: app.name.clone(),
            algorithm: app.algorithm.as_str().to_owned(),
            public_key: app.algorithm.is_public_key().then(|| shown(&app.secret)),
            previous_until_ms: app.previous.as_ref().map(|previous| previous.until_ms),
            rules: RulesDraft {
                age_max: app.rules.age_max.map(|age| format!("{}ms", ms(age))),
                networks: app.rules.networks.iter().map(ToString::to_string).collect(),
                single_use: app.rules.single_use,
            },
            client_secret: (secret && !app.algorithm.is_public_key()).then(|| shown(&app.secret)),
        }
    }
}

impl BotView {
    pub fn of(bot: &Bot) -> Self {
        let (logic, url, script) = match &bot.logic {
            Logic::Echo => ("echo", None, None),
            Logic::Http(http) => ("http", Some(http.url.to_string()), None),
            Logic::Script(script) => ("script", None, Some(script.name.clone())),
            Logic::Connector(connector) => {
                (connector.peer.kind(), Some(connector.url.to_string()), None)
            }
        };
        let restart_dialogs = match &bot.logic {
            Logic::Script(script) => Some(script.restart_dialogs),
            Logic::Echo | Logic::Http(_) | Logic::Connector(_) => None,
        };
        Self {
            bot_id: bot.id.to_string(),
            name: bot.name.clone(),
            logic: logic.to_owned(),
            url,
            script,
            restart_dialogs,
            error_message: bot.error_message.clone(),
            session_timeout_ms: ms(bot.session_timeout),
            permits: bot.permits,
            parent_id: None,
            unpublished: false,
        }
    }
}

impl ChannelView {
    /// `host_url` without a slash at its end.
    pub fn of(channel: &Channel, host_url: &str, secret: bool) -> Self {
        Self {
            webhook_id: channel.id.to_string(),
            name: channel.name.clone(),
            bot_id: channel.bot.to_string(),
            client_id: channel.client.to_string(),
            mode: mode(channel.mode()).to_owned(),
            state: channel.state.to_string(),
            ordinal: channel.ordinal,
            url: format!("{host_url}{}", channel.path()),
            deadline_ms: ms(channel.deadline),
            rate_per_second: channel.rate.per_second,
            rate_burst: channel.rate.burst,
            overrides: channel.overrides.messages().clone(),
            while_busy: channel.while_busy.to_string(),
            endpoint: channel.endpoint.as_ref().map(|endpoint| EndpointView::of(endpoint, secret)),
            unpublished: false,
        }
    }
}

impl EndpointView {
    fn of(endpoint: &Endpoint, secret: bool) -> Self {
        Self {
            post_url: endpoint.post_url.to_string(),
            token_header: endpoint.token_header.clone(),
            has_token: endpoint.token.is_some(),
            retry: spacing(&endpoint.retry.spacing),
            jitter: endpoint.retry.jitter,
            deadline_ms: ms(endpoint.deadline),
            permits: endpoint.permits,
            disabled: endpoint.disabled,
            signing_secret: secret.then(|| shown(&endpoint.signing_secret)),
        }
    }
}

pub const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "sync",
        Mode::Async => "async",
    }
}

/// As `--retry` takes it.
pub fn spacing(spacing: &Spacing) -> String {
    let time = |wait: std::time::Duration| format!("{}ms", ms(wait));
    match spacing {
        Spacing::List(waits) => waits.iter().copied().map(time).collect::<Vec<_>>().join(","),
        Spacing::Exponential { initial, factor, max, attempts_max } => {
            format!("exponential:{},{factor},{},{attempts_max}", time(*initial), time(*max))
        }
    }
}

fn shown(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

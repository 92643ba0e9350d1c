//! What the command line shows. Secrets appear only where they are made or asked for.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use shared::domain::retry::Spacing;
use shared::domain::turn::Mode;
use shared::registry::{App, Bot, Channel, Endpoint, Logic};

/// An app.
#[derive(Serialize, Deserialize)]
pub(crate) struct AppView {
    pub(crate) client_id: String,
    pub(crate) name: String,
    pub(crate) algorithm: String,
    /// Shown once, when the app is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<String>,
}

/// A bot.
#[derive(Serialize, Deserialize)]
pub(crate) struct BotView {
    pub(crate) bot_id: String,
    pub(crate) name: String,
    /// `echo` or `http`.
    pub(crate) logic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    pub(crate) error_message: String,
    pub(crate) session_timeout_ms: u64,
    pub(crate) permits: u32,
}

/// A channel.
#[derive(Serialize, Deserialize)]
pub(crate) struct ChannelView {
    pub(crate) webhook_id: String,
    pub(crate) name: String,
    pub(crate) bot_id: String,
    pub(crate) client_id: String,
    /// `sync` or `async`.
    pub(crate) mode: String,
    pub(crate) state: String,
    pub(crate) ordinal: u32,
    /// Where clients POST.
    pub(crate) url: String,
    pub(crate) deadline_ms: u64,
    pub(crate) rate_per_second: u32,
    pub(crate) rate_burst: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<EndpointView>,
}

/// Where an asynchronous channel's answers go.
#[derive(Serialize, Deserialize)]
pub(crate) struct EndpointView {
    pub(crate) post_url: String,
    pub(crate) token_header: String,
    pub(crate) has_token: bool,
    pub(crate) retry: String,
    pub(crate) jitter: f64,
    pub(crate) deadline_ms: u64,
    pub(crate) permits: u32,
    /// A receiver said 410; an approval enables it again.
    pub(crate) disabled: bool,
    /// For the receiver, to check signatures. Shown once, when the channel is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signing_secret: Option<String>,
}

/// A token.
#[derive(Serialize, Deserialize)]
pub(crate) struct TokenView {
    pub(crate) token: String,
    pub(crate) client_id: String,
    /// Seconds since the Unix epoch; missing when it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<u64>,
}

/// What it takes to talk to a channel.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wire {
    pub(crate) host_url: String,
    pub(crate) path: String,
    pub(crate) bot_id: String,
    pub(crate) is_async: bool,
    pub(crate) token: String,
}

impl AppView {
    pub(crate) fn of(app: &App, secret: bool) -> Self {
        Self {
            client_id: app.client_id.to_string(),
            name: app.name.clone(),
            algorithm: app.algorithm.as_str().to_owned(),
            client_secret: secret.then(|| shown(&app.secret)),
        }
    }
}

impl BotView {
    pub(crate) fn of(bot: &Bot) -> Self {
        let (logic, url) = match &bot.logic {
            Logic::Echo => ("echo", None),
            Logic::Http(http) => ("http", Some(http.url.to_string())),
        };
        Self {
            bot_id: bot.id.to_string(),
            name: bot.name.clone(),
            logic: logic.to_owned(),
            url,
            error_message: bot.error_message.clone(),
            session_timeout_ms: ms(bot.session_timeout),
            permits: bot.permits,
        }
    }
}

impl ChannelView {
    /// `host_url` without a slash at its end.
    pub(crate) fn of(channel: &Channel, host_url: &str, secret: bool) -> Self {
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
            endpoint: channel.endpoint.as_ref().map(|endpoint| EndpointView::of(endpoint, secret)),
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

pub(crate) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "sync",
        Mode::Async => "async",
    }
}

/// As `--retry` takes it.
fn spacing(spacing: &Spacing) -> String {
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

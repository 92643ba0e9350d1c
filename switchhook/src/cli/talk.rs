//! Tokens and talking.

use clap::Args;

use super::registry::Json;

/// `token`.
#[derive(Args)]
pub(crate) struct Token {
    /// The app, by client id or name.
    #[arg(long)]
    pub(crate) app: String,
    /// The `sub` claim.
    #[arg(long, default_value = "1234567890")]
    pub(crate) sub: String,
    /// How long it is valid, like 15min, 1h or 30d; `never` leaves `exp` out.
    #[arg(long, default_value = "1h")]
    pub(crate) expires: String,
    /// Refuse unless the app is pinned to this algorithm.
    #[arg(long)]
    pub(crate) algorithm: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `send`.
#[derive(Args)]
pub(crate) struct Send {
    /// The channel, by id or name.
    #[arg(long)]
    pub(crate) channel: String,
    /// Who speaks: `from.id`.
    #[arg(long, default_value = "switchhook-send")]
    pub(crate) user: String,
    /// Where ingress is, when it is not where the settings say.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<url::Url>,
    /// Start a new session.
    #[arg(long)]
    pub(crate) new_session: bool,
    /// How long to wait for an answer.
    #[arg(long, default_value = "30s")]
    pub(crate) timeout: String,
    #[command(flatten)]
    pub(crate) json: Json,
    /// What to say. Without it, every line of standard input is said, one after the other.
    pub(crate) text: Vec<String>,
}

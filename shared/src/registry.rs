//! The registry: apps, bots and channels. The stores keep it, every room caches it.
//!
//! It grows into the control plane (operators, publish requests, audit) without changing these
//! entities' meaning.

mod app;
mod beside;
pub mod cache;
mod connector;
pub mod control;
mod overrides;
pub mod spec;
mod while_busy;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::channel::{ChannelAction, ChannelState};
use crate::domain::ids::{BotId, ChannelId, ClientId};
use crate::domain::retry::Policy;
use crate::domain::turn::Mode;
use crate::store::StoreError;
pub use app::{Algorithm, App, JTI_LIFE, PreviousSecret, TokenRules};
pub use beside::{Beside, Canary};
pub use connector::{Activities, ConnectorLogic, Model, Peer, RepliesBy, Tool};
pub use overrides::Overrides;
pub use while_busy::WhileBusy;

/// What runs when a user says something.
#[derive(Clone, Debug)]
pub enum Logic {
    /// Says back what the user said.
    Echo,
    /// Asks an HTTP endpoint (`docs/http-bot.md`).
    Http(HttpLogic),
    /// Runs a script (`docs/scripts.md`).
    Script(ScriptLogic),
    /// Asks a bot of another platform (`docs/connectors.md`).
    Connector(Box<ConnectorLogic>),
}

/// A bot that is a script.
#[derive(Clone, Debug)]
pub struct ScriptLogic {
    /// Its file's name, for error messages.
    pub name: String,
    pub source: Arc<str>,
    /// What the script finds in `env`: a JSON object of texts. Encrypted at rest.
    pub env: Option<SecretString>,
    /// Whether a dialog that is open begins anew when the script changes. Otherwise it goes on with the
    /// script that it began with.
    pub restart_dialogs: bool,
}

impl ScriptLogic {
    /// Bytes of the largest script.
    pub const SOURCE_MAX: usize = 256 * 1024;
    /// How long a script is kept for the dialogs that began with it, once another has replaced it.
    pub const KEPT: Duration = Duration::from_hours(24 * 30);
    /// Scripts that a bot had before that are kept at most: the newest.
    pub const KEPT_MAX: u32 = 20;

    /// What tells it from other scripts of the bot: a hash of its source.
    pub fn version(source: &str) -> String {
        format!("{:016x}", xxh3_64(source.as_bytes()))
    }
}

/// Settings of an HTTP bot.
#[derive(Clone, Debug)]
pub struct HttpLogic {
    pub url: url::Url,
    /// The value of the `Authorization` header, when the bot wants one. Encrypted at rest.
    pub authorization: Option<SecretString>,
    /// The deadline of one attempt at a call.
    pub deadline: Duration,
    /// Attempts in all within a turn; the turn's own deadline bounds them together.
    pub attempts_max: u32,
}

/// A bot.
#[derive(Clone, Debug)]
pub struct Bot {
    pub id: BotId,
    pub name: String,
    pub logic: Logic,
    /// What the user reads when the bot fails.
    pub error_message: String,
    /// Inactivity after which the next message starts a new session.
    pub session_timeout: Duration,
    /// Turns of this bot that run at once in one dispatcher.
    pub permits: u32,
    pub beside: Beside,
}

impl Bot {
    pub const ERROR_MESSAGE: &'static str = "Something went wrong. Please try again later.";
    pub const SESSION_TIMEOUT: Duration = Duration::from_mins(15);
    pub const PERMITS: u32 = 64;
}

/// Where an asynchronous channel's answers go.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// POST_URL.
    pub post_url: url::Url,
    /// The header that carries the access token; `authorization` by default.
    pub token_header: String,
    /// The header's whole value, e.g. `Bearer …`; `None` sends none. Encrypted at rest.
    pub token: Option<SecretString>,
    /// The Standard Webhooks secret, `whsec_…`. Encrypted at rest.
    pub signing_secret: SecretString,
    pub retry: Policy,
    /// The deadline of one attempt: connecting, TLS, head and body together.
    pub deadline: Duration,
    /// Attempts that run at once in one deliverer.
    pub permits: u32,
    /// Set by a 410, cleared by an approval.
    pub disabled: bool,
}

impl Endpoint {
    pub const TOKEN_HEADER: &'static str = "authorization";
    pub const DEADLINE: Duration = Duration::from_secs(15);
    pub const PERMITS: u32 = 16;
}

/// Switches for clients that read the protocol differently (protocol §10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// One message is answered as `{"text":"…"}` and not as `{"text":["…"]}`.
    pub single_as_string: bool,
    /// The quotes of a template inside a text are `&quot;`, as the platform's are.
    pub escape_templates: bool,
}

impl Default for Compatibility {
    fn default() -> Self {
        Self { single_as_string: true, escape_templates: true }
    }
}

/// One webhook instance of a bot.
#[derive(Clone, Debug)]
pub struct Channel {
    pub id: ChannelId,
    pub bot: BotId,
    pub client: ClientId,
    pub name: String,
    /// From 1, never reused. The first has the short URL.
    pub ordinal: u32,
    /// `Some` makes it asynchronous.
    pub endpoint: Option<Endpoint>,
    pub state: ChannelState,
    /// How long a synchronous caller waits for the answer.
    pub deadline: Duration,
    pub compatibility: Compatibility,
    /// What is said here instead of the bot's messages that have these keys.
    pub overrides: Overrides,
    /// What becomes of messages that come faster than answers.
    pub while_busy: WhileBusy,
    /// Messages a second of one conversation, and how many may come at once.
    pub rate: Rate,
}

impl Channel {
    /// The platform's limit (protocol §4.5).
    pub const DEADLINE: Duration = Duration::from_secs(15);

    pub fn mode(&self) -> Mode {
        if self.endpoint.is_some() { Mode::Async } else { Mode::Sync }
    }

    /// The path that clients POST to (protocol §1).
    pub fn path(&self) -> String {
        if self.ordinal == 1 {
            format!("/chatbot/hooks/{}", self.bot)
        } else {
            format!("/chatbot/hooks/{}/hookInstance/{}", self.bot, self.id)
        }
    }
}

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: 10, burst: 50 }
    }
}

/// A bot that is there and cannot run here: a later release has written its settings, or something has broken
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub name: String,
    pub why: String,
}

/// Everything at one moment. Cheap to share; rooms hold it in a [`cache::Cache`].
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// The registry's counter at that moment; 0 where nobody counts.
    pub revision: i64,
    pub apps: HashMap<ClientId, Arc<App>>,
    pub bots: HashMap<BotId, Arc<Bot>>,
    pub channels: HashMap<ChannelId, Arc<Channel>>,
    /// Bots whose settings this release cannot read; they are not among `bots`.
    pub unreadable: HashMap<BotId, Unreadable>,
    first: HashMap<BotId, ChannelId>,
    of_app: HashMap<(BotId, ClientId), ChannelId>,
}

impl Registry {
    pub fn new(apps: Vec<App>, bots: Vec<Bot>, channels: Vec<Channel>) -> Self {
        Self::of(
            apps.into_iter().map(|app| (app.client_id.clone(), Arc::new(app))).collect(),
            bots.into_iter().map(|bot| (bot.id.clone(), Arc::new(bot))).collect(),
            channels.into_iter().map(|c| (c.id.clone(), Arc::new(c))).collect(),
        )
    }

    /// Each under its own id.
    pub fn of(
        apps: HashMap<ClientId, Arc<App>>,
        bots: HashMap<BotId, Arc<Bot>>,
        channels: HashMap<ChannelId, Arc<Channel>>,
    ) -> Self {
        let first = channels
            .values()
            .filter(|channel| channel.ordinal == 1)
            .map(|channel| (channel.bot.clone(), channel.id.clone()))
            .collect();
        // Those that work last, so that they win; of several, the oldest.
        let mut ranked: Vec<&Arc<Channel>> = channels.values().collect();
        ranked.sort_by_key(|c| (c.state == ChannelState::Live, Reverse(c.ordinal)));
        let of_app = ranked
            .into_iter()
            .map(|channel| ((channel.bot.clone(), channel.client.clone()), channel.id.clone()))
            .collect();
        let unreadable = HashMap::new();
        Self { revision: 0, apps, bots, channels, unreadable, first, of_app }
    }

    /// As it was when the counter showed this.
    #[must_use]
    pub fn at(self, revision: i64) -> Self {
        Self { revision, ..self }
    }

    /// With these bots, which cannot be read.
    #[must_use]
    pub fn without(self, unreadable: HashMap<BotId, Unreadable>) -> Self {
        Self { unreadable, ..self }
    }

    /// The channel of a URL: the bot's first instance, or the one that is named.
    pub fn channel(&self, bot: &BotId, instance: Option<&ChannelId>) -> Option<&Arc<Channel>> {
        let id = instance.or_else(|| self.first.get(bot))?;
        self.channels.get(id).filter(|channel| channel.bot == *bot)
    }

    /// A channel of the bot that is this app's, one that works if there is such a one: for URLs that
    /// name the bot only, where clients of every instance meet (protocol §5).
    pub fn channel_of(&self, bot: &BotId, client: &ClientId) -> Option<&Arc<Channel>> {
        self.channels.get(self.of_app.get(&(bot.clone(), client.clone()))?)
    }
}

/// Why the registry did not take a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// In words that an operator can act on.
    #[error("{0}")]
    Invalid(String),
}

/// The registry's own store: whole reads, single writes. Secrets arrive and leave in the clear and
/// are encrypted inside (`crate::vault`).
pub trait RegistryStore: Clone + Send + Sync + 'static {
    fn registry(&self) -> impl Future<Output = Result<Registry, RegistryError>> + Send;

    /// Adds an app; its client id is new.
    fn add_app(&self, app: &App) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Adds a bot; its id is new.
    fn add_bot(&self, bot: &Bot) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Adds a channel with the next ordinal of its bot, whatever `channel.ordinal` says, and returns
    /// that ordinal. Names are unique within a bot.
    fn add_channel(
        &self,
        channel: &Channel,
    ) -> impl Future<Output = Result<u32, RegistryError>> + Send;

    /// Applies an action to a channel's state, under its row's lock.
    fn act(
        &self,
        channel: &ChannelId,
        action: ChannelAction,
    ) -> impl Future<Output = Result<ChannelState, RegistryError>> + Send;

    /// The source of a script that the bot had before, by its [`ScriptLogic::version`]; kept for
    /// [`ScriptLogic::KEPT`] after it was replaced.
    fn replaced_script(
        &self,
        bot: &BotId,
        version: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(ordinal: u32, client: &str, state: ChannelState) -> Channel {
        Channel {
            id: format!("ivrInst-{ordinal}").into(),
            bot: "st-1".into(),
            client: client.into(),
            name: String::new(),
            ordinal,
            endpoint: None,
            state,
            deadline: Channel::DEADLINE,
            compatibility: Compatibility::default(),
            overrides: Overrides::NONE,
            while_busy: WhileBusy::Queue,
            rate: Rate::default(),
        }
    }

    #[test]
    fn an_app_has_its_own_channel_of_a_bot_and_one_that_works_if_any_does() {
        let registry = Registry::new(
            Vec::new(),
            Vec::new(),
            vec![
                channel(1, "cs-1", ChannelState::Suspended),
                channel(2, "cs-2", ChannelState::Live),
                channel(3, "cs-1", ChannelState::Live),
                channel(4, "cs-1", ChannelState::Live),
                channel(5, "cs-3", ChannelState::Suspended),
            ],
        );
        for (bot, client, expected) in [
            ("st-1", "cs-1", Some(3)),
            ("st-1", "cs-2", Some(2)),
            ("st-1", "cs-3", Some(5)),
            ("st-1", "cs-4", None),
            ("st-2", "cs-1", None),
        ] {
            let found = registry.channel_of(&bot.into(), &client.into());
            assert_eq!(found.map(|channel| channel.ordinal), expected, "{bot} {client}");
        }
    }
}

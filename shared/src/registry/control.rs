//! What the control plane keeps besides apps, bots and channels, and how it changes all of them at once.
//!
//! Whoever decides reads everything at one moment, decides in memory, and writes what came of it on the
//! condition that nothing has changed since: one counter for the whole registry, moved by every write,
//! is the fence. What a record means is the control plane's business; stores only keep it.

use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;

use super::{App, Bot, Channel, Registry, RegistryError};
use crate::domain::ids::{BotId, ChannelId, ClientId};
use crate::store::StoreError;

/// How long entries of the audit log are kept: two years.
pub const AUDIT_KEPT: Duration = Duration::from_hours(24 * 730);

/// The kinds of records, closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A person who signs in.
    Operator,
    /// A token of the admin API.
    Token,
    /// A bot's or channel's copy that differs from what is published.
    Edit,
    /// An imported channel that has no app yet.
    Placeholder,
    /// Which bot a bot inherits channels from.
    Parent,
    /// Which channel a channel was inherited from.
    Inherited,
    /// A request to publish that awaits a decision.
    Request,
    /// A request to publish that was decided.
    Decided,
    /// The answer to an `Idempotency-Key` of the admin API.
    Key,
    /// Somebody who is signed in to the pages.
    Session,
    /// The link that makes the first admin.
    Invitation,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Operator,
        Self::Token,
        Self::Edit,
        Self::Placeholder,
        Self::Parent,
        Self::Inherited,
        Self::Request,
        Self::Decided,
        Self::Key,
        Self::Session,
        Self::Invitation,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Token => "token",
            Self::Edit => "edit",
            Self::Placeholder => "placeholder",
            Self::Parent => "parent",
            Self::Inherited => "inherited",
            Self::Request => "request",
            Self::Decided => "decided",
            Self::Key => "key",
            Self::Session => "session",
            Self::Invitation => "invitation",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it grows with time, and is therefore read by the page and not with everything else.
    pub const fn is_history(self) -> bool {
        matches!(self, Self::Decided | Self::Key)
    }
}

/// One document of the control plane.
#[derive(Clone, Debug)]
pub struct Record {
    pub kind: Kind,
    pub id: String,
    /// JSON, without secrets.
    pub body: String,
    /// JSON with secrets. Encrypted at rest.
    pub sealed: Option<SecretString>,
}

/// Who did what. No secret is ever in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// A UUID of version 7: newer entries have greater ids.
    pub id: String,
    pub actor: String,
    pub action: String,
    /// The id of what it was done to.
    pub subject: String,
    /// JSON: before and after, where that can be said.
    pub detail: String,
}

/// An entry as it is read: with its time, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    pub entry: Audit,
    pub at_ms: u64,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Control {
    pub revision: i64,
    pub registry: Registry,
    /// All but those of a kind that [is history](Kind::is_history).
    pub records: Vec<Record>,
}

/// One thing to write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Adds or replaces.
    App(Box<App>),
    RemoveApp(ClientId),
    /// Adds or replaces.
    Bot(Box<Bot>),
    RemoveBot(BotId),
    /// As [`RegistryStore::add_channel`](super::RegistryStore::add_channel).
    AddChannel(Box<Channel>),
    /// Replaces all but bot and ordinal. The mark of a 410 stays unless `enable` is set.
    Channel {
        channel: Box<Channel>,
        enable: bool,
    },
    RemoveChannel(ChannelId),
    /// Adds or replaces; it goes by itself after `expires`.
    Record {
        record: Record,
        expires: Option<Duration>,
    },
    RemoveRecord(Kind, String),
}

/// What is to change, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub writes: Vec<Write>,
    pub audit: Vec<Audit>,
}

/// What came of sealing every secret with the vault's current key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Secrets that there are.
    pub secrets: u64,
    /// Those that an earlier key had sealed.
    pub resealed: u64,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Something has changed since: read again and decide again.
    #[error("the registry has changed meanwhile")]
    Moved,
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Registry(error.into())
    }
}

/// The control plane's store.
pub trait ControlStore: Clone + Send + Sync + 'static {
    /// Everything at one moment.
    fn control(&self) -> impl Future<Output = Result<Control, RegistryError>> + Send {
        async { Err(none()) }
    }

    /// The registry's counter: another one means that something has changed.
    fn revision(&self) -> impl Future<Output = Result<i64, RegistryError>> + Send {
        async { Err(none()) }
    }

    /// The channels whose receivers are gone (410), by id: these marks do not move the counter.
    fn marked(&self) -> impl Future<Output = Result<Vec<ChannelId>, RegistryError>> + Send {
        async { Err(none()) }
    }

    /// Writes a change where the counter still shows `base`, and returns the new one.
    fn change(
        &self,
        base: i64,
        change: Change,
    ) -> impl Future<Output = Result<i64, ChangeError>> + Send {
        let _ = (base, change);
        async { Err(none().into()) }
    }

    /// The ordinals that channels were given, of those that there are.
    fn ordinals(
        &self,
        channels: &[ChannelId],
    ) -> impl Future<Output = Result<Vec<(ChannelId, u32)>, RegistryError>> + Send {
        let _ = channels;
        async { Err(none()) }
    }

    /// One record that has not expired.
    fn record(
        &self,
        kind: Kind,
        id: &str,
    ) -> impl Future<Output = Result<Option<Record>, RegistryError>> + Send {
        let _ = (kind, id);
        async { Err(none()) }
    }

    /// Records of a kind, greatest id first, those below `before`; without their secrets.
    fn records(
        &self,
        kind: Kind,
        before: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Record>, RegistryError>> + Send {
        let _ = (kind, before, limit);
        async { Err(none()) }
    }

    /// The audit log, newest first, those below `before`; of one subject, or of all.
    fn audit(
        &self,
        subject: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Audited>, RegistryError>> + Send {
        let _ = (subject, before, limit);
        async { Err(none()) }
    }

    /// Seals every secret with the vault's current key, page by page; what was done stays when it ends
    /// early. Nobody reads anything else afterwards, so the counter does not move; a secret that is changed
    /// meanwhile stays as whoever changes it has sealed it.
    fn reseal(&self) -> impl Future<Output = Result<Resealed, RegistryError>> + Send {
        async { Err(none()) }
    }
}

/// Where secrets are: a table, what makes a row's place in the vault, and a column.
pub(crate) struct Sealed {
    pub(crate) table: &'static str,
    pub(crate) row: &'static str,
    pub(crate) column: &'static str,
}

/// Every column of a store that holds secrets; the one of bots has a name of each store's own.
pub(crate) const fn sealed(of_bots: &'static str) -> [Sealed; 6] {
    const fn of(table: &'static str, column: &'static str) -> Sealed {
        Sealed { table, row: "id", column }
    }
    [
        of("app", "secret"),
        of("app", "previous"),
        of("bot", of_bots),
        of("channel", "token"),
        of("channel", "signing_secret"),
        Sealed { table: "record", row: "kind || '/' || id", column: "sealed" },
    ]
}

/// Stores that are there for other things (a simulation's) have no control plane.
fn none() -> RegistryError {
    RegistryError::Invalid("this store keeps no control plane".to_owned())
}

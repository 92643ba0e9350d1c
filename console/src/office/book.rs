//! Everything that decisions look at, at one moment, indexed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared::domain::ids::{BotId, ChannelId};
use shared::registry::control::{Control, Kind, Record, Write};
use shared::registry::{Channel, Registry};

use super::problem::Problem;

/// See the module's documentation. What a change does not touch is shared with the book before it.
#[derive(Debug, Default)]
pub struct Book {
    pub revision: i64,
    pub registry: Arc<Registry>,
    records: BTreeMap<(Kind, String), Arc<Record>>,
    /// Digest of a token → its id.
    tokens: Arc<HashMap<String, String>>,
    channels: Arc<HashMap<BotId, Vec<Arc<Channel>>>>,
}

impl Book {
    pub fn new(control: Control) -> Self {
        let records: BTreeMap<_, _> = control
            .records
            .into_iter()
            .map(|record| ((record.kind, record.id.clone()), Arc::new(record)))
            .collect();
        let (tokens, channels) = (tokens(&records), channels(&control.registry));
        let (revision, registry) = (control.revision, Arc::new(control.registry));
        Self { revision, registry, records, tokens, channels }
    }

    /// What is there after these writes, where that can be told from what was there. `ordinals` are those of the
    /// channels that are new.
    pub fn after(
        &self,
        revision: i64,
        writes: &[Write],
        ordinals: &HashMap<ChannelId, u32>,
    ) -> Option<Self> {
        let mut records = self.records.clone();
        let mut are_tokens_touched = false;
        let mut rows = None;
        for write in writes {
            match write {
                Write::Record { record, .. } if record.kind.is_history() => {}
                Write::Record { record, .. } => {
                    are_tokens_touched |= record.kind == Kind::Token;
                    records.insert((record.kind, record.id.clone()), Arc::new(record.clone()));
                }
                Write::RemoveRecord(kind, id) => {
                    are_tokens_touched |= *kind == Kind::Token;
                    records.remove(&(*kind, id.clone()));
                }
                other => {
                    let rows = rows.get_or_insert_with(|| (*self.registry).clone());
                    change(rows, other, ordinals)?;
                }
            }
        }
        let tokens = if are_tokens_touched { tokens(&records) } else { Arc::clone(&self.tokens) };
        let (registry, channels) = match rows {
            None => (Arc::clone(&self.registry), Arc::clone(&self.channels)),
            Some(Registry { apps, bots, channels: rows, .. }) => {
                let registry = Registry::of(apps, bots, rows).at(revision);
                let channels = channels(&registry);
                (Arc::new(registry), channels)
            }
        };
        Some(Self { revision, registry, records, tokens, channels })
    }

    pub fn record(&self, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&(kind, id.to_owned())).map(Arc::as_ref)
    }

    /// All of a kind, by id.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        let from = (kind, String::new());
        let records = self.records.range(from..).map(|(_, record)| record.as_ref());
        records.take_while(move |record| record.kind == kind)
    }

    /// The channels of a bot, in no order.
    pub fn channels(&self, bot: &BotId) -> &[Arc<Channel>] {
        self.channels.get(bot).map_or(&[], Vec::as_slice)
    }

    /// The id of the token with this digest.
    pub fn token(&self, digest: &str) -> Option<&str> {
        self.tokens.get(digest).map(String::as_str)
    }
}

fn tokens(records: &BTreeMap<(Kind, String), Arc<Record>>) -> Arc<HashMap<String, String>> {
    let all = records.values().filter(|record| record.kind == Kind::Token);
    let all = all.filter_map(|record| {
        Some((record.sealed.as_ref()?.expose_secret().to_owned(), record.id.clone()))
    });
    Arc::new(all.collect())
}

fn channels(registry: &Registry) -> Arc<HashMap<BotId, Vec<Arc<Channel>>>> {
    let mut channels: HashMap<_, Vec<_>> = HashMap::new();
    for channel in registry.channels.values() {
        channels.entry(channel.bot.clone()).or_default().push(Arc::clone(channel));
    }
    Arc::new(channels)
}

/// Makes a change of the registry's rows; `None` where it cannot be told what becomes of them.
fn change(rows: &mut Registry, write: &Write, ordinals: &HashMap<ChannelId, u32>) -> Option<()> {
    let Registry { apps, bots, channels, .. } = rows;
    match write.clone() {
        Write::App(app) => drop(apps.insert(app.client_id.clone(), Arc::from(app))),
        Write::RemoveApp(id) => drop(apps.remove(&id)),
        Write::Bot(bot) => drop(bots.insert(bot.id.clone(), Arc::from(bot))),
        Write::RemoveBot(id) => drop(bots.remove(&id)),
        Write::AddChannel(channel) => {
            let ordinal = *ordinals.get(&channel.id)?;
            channels.insert(channel.id.clone(), Arc::new(Channel { ordinal, ..*channel }));
        }
        Write::Channel { channel, enable } => {
            let new = replaced(channels.get(&channel.id)?, *channel, enable)?;
            channels.insert(new.id.clone(), Arc::new(new));
        }
        Write::RemoveChannel(id) => drop(channels.remove(&id)),
        Write::Record { .. } | Write::RemoveRecord(..) => {}
    }
    Some(())
}

/// As [`Write::Channel`] says. The mark of a receiver that is gone outlives the endpoint, and is not known where
/// there is none.
fn replaced(old: &Channel, mut new: Channel, enable: bool) -> Option<Channel> {
    if let Some(endpoint) = &mut new.endpoint {
        endpoint.disabled = old.endpoint.as_ref()?.disabled && !enable;
    }
    Some(Channel { bot: old.bot.clone(), ordinal: old.ordinal, ..new })
}

/// A record's body as what it is.
pub fn body<T: DeserializeOwned>(record: &Record) -> Result<T, Problem> {
    serde_json::from_str(&record.body).map_err(|error| unreadable(record, &error))
}

/// A record's secrets; none is an empty object.
pub fn sealed(record: &Record) -> Result<Map<String, Value>, Problem> {
    let Some(text) = &record.sealed else { return Ok(Map::new()) };
    serde_json::from_str(text.expose_secret()).map_err(|error| unreadable(record, &error))
}

fn unreadable(record: &Record, error: &serde_json::Error) -> Problem {
    // serde's words would quote what stands there.
    let (line, column) = (error.line(), error.column());
    let place = format!("{} {}", record.kind.as_str(), record.id);
    Problem::conflict(format!("the {place} cannot be read (line {line}, column {column})"))
}

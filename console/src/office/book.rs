//! Everything that decisions look at, at one moment, indexed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared::domain::ids::BotId;
use shared::registry::control::{Control, Kind, Record};
use shared::registry::{Channel, Registry};

use super::problem::Problem;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Book {
    pub revision: i64,
    pub registry: Registry,
    records: BTreeMap<(Kind, String), Record>,
    /// Digest of a token → its id.
    tokens: HashMap<String, String>,
    channels: HashMap<BotId, Vec<Arc<Channel>>>,
}

impl Book {
    pub fn new(control: Control) -> Self {
        let records: BTreeMap<_, _> = control
            .records
            .into_iter()
            .map(|record| ((record.kind, record.id.clone()), record))
            .collect();
        let tokens = records
            .values()
            .filter(|record| record.kind == Kind::Token)
            .filter_map(|record| {
                Some((record.sealed.as_ref()?.expose_secret().to_owned(), record.id.clone()))
            })
            .collect();
        let (revision, registry) = (control.revision, control.registry);
        let mut channels: HashMap<_, Vec<_>> = HashMap::new();
        for channel in registry.channels.values() {
            channels.entry(channel.bot.clone()).or_default().push(Arc::clone(channel));
        }
        Self { revision, registry, records, tokens, channels }
    }

    pub fn record(&self, kind: Kind, id: &str) -> Option<&Record> {
        self.records.get(&(kind, id.to_owned()))
    }

    /// All of a kind, by id.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        let from = (kind, String::new());
        self.records.range(from..).map(|(_, record)| record).take_while(move |r| r.kind == kind)
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

//! Opens the engines that the settings name, in pairs: embedded, or RabbitMQ with PostgreSQL; and
//! keeps what every room is built on alive: the registry's copy, the broker's health.

pub mod metrics;
pub mod presence;
pub mod replays;
pub mod upkeep;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::admin::Readiness;
use crate::broker::embedded::EmbeddedBroker;
use crate::broker::rabbitmq::{self, RabbitMq};
use crate::broker::{Broker, Health};
use crate::clock::Clock;
use crate::config::Settings;
use crate::entropy::Entropy;
use crate::ground::Ground;
use crate::keys::{self, WhenMissing};
use crate::lease::Lease;
use crate::lifecycle::Lifecycle;
use crate::process::Failure;
use crate::registry::RegistryError;
use crate::registry::cache::Cache;
use crate::sqlite::{self, Database};
use crate::store::postgres::{Postgres, PostgresConfig, Schema};
use crate::store::sqlite::Sqlite;
use crate::store::{Store, StoreError, Upkeep as _};
use crate::topology::Topology;
use crate::tracer::Tracer;
use crate::vault::Vault;
use crate::wire::envelope::Keys;
use crate::wire::jobs::Announcement;
use metrics::Metrics;

/// The first and the longest wait for a database that is away.
const PATIENCE: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// How a process treats the engines that it finds.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the process is, for people who look at the broker's connections.
    pub name: &'static str,
    pub keys: WhenMissing,
    /// Bring the store's schema up to date first. A room of many waits for an operator to do so.
    pub migrate: bool,
    /// Whether the process runs a dispatcher, which takes in what the broker found no partition for.
    pub dispatches: bool,
}

/// One pair, open.
#[derive(Debug)]
pub struct Engine<B, S> {
    pub broker: B,
    pub store: S,
    pub keys: Keys,
    pub registry: Cache,
    pub lease: Lease,
    /// This incarnation of this process.
    pub process: Uuid,
}

/// The pairs that there are.
#[derive(Debug)]
pub enum Engines {
    Embedded(Engine<EmbeddedBroker, Sqlite>, Database),
    Served(Engine<RabbitMq, Postgres>),
}

/// Why engines did not open, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is away: wait and try again.
    #[error("{0}")]
    Away(String),
    /// Another process works on this data folder.
    #[error("{0}")]
    InUse(String),
    /// A person has to look at it.
    #[error("{0}")]
    Hopeless(Failure),
}

/// As [`open`], for as long as it takes: what is away comes back. Says so in `readiness`.
pub async fn open_patiently(
    settings: &Settings,
    options: Options,
    metrics: &prometheus::Registry,
    readiness: &Readiness,
) -> Result<Engines, Failure> {
    let mut wait = PATIENCE[0];
    loop {
        match open(settings, options, metrics).await {
            Ok(engines) => {
                readiness.set("store", Ok(()));
                return Ok(engines);
            }
            Err(OpenError::Away(why)) => {
                tracing::warn!(error = %why, "the engines do not open yet; trying again");
                readiness.set("store", Err(why));
            }
            Err(hopeless) => return Err(hopeless.into()),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(PATIENCE[1]);
    }
}

/// Opens the pair that the settings name, once. A broker that is away is no error: it is connected to
/// in the background.
pub async fn open(
    settings: &Settings,
    options: Options,
    metrics: &prometheus::Registry,
) -> Result<Engines, OpenError> {
    let entropy = Entropy::Real;
    let ring = keys::load(settings, &entropy, options.keys).map_err(hopeless)?;
    let vault = ring.vault;
    let process = entropy.uuid_v7(Clock::Real.unix_ms());
    let topology = Topology {
        prefix: settings.engines.prefix.clone(),
        partitions: settings.engines.partitions,
        ..Topology::default()
    };
    let Some(store) = postgres(settings, &vault)? else {
        let database = Database::open(&settings.engines.data, Clock::Real).await?;
        let broker = EmbeddedBroker::open(&database, topology).await?;
        let store = Sqlite::new(&database, vault);
        let registry = Cache::load(&store).await?;
        let lease = Lease::eternal();
        let engine = Engine { broker, store, keys: ring.envelope, registry, lease, process };
        return Ok(Engines::Embedded(engine, database));
    };
    if options.migrate {
        store.migrate().await?;
    }
    let schema = store.schema().await?;
    if schema.found < schema.known {
        return Err(OpenError::Away(schema.to_string()));
    }
    let generation = store.generation(topology.partitions).await?;
    if generation.partitions != topology.partitions {
        return Err(hopeless(presence::another(generation, topology.partitions)));
    }
    let topology = Topology { generation: generation.number, ..topology };
    let registry = Cache::load(&store).await?;
    let config = rabbitmq::Config {
        urls: settings.engines.amqp.clone(),
        topology,
        process,
        room: options.name.to_owned(),
        consume_unrouted: options.dispatches,
        limits: rabbitmq::Limits::default(),
        replicated: replicated(settings),
    };
    let failed = |error: String| hopeless(Failure::usage(format!("engines.amqp: {error}")));
    let metrics =
        rabbitmq::Metrics::register(metrics).map_err(|error| failed(error.to_string()))?;
    let broker =
        RabbitMq::connect(config, entropy, metrics).map_err(|error| failed(error.to_string()))?;
    let (keys, lease) = (ring.envelope, Lease::not_yet());
    Ok(Engines::Served(Engine { broker, store, keys, registry, lease, process }))
}

/// Whether delivery queues outlive the loss of a node.
fn replicated(settings: &Settings) -> bool {
    match settings.engines.delivery_queues.as_str() {
        "quorum" => true,
        "classic" => false,
        _ => settings.engines.amqp.len() > 1,
    }
}

fn postgres(settings: &Settings, vault: &Vault) -> Result<Option<Postgres>, OpenError> {
    let Some(url) = settings.engines.postgres.clone() else { return Ok(None) };
    let connections = settings.engines.postgres_connections;
    Postgres::connect(&PostgresConfig { url, connections }, vault.clone())
        .map(Some)
        .map_err(|error| hopeless(Failure::usage(format!("engines.postgres: {error}"))))
}

/// Brings the store's schema up to date, and nothing else. Tells PostgreSQL's afterwards: it may be of a
/// newer release.
pub async fn migrate(settings: &Settings, keys: WhenMissing) -> Result<Option<Schema>, OpenError> {
    let ring = keys::load(settings, &Entropy::Real, keys).map_err(hopeless)?;
    if let Some(store) = postgres(settings, &ring.vault)? {
        store.migrate().await?;
        return Ok(Some(store.schema().await?));
    }
    // Opening the file does it.
    Database::open(&settings.engines.data, Clock::Real).await?.close().await;
    Ok(None)
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Away(why) | OpenError::InUse(why) => Self::unavailable(why),
            OpenError::Hopeless(failure) => failure,
        }
    }
}

impl<B: Broker, S: Store> Engine<B, S> {
    /// The ground of this process.
    pub fn ground(
        self,
        metrics: prometheus::Registry,
        readiness: Readiness,
        tracer: Tracer,
    ) -> Ground<B, S> {
        Ground {
            broker: self.broker,
            store: self.store,
            registry: self.registry,
            lease: self.lease,
            keys: self.keys,
            process: self.process,
            clock: Clock::Real,
            entropy: Entropy::Real,
            lifecycle: Lifecycle::new(),
            metrics,
            readiness,
            tracer,
        }
    }
}

/// Keeps the registry's copy fresh and the broker's health known, until the ground's life ends.
pub fn keep<B: Broker, S: Store>(ground: &Ground<B, S>) -> prometheus::Result<Metrics> {
    let metrics = Metrics::register(&ground.metrics, &ground.registry)?;
    let (registry, lifecycle) = (ground.registry.clone(), &ground.lifecycle);
    lifecycle.spawn(registry.clone().run(ground.store.clone(), lifecycle.stop()));
    let heard = ground.broker.announcements();
    lifecycle.spawn(listen(heard, ground.keys.clone(), registry.clone(), lifecycle.stop()));
    let health = ground.broker.health();
    let up = metrics.broker_up.clone();
    let (readiness, stop) = (ground.readiness.clone(), lifecycle.stop());
    lifecycle.spawn(follow(health, stop, move |health| {
        up.set(i64::from(*health == Health::Up));
        readiness.set("broker", ready(health));
        // What was announced meanwhile was not heard.
        registry.invalidate();
    }));
    Ok(metrics)
}

/// Tells every process that the registry has changed. Best effort: they read it again anyway.
pub async fn announce_change<B: Broker>(broker: &B, keys: &Keys) {
    match Announcement::RegistryChanged.seal(keys) {
        Ok(body) => broker.announce(body).await,
        Err(error) => tracing::error!(%error, "an announcement could not be written"),
    }
}

fn ready(health: &Health) -> Result<(), String> {
    match health {
        Health::Up => Ok(()),
        Health::Blocked => Err("it has asked publishers to stop".to_owned()),
        Health::Down => Err("no connection".to_owned()),
    }
}

async fn listen(
    mut heard: broadcast::Receiver<Bytes>,
    keys: Keys,
    registry: Cache,
    stop: CancellationToken,
) {
    loop {
        let body = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            body = heard.recv() => body,
        };
        match body.map(|body| Announcement::open(&keys, &body)) {
            Ok(Ok(Announcement::RegistryChanged)) | Err(RecvError::Lagged(_)) => {
                registry.invalidate();
            }
            Ok(_) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn follow(
    mut health: tokio::sync::watch::Receiver<Health>,
    stop: CancellationToken,
    tell: impl Fn(&Health),
) {
    loop {
        let now = health.borrow_and_update().clone();
        tell(&now);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = health.changed() => if changed.is_err() { return },
        }
    }
}

fn hopeless(failure: impl Into<Failure>) -> OpenError {
    OpenError::Hopeless(failure.into())
}

impl From<sqlite::OpenError> for OpenError {
    fn from(error: sqlite::OpenError) -> Self {
        let text = error.to_string();
        match error {
            sqlite::OpenError::InUse { .. } => Self::InUse(text),
            sqlite::OpenError::Partitions { .. } => Self::Hopeless(Failure::usage(text)),
            sqlite::OpenError::Io { .. }
            | sqlite::OpenError::Newer { .. }
            | sqlite::OpenError::Failed(_) => Self::Hopeless(Failure::unavailable(text)),
        }
    }
}

/// Codes of PostgreSQL for a table or a column that is not there.
const NO_SCHEMA: [&str; 2] = ["42P01", "42703"];

/// A store's error for an operator. A database without our tables counts as away, since somebody may be
/// about to make them; they are told how.
pub fn explain(error: &StoreError) -> String {
    let text = error.to_string();
    if NO_SCHEMA.iter().any(|code| text.contains(code)) {
        format!("{text} (`switchhook migrate` brings the schema up to date)")
    } else {
        text
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        let text = explain(&error);
        match error {
            StoreError::Away(_) => Self::Away(text),
            StoreError::Refused(_) => Self::Hopeless(Failure::unavailable(text)),
        }
    }
}

impl From<RegistryError> for OpenError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => error.into(),
            RegistryError::Invalid(why) => Self::Hopeless(Failure::unavailable(why)),
        }
    }
}

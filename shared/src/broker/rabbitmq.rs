//! RabbitMQ, 3.10 and later, over lapin.
//!
//! Three connections, each with a supervisor that makes it again as a new *incarnation*: publishing
//! (a blocked broker stops reading from it), consuming (acks must go on meanwhile), and replies with
//! announcements. Nothing of one incarnation is carried over to the next.

mod acks;
mod consumer;
mod courier;
mod declare;
mod link;
mod metrics;
mod names;
mod probe;
mod publisher;
mod replies;
mod ring;
mod subscriptions;
mod supervisor;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use lapin::types::ShortString;
use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use consumer::{Acker, Consumer};
pub use metrics::Metrics;
pub use probe::{Depth, Probe, depths, probe, remove, unbind};

use super::mailbox::Mailbox;
use super::{Broker, ConsumerLost, Health, PublishError, ReplyAddress};
use crate::domain::ids::TurnId;
use crate::entropy::Entropy;
use crate::topology::{self, Partition, Queue, Topology};
use courier::Parcel;
use link::Link;
use metrics::Dropped;
use names::Names;
use supervisor::Role;

/// Seconds between heartbeats, when the URL does not say otherwise: a node that vanishes is noticed
/// within twice that.
const HEARTBEAT: u16 = 10;
/// Replies that wait for whoever has taken [`Broker::replies`].
const REPLIES_MAX: usize = 4_096;
const ANNOUNCEMENTS_MAX: usize = 1_024;
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// What a connection needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// `amqp://` or `amqps://` URLs of the nodes, tried in order.
    pub urls: Vec<SecretString>,
    pub topology: Topology,
    /// This incarnation of this process.
    pub process: Uuid,
    /// Which room or rooms this process runs, for people who look at the broker's connections.
    pub room: String,
    /// Whether this process takes in turns that the broker found no partition for: every dispatcher.
    pub consume_unrouted: bool,
    pub limits: Limits,
    /// Whether delivery queues are quorum queues too, as in a cluster, where a classic queue is away as
    /// long as its node is.
    pub replicated: bool,
}

/// How long a queue may grow before it refuses.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In jobs.
    pub jobs_max: i64,
    /// In bytes.
    pub bytes_max: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { jobs_max: topology::QUEUE_JOBS_MAX, bytes_max: topology::QUEUE_BYTES_MAX }
    }
}

/// What is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("no URL of a RabbitMQ node is given")]
    NoUrl,
    #[error("URL {0} of RabbitMQ is not valid: {1}")]
    Url(usize, String),
    #[error("the prefix {0:?} is longer than 100 bytes")]
    Prefix(String),
}

type Unacked = Box<dyn Fn() -> u64 + Send + Sync>;

/// What the incarnations and the callers share.
struct Shared {
    config: Config,
    uris: Vec<AMQPUri>,
    names: Names,
    metrics: Metrics,
    entropy: Entropy,
    stop: CancellationToken,
    tracker: TaskTracker,
    declaring: tokio::sync::Mutex<()>,
    publishers: ArcSwapOption<publisher::Publishers>,
    consuming: watch::Sender<Option<Arc<Link>>>,
    couriers: ArcSwapOption<replies::Couriers>,
    reply_address: watch::Sender<Option<ReplyAddress>>,
    mailbox: Mailbox,
    announcements: broadcast::Sender<Bytes>,
    health: watch::Sender<Health>,
    balances: AtomicBool,
    unacked: Mutex<HashMap<(Queue, Partition), Unacked>>,
}

/// One process's connections to RabbitMQ. Clones are the same connections.
#[derive(Clone)]
pub struct RabbitMq {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitMq").field("room", &self.shared.config.room).finish_non_exhaustive()
    }
}

impl RabbitMq {
    /// Begins to connect and returns at once; [`Broker::health`] tells how it goes. The connections
    /// last until [`Broker::close`].
    pub fn connect(
        config: Config,
        entropy: Entropy,
        metrics: Metrics,
    ) -> Result<Self, ConfigError> {
        let uris = parse(&config)?;
        let shared = Arc::new(Shared {
            uris,
            names: Names::new(&config.topology),
            config,
            metrics,
            entropy,
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
            declaring: tokio::sync::Mutex::new(()),
            publishers: ArcSwapOption::empty(),
            consuming: watch::Sender::new(None),
            couriers: ArcSwapOption::empty(),
            reply_address: watch::Sender::new(None),
            mailbox: Mailbox::new(REPLIES_MAX),
            announcements: broadcast::Sender::new(ANNOUNCEMENTS_MAX),
            health: watch::Sender::new(Health::Down),
            balances: AtomicBool::new(false),
            unacked: Mutex::default(),
        });
        for role in Role::ALL {
            shared.tracker.spawn(supervisor::supervise(Arc::clone(&shared), role));
        }
        Ok(Self { shared })
    }
}

impl Shared {
    async fn publish(
        &self,
        partition: Partition,
        turn: TurnId,
        body: Bytes,
    ) -> Result<(), PublishError> {
        let blocked = *self.health.borrow() == Health::Blocked;
        let publishers = match self.publishers.load_full() {
            Some(_) if blocked => Err("blocked"),
            Some(publishers) => Ok(publishers),
            None => Err("no connection"),
        };
        let published = match publishers {
            Ok(publishers) => publishers.publish(partition, turn, body).await,
            Err(why) => Err(PublishError::Unavailable(why)),
        };
        self.metrics.published(published.as_ref().err());
        published
    }

    fn ring(&self, partition: Partition, turn: TurnId, body: Bytes) -> Result<(), PublishError> {
        let exchange = self.names.deliveries.clone();
        let key = self.names.routing_key(partition);
        let parcel = Parcel { exchange, key, turn: Some(turn), body };
        if self.publishers.load().as_ref().is_some_and(|publishers| publishers.ring(parcel)) {
            return Ok(());
        }
        self.metrics.dropped(Dropped::Doorbell);
        Err(PublishError::Unavailable("doorbell dropped"))
    }

    fn set_health(&self, health: Health) {
        self.metrics.blocked.set(i64::from(health == Health::Blocked));
        self.health.send_replace(health);
    }

    /// Only a connection that publishes becomes blocked.
    fn set_blocked(&self, blocked: bool) {
        if self.publishers.load().is_some() {
            self.set_health(if blocked { Health::Blocked } else { Health::Up });
        }
    }

    fn take_reply(&self, body: Bytes) {
        if self.mailbox.slot(&body).try_send(body).is_err() {
            self.metrics.dropped(Dropped::Reply);
        }
    }
}

fn parse(config: &Config) -> Result<Vec<AMQPUri>, ConfigError> {
    if config.urls.is_empty() {
        return Err(ConfigError::NoUrl);
    }
    if config.topology.prefix.len() > 100 {
        return Err(ConfigError::Prefix(config.topology.prefix.clone()));
    }
    let parsed = config.urls.iter().enumerate().map(|(at, url)| {
        let mut uri: AMQPUri =
            url.expose_secret().parse().map_err(|why| ConfigError::Url(at + 1, why))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(uri)
    });
    parsed.collect()
}

impl Broker for RabbitMq {
    type Consumer = Consumer;

    fn topology(&self) -> &Topology {
        &self.shared.config.topology
    }

    async fn publish(
        &self,
        queue: Queue,
        partition: Partition,
        turn: TurnId,
        body: Bytes,
    ) -> Result<(), PublishError> {
        match queue {
            Queue::Turns => self.shared.publish(partition, turn, body).await,
            Queue::Deliveries => self.shared.ring(partition, turn, body),
        }
    }

    async fn reachable(&self) {
        let _link = subscriptions::connection(&self.shared).await;
    }

    async fn consume(&self, queue: Queue, partition: Partition) -> Result<Consumer, ConsumerLost> {
        let consumer = subscriptions::partition(&self.shared, queue, partition).await?;
        let mut unacked = self.shared.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        unacked.insert((queue, partition), Box::new(consumer.unacked()));
        Ok(consumer)
    }

    async fn consume_dead(&self, queue: Queue) -> Result<Consumer, ConsumerLost> {
        subscriptions::dead(&self.shared, queue).await
    }

    fn reply_address(&self) -> watch::Receiver<Option<ReplyAddress>> {
        self.shared.reply_address.subscribe()
    }

    fn replies(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.shared.mailbox.replies.take()
    }

    fn activities(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.shared.mailbox.activities.take()
    }

    async fn reply(&self, to: &ReplyAddress, body: Bytes) {
        let (couriers, key) = (self.shared.couriers.load_full(), ShortString::try_new(&*to.0));
        let sent = match (couriers, key) {
            (Some(couriers), Ok(key)) => {
                let exchange = self.shared.names.replies.clone();
                couriers.replies.send(Parcel { exchange, key, turn: None, body }).await
            }
            _ => false,
        };
        if !sent {
            self.shared.metrics.dropped(Dropped::Reply);
        }
    }

    async fn announce(&self, body: Bytes) {
        let exchange = self.shared.names.control.clone();
        let parcel = Parcel { exchange, key: "".into(), turn: None, body };
        let sent = match self.shared.couriers.load_full() {
            Some(couriers) => couriers.announcements.send(parcel).await,
            None => false,
        };
        if !sent {
            self.shared.metrics.dropped(Dropped::Announcement);
        }
    }

    fn announcements(&self) -> broadcast::Receiver<Bytes> {
        self.shared.announcements.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn balances(&self, queue: Queue) -> bool {
        queue == Queue::Turns && self.shared.balances.load(Ordering::Relaxed)
    }

    async fn depth(&self, queue: Queue, partition: Partition) -> Result<u64, ConsumerLost> {
        let name = self.shared.config.topology.queue(queue, partition);
        let ready = subscriptions::ready(&self.shared, &name).await?;
        let unacked = self.shared.unacked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ready + unacked.get(&(queue, partition)).map_or(0, |count| count()))
    }

    async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.consuming.send_replace(None);
        self.shared.tracker.close();
        if tokio::time::timeout(CLOSE_MAX, self.shared.tracker.wait()).await.is_err() {
            tracing::warn!("the connections to the broker did not end in time");
        }
    }
}

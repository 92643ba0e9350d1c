//! Room 2: turns in, replies and deliveries out.
//!
//! A turn is worked on in its conversation's lane: load, run the bot, commit once, and only then tell
//! whoever waits. [`start`] subscribes to the turns. Inside: `worker` one turn's way; `bots` what runs;
//! `replies` answers for waiting callers; `saturation` and `breakers` bots that cannot keep up; `dead`
//! what the broker gave up; `domain` what is decided; `rehearsal` conversations without any of that.

mod alone;
pub mod bots;
mod breakers;
mod channels;
mod dead;
pub mod domain;
mod metrics;
pub mod rehearsal;
mod replies;
mod room;
mod saturation;
mod worker;

pub use alone::Alone;

use std::net::SocketAddr;
use std::sync::Arc;

use shared::broker::Broker;
use shared::config::Settings;
use shared::egress;
use shared::ground::Ground;
use shared::registry::RegistryStore;
use shared::store::{Deliveries, Turns};
use shared::topology::Queue;
use shared::{partitions, sweep};
use tokio::sync::mpsc;

use bots::connector::Callbacks;
use bots::{Bot, Kinds};
use metrics::Metrics;
use room::Room;
use worker::Worker;

/// Why a dispatcher does not start. An operator's words.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the metrics are registered already: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("TLS for calls to bots cannot be set up: {0}")]
    Tls(String),
}

/// A dispatcher at work. It ends with the life of its ground; dropping this does not end it.
#[derive(Debug)]
pub struct Running {
    metrics: Metrics,
}

impl Running {
    /// Turns whose bot runs now, as of the last quarter of a second.
    pub fn in_flight(&self) -> i64 {
        self.metrics.permits.get()
    }
}

/// Starts dispatching on the ground's life: when that is drained, no further turn begins, running ones
/// get a few seconds to end, and what is left is handed over.
#[expect(clippy::unused_async, reason = "rooms are started alike, and others do wait")]
pub async fn start<B: Broker, S: Turns + Deliveries + RegistryStore>(
    ground: Ground<B, S>,
    settings: &Settings,
) -> Result<Running, StartError> {
    let egress = egress::Client::new(&settings.egress, own_listeners(settings))
        .map_err(|error| StartError::Tls(error.to_string()))?;
    let scripts = bots::script::Scripts::new(&settings.script);
    let _keeping = ground.lifecycle.spawn(scripts.keep(ground.lifecycle.stop()));
    let metrics = Metrics::register(&ground.metrics)?;
    let heard = metrics.activities.clone();
    let callbacks = Callbacks::start(&ground, settings.ingress.url(), heard);
    let kinds = Kinds { egress, entropy: ground.entropy.clone(), scripts, callbacks };
    dispatch(&ground, settings, kinds, metrics)
}

/// As [`start`], with bot logic of one's own.
#[expect(clippy::unused_async, reason = "rooms are started alike, and others do wait")]
pub async fn start_with<B, S, L>(
    ground: Ground<B, S>,
    settings: &Settings,
    bot: L,
) -> Result<Running, StartError>
where
    B: Broker,
    S: Turns + Deliveries + RegistryStore,
    L: Bot + 'static,
{
    let metrics = Metrics::register(&ground.metrics)?;
    dispatch(&ground, settings, bot, metrics)
}

fn dispatch<B, S, L>(
    ground: &Ground<B, S>,
    settings: &Settings,
    bot: L,
    metrics: Metrics,
) -> Result<Running, StartError>
where
    B: Broker,
    S: Turns + Deliveries + RegistryStore,
    L: Bot + 'static,
{
    let (shadows, waiting) = mpsc::channel(worker::WAITING_MAX);
    let most = settings.metrics.channels_max;
    let channels = channels::register(&ground.metrics, (&ground.registry, most))?;
    let counted = (metrics.clone(), channels);
    let room = Arc::new(Room::new(ground, settings, (bot, shadows), counted));
    let stop = ground.lifecycle.stop();
    let serving = worker::serve_shadows(Arc::clone(&room), waiting, stop);
    let _serving = ground.lifecycle.spawn(serving);
    sweep::start(ground, "dispatcher", Vec::new)?;
    partitions::start(ground, Queue::Turns, &Arc::new(Worker(room)))?;
    Ok(Running { metrics })
}

/// What is never called, though a private network may be allowed: the installation's own doors.
fn own_listeners(settings: &Settings) -> Vec<SocketAddr> {
    let listeners = [settings.ingress.listen, settings.admin.listen];
    listeners.into_iter().filter(|listener| listener.port() != 0).collect()
}

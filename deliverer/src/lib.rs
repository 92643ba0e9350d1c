//! Room 3: deliveries in, HTTP out.
//!
//! A doorbell only says that a conversation may have something to deliver; the row says what. [`start`]
//! subscribes to the doorbells and sweeps. Inside: `worker` a conversation's lane; `attempt` one POST
//! and its outcome; `gates` who may call which endpoint now; `drain` what waits for that; `timers`
//! retries on time; `ringer` bells that this process owes to others; `domain` what is decided.

mod alone;
mod attempt;
mod channels;
mod domain;
mod drain;
mod gates;
mod memory;
mod metrics;
mod ringer;
mod room;
mod runs;
mod timers;
mod traces;
mod worker;

pub use alone::Alone;

use std::net::SocketAddr;
use std::sync::Arc;

use shared::broker::Broker;
use shared::config::Settings;
use shared::egress;
use shared::ground::Ground;
use shared::store::{Deliveries, Turns};
use shared::topology::Queue;
use shared::{partitions, sweep};

use metrics::Metrics;
use room::Room;
use worker::Worker;

/// Why a deliverer does not start. An operator's words.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the metrics are registered already: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("TLS for outbound calls cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A deliverer at work. It ends with the life of its ground; dropping this does not end it.
#[derive(Debug)]
pub struct Running {
    metrics: Metrics,
}

impl Running {
    /// Attempts that run now.
    pub fn in_flight(&self) -> i64 {
        self.metrics.in_flight.get()
    }
}

/// Starts delivering on the ground's life: when that is drained, no further attempt begins, running ones
/// get a few seconds to end, and what is left is handed over.
pub async fn start<B: Broker, S: Deliveries + Turns>(
    ground: Ground<B, S>,
    settings: &Settings,
) -> Result<Running, StartError> {
    let client = egress::Client::new(&settings.egress, own_listeners(settings))?;
    start_with(ground, settings, client).await
}

/// As [`start`], with a way out of one's own.
#[expect(clippy::unused_async, reason = "rooms are started alike, and others do wait")]
pub async fn start_with<B: Broker, S: Deliveries + Turns>(
    ground: Ground<B, S>,
    settings: &Settings,
    client: egress::Client,
) -> Result<Running, StartError> {
    let metrics = Metrics::register(&ground.metrics)?;
    let most = settings.metrics.channels_max;
    let channels = channels::register(&ground.metrics, (&ground.registry, most))?;
    let counted = (metrics.clone(), channels);
    let room = Arc::new(Room::new(&ground, settings, client, counted));
    let gates = room.gates.clone();
    sweep::start(&ground, "deliverer", move || gates.open())?;
    partitions::start(&ground, Queue::Deliveries, &Arc::new(Worker(room)))?;
    Ok(Running { metrics })
}

/// What is never called, though a private network may be allowed: the installation's own doors.
fn own_listeners(settings: &Settings) -> Vec<SocketAddr> {
    let listeners = [settings.ingress.listen, settings.admin.listen];
    listeners.into_iter().filter(|listener| listener.port() != 0).collect()
}

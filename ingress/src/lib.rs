//! Ingress: the thin HTTP edge. It proves who speaks, reads what is said, hands the turn to the broker,
//! and says only what it knows: 200 after the broker's confirm or with the bot's answer, 503 when
//! nothing was accepted, "unknown" when nobody can know.
//!
//! `domain/` decides, as plain values; `routes/` does it in order; `server/` holds the connections.

mod alone;
mod channels;
mod config;
mod domain;
mod error;
mod jwt;
mod limiter;
mod limits;
mod metrics;
mod replies;
mod room;
mod routes;
mod saturation;
mod server;
mod shares;
mod teller;
mod waiters;

pub use alone::Alone;

use std::net::SocketAddr;
use std::sync::Arc;

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::store::Store;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::room::Room;

/// A running ingress. It ends with the ground's lifecycle.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub local_addr: SocketAddr,
}

/// Why ingress did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the listener has no address: {0}")]
    Listener(#[from] std::io::Error),
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// There can be one ingress in a process.
    #[error("this process's replies are taken already")]
    RepliesTaken,
}

/// Starts the room on a listener: connections, replies, and what dispatchers announce.
#[expect(clippy::unused_async, reason = "all rooms are started alike")]
pub async fn start<B: Broker, S: Store>(
    ground: Ground<B, S>,
    settings: &Settings,
    listener: TcpListener,
) -> Result<Running, StartError> {
    let local_addr = listener.local_addr()?;
    let config = Config::new(settings, local_addr);
    let metrics = Metrics::register(&ground.metrics)?;
    let replies = ground.broker.replies().ok_or(StartError::RepliesTaken)?;
    let announcements = ground.broker.announcements();
    let lifecycle = ground.lifecycle.clone();
    let most = settings.metrics.channels_max;
    let channels = channels::register(&ground.metrics, (&ground.registry, most))?;
    let room = Arc::new(Room::new(ground, config, (metrics, channels)));
    lifecycle.spawn(replies::take(Arc::clone(&room), replies));
    lifecycle.spawn(replies::rescue(Arc::clone(&room)));
    lifecycle.spawn(room::listen(Arc::clone(&room), announcements));
    lifecycle.spawn(room::watch_store(Arc::clone(&room)));
    lifecycle.spawn(room::forget(Arc::clone(&room)));
    lifecycle.spawn(server::serve(room, listener));
    tracing::info!(address = %local_addr, "ingress listens");
    Ok(Running { local_addr })
}

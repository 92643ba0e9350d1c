//! What all requests of this process share, and the two tasks that keep it up to date.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::broker::Broker;
use shared::channels::Places;
use shared::domain::ids::ClientId;
use shared::ground::Ground;
use shared::store::Store;
use shared::wire::jobs::Announcement;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::channels::Figures;
use crate::config::Config;
use crate::limiter::{Conversations, FORGET_EVERY, Failures};
use crate::limits::Limits;
use crate::metrics::{Metrics, Timings};
use crate::saturation::Saturation;
use crate::shares::Shares;
use crate::teller::Teller;
use crate::waiters::Waiters;

/// How often the store is asked whether it works.
const PING_EVERY: Duration = Duration::from_secs(1);
/// As many failures in a row mean that it is away.
const PINGS_FAILED: u32 = 2;

/// See the module's documentation.
pub(crate) struct Room<B, S> {
    pub(crate) ground: Ground<B, S>,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) channels: Places<Figures>,
    pub(crate) timings: Timings,
    pub(crate) teller: Teller,
    pub(crate) waiters: Waiters,
    pub(crate) saturation: Saturation,
    /// Synchronous turns under way, by bot and app.
    pub(crate) limits: Limits,
    pub(crate) conversations: Conversations,
    pub(crate) failures: Failures,
    /// Turns that may wait for a confirm or a reply.
    pub(crate) in_flight: Semaphore,
    /// Each app's part of them.
    pub(crate) app_shares: Arc<Shares<ClientId>>,
    /// KiB of bodies that may be held.
    pub(crate) bodies: Semaphore,
    /// Polls that may ask the store.
    pub(crate) polls: Semaphore,
    /// Proves nothing; tokens of apps that do not exist are checked against it.
    pub(crate) nobody: [u8; 32],
    /// Whether the store has answered lately.
    pub(crate) store_up: AtomicBool,
    /// Cancelled when the last connection has ended: nobody waits for a reply any more.
    pub(crate) answered: CancellationToken,
}

impl<B: Broker, S: Store> Room<B, S> {
    pub(crate) fn new(
        ground: Ground<B, S>,
        config: Config,
        counted: (Metrics, Places<Figures>),
    ) -> Self {
        let (metrics, channels) = counted;
        let mut nobody = [0; 32];
        ground.entropy.fill(&mut nobody);
        Self {
            timings: Timings::new(&metrics),
            teller: Teller::default(),
            waiters: Waiters::new(metrics.waiters.clone()),
            saturation: Saturation::new(metrics.saturated_bots.clone()),
            limits: Limits::new(u32::try_from(config.in_flight_max).unwrap_or(u32::MAX)),
            conversations: Conversations::default(),
            failures: Failures::new(config.failures_per_minute),
            in_flight: Semaphore::new(config.in_flight_max),
            app_shares: Arc::new(Shares::new(config.in_flight_per_app_max)),
            bodies: Semaphore::new(config.bodies_max_kib),
            polls: Semaphore::new(config.polls_max),
            nobody,
            store_up: AtomicBool::new(true),
            answered: CancellationToken::new(),
            ground,
            config,
            metrics,
            channels,
        }
    }
}

/// Takes in what dispatchers announce of saturated bots.
pub(crate) async fn listen<B: Broker, S: Store>(
    room: Arc<Room<B, S>>,
    mut announcements: broadcast::Receiver<bytes::Bytes>,
) {
    let stop = room.ground.lifecycle.stop();
    loop {
        let heard = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            heard = announcements.recv() => heard,
        };
        match heard {
            Ok(body) => match Announcement::open(&room.ground.keys, &body) {
                Ok(Announcement::Saturated { process, bot, saturated }) => {
                    room.saturation.announced(process, bot.into(), saturated);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "an announcement cannot be read"),
            },
            // What was missed is announced again while it lasts.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Forgets, now and then, whose rates have recovered.
pub(crate) async fn forget<B: Broker, S: Store>(room: Arc<Room<B, S>>) {
    let stop = room.ground.lifecycle.stop();
    let every = async {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            room.conversations.forget();
            room.failures.forget();
            room.limits.forget();
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = every => {}
    }
}

/// Keeps an eye on the store and on the age of what is known of channels. While the store is away,
/// callers who would wait for an answer are refused at once; others are served from memory until that is
/// too old, and then this process is not ready.
pub(crate) async fn watch_store<B: Broker, S: Store>(room: Arc<Room<B, S>>) {
    let stop = room.ground.lifecycle.stop();
    let watching = async {
        let mut tick = tokio::time::interval(PING_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0_u32;
        loop {
            tick.tick().await;
            let answer = room.ground.store.ping().await;
            failed = if answer.is_ok() { 0 } else { failed.saturating_add(1) };
            let was = room.store_up.swap(failed < PINGS_FAILED, Ordering::Relaxed);
            match answer {
                Err(error) if failed == PINGS_FAILED => tracing::warn!(%error, "the store is away"),
                Ok(()) if !was => tracing::info!("the store is back"),
                Ok(()) | Err(_) => {}
            }
            room.ground.readiness.set("registry", fresh(&room));
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = watching => {}
    }
}

fn fresh<B, S>(room: &Room<B, S>) -> Result<(), String> {
    let age = room.ground.registry.age();
    if !room.ground.lease.holds() {
        return Err("the store has not heard of this process for too long".to_owned());
    }
    if age <= room.config.registry_stale_max {
        return Ok(());
    }
    Err(format!("it was last read {} s ago", age.as_secs()))
}

//! The one sweep: once a second, in every dispatcher and every deliverer, rings for deliveries that
//! are due and that nobody is known to look after.
//!
//! Lost doorbells, crashed owners and dead claimers all end here. Whoever owns a partition needs to
//! know nothing: a doorbell is published to it, and whoever is given it reads the row.

use std::time::Duration;

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::MissedTickBehavior;

use crate::broker::{Broker, Health};
use crate::domain::ids::ChannelId;
use crate::entropy::Entropy;
use crate::ground::Ground;
use crate::registry::Endpoint;
use crate::store::{Backlog, Deliveries, Hint, StoreError};
use crate::topology::Queue;
use crate::wire::envelope::Keys;
use crate::wire::jobs::DeliveryJob;

/// How often a process looks.
pub const EVERY: Duration = Duration::from_secs(1);
/// Most doorbells of one endpoint in a round: twice the attempts that a deliverer makes at once.
pub const PER_ENDPOINT: u32 = 2 * Endpoint::PERMITS;
/// Most doorbells of a round.
pub const LIMIT: u32 = 500;
/// What is due is counted in one round of so many.
const COUNT_EVERY: u64 = 15;

/// Starts sweeping, until the process is told to stop. `room` is a label of the metrics; `paused` names
/// the endpoints that are known not to be well, whose deliveries are rung for one by one.
pub fn start<B: Broker, S: Deliveries>(
    ground: &Ground<B, S>,
    room: &'static str,
    paused: impl Fn() -> Vec<ChannelId> + Send + Sync + 'static,
) -> Result<(), prometheus::Error> {
    let sweeper = Sweeper {
        broker: ground.broker.clone(),
        store: ground.store.clone(),
        keys: ground.keys.clone(),
        metrics: Metrics::register(&ground.metrics, room)?,
        paused,
    };
    let first = first_wait(&ground.entropy);
    let stop = ground.lifecycle.stop();
    let _handle = ground.lifecycle.spawn(async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sweeper.run(first) => {}
        }
    });
    Ok(())
}

/// Processes that start together do not sweep together.
fn first_wait(entropy: &Entropy) -> Duration {
    EVERY.mul_f64(entropy.chance())
}

struct Sweeper<B, S, P> {
    broker: B,
    store: S,
    keys: Keys,
    metrics: Metrics,
    paused: P,
}

impl<B: Broker, S: Deliveries, P: Fn() -> Vec<ChannelId> + Send + Sync> Sweeper<B, S, P> {
    async fn run(self, first: Duration) {
        let health = self.broker.health();
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + first, EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        for round in 0_u64.. {
            tick.tick().await;
            // Also while the broker is away: then it grows.
            if round % COUNT_EVERY == 0
                && let Ok(backlog) = self.store.backlog().await
            {
                self.metrics.backlog(&backlog);
            }
            // A bell that cannot be rung would keep its row silent for half a minute.
            if *health.borrow() != Health::Up {
                continue;
            }
            let swept = self.round().await;
            self.metrics.rounds(&swept);
            match &swept {
                Err(error) if well => tracing::warn!(%error, "deliveries cannot be swept"),
                Ok(()) if !well => tracing::info!("deliveries are swept again"),
                Ok(()) | Err(_) => {}
            }
            well = swept.is_ok();
        }
    }

    /// One round. What is not rung is rung half a minute later; a broker that refuses one bell is not
    /// asked for the others.
    async fn round(&self) -> Result<(), StoreError> {
        let paused = (self.paused)();
        let hints = self.store.sweep(PER_ENDPOINT, LIMIT, &paused).await?;
        let found = hints.len() as u64;
        let mut rung = 0;
        for hint in hints {
            if let Err(error) = self.ring(hint).await {
                tracing::warn!(error, left = found - rung, "doorbells were not rung");
                break;
            }
            rung += 1;
        }
        self.metrics.rung.inc_by(rung);
        self.metrics.unrung.inc_by(found - rung);
        Ok(())
    }

    async fn ring(&self, hint: Hint) -> Result<(), String> {
        let partition = self.broker.topology().partition_of_hash(hint.hash);
        let job = DeliveryJob {
            place: hint.place,
            channel: hint.channel.as_str().to_owned(),
            fresh: None,
            traceparent: None,
        };
        let sealed = job.seal(&self.keys).map_err(|error| error.to_string())?;
        let rung = self.broker.publish(Queue::Deliveries, partition, hint.turn, sealed).await;
        rung.map_err(|error| error.to_string())
    }
}

#[derive(Debug)]
struct Metrics {
    rung: IntCounter,
    unrung: IntCounter,
    rounds: IntCounterVec,
    due: IntGauge,
    oldest: Gauge,
}

impl Metrics {
    fn register(registry: &Registry, room: &'static str) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("room", room);
        let metrics = Self {
            rung: IntCounter::with_opts(opts(
                "switchhook_sweep_rung_total",
                "Doorbells rung for due deliveries that nobody was known to look after.",
            ))?,
            unrung: IntCounter::with_opts(opts(
                "switchhook_sweep_unrung_total",
                "Doorbells that the broker did not take; they are rung again half a minute later.",
            ))?,
            rounds: IntCounterVec::new(
                opts("switchhook_sweep_rounds_total", "Rounds of the sweep, by result."),
                &["result"],
            )?,
            due: IntGauge::with_opts(opts(
                "switchhook_sweep_due_deliveries",
                "Deliveries of the installation that are due and in nobody's hands, at most 1,000 of each endpoint.",
            ))?,
            oldest: Gauge::with_opts(opts(
                "switchhook_sweep_oldest_due_seconds",
                "How long the oldest of them has been due.",
            ))?,
        };
        for result in ["ok", "failed"] {
            metrics.rounds.with_label_values(&[result]);
        }
        registry.register(Box::new(metrics.due.clone()))?;
        registry.register(Box::new(metrics.oldest.clone()))?;
        registry.register(Box::new(metrics.rung.clone()))?;
        registry.register(Box::new(metrics.unrung.clone()))?;
        registry.register(Box::new(metrics.rounds.clone()))?;
        Ok(metrics)
    }

    fn backlog(&self, backlog: &Backlog) {
        self.due.set(i64::try_from(backlog.due).unwrap_or(i64::MAX));
        self.oldest.set(backlog.oldest.as_secs_f64());
    }

    fn rounds(&self, swept: &Result<(), StoreError>) {
        let result = if swept.is_ok() { "ok" } else { "failed" };
        self.rounds.with_label_values(&[result]).inc();
    }
}

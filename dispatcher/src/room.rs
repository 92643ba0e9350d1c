//! What everything in this room shares.

use std::time::Duration;

use shared::broker::Broker;
use shared::channels::Places;
use shared::clock::Clock;
use shared::config::Settings;
use shared::domain::breaker::Rules;
use shared::domain::ids::BotId;
use shared::domain::retry::exponential;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lanes::permits::Permits;
use shared::registry::RegistryStore;
use shared::registry::cache::Cache;
use shared::store::Turns;
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;
use tokio::sync::{RwLock, mpsc};
use uuid::Uuid;

use crate::bots::{Bot, Limits};
use crate::breakers::Breakers;
use crate::channels::Figures;
use crate::dead::Drain;
use crate::metrics::Metrics;
use crate::replies::{self, Replier};
use crate::saturation::{Load, Watch};
use crate::worker::{Replaced, Shadowed};

/// Redelivered turns that run at once in a process, and those of them of one bot: a slow one must not
/// take them all.
const REDELIVERED_MAX: u32 = 8;
pub(crate) const REDELIVERED_OF_BOT_MAX: u32 = 6;
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(3);

/// See the module's documentation.
pub(crate) struct Room<B, S, L> {
    pub(crate) broker: B,
    pub(crate) store: S,
    pub(crate) bot: L,
    pub(crate) registry: Cache,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) process: Uuid,
    pub(crate) metrics: Metrics,
    pub(crate) channels: Places<Figures>,
    pub(crate) permits: Permits<BotId>,
    pub(crate) redelivered: Permits<BotId>,
    /// Every run holds it; a solo run holds it alone.
    pub(crate) runs: RwLock<()>,
    pub(crate) breakers: Breakers,
    pub(crate) load: Load,
    pub(crate) replier: Replier,
    pub(crate) limits: Limits,
    pub(crate) turn_deadline: Duration,
    pub(crate) shadows: mpsc::Sender<Box<Shadowed>>,
    pub(crate) replaced: Replaced,
    pub(crate) entropy: Entropy,
    pub(crate) tracer: Tracer,
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// Makes the room and starts its housekeeping.
    pub(crate) fn new(
        ground: &Ground<B, S>,
        settings: &Settings,
        (bot, shadows): (L, mpsc::Sender<Box<Shadowed>>),
        (metrics, channels): (Metrics, Places<Figures>),
    ) -> Self {
        let dispatcher = &settings.dispatcher;
        let rules = Rules { failures: dispatcher.breaker_failures, open: dispatcher.breaker_open };
        let stop = || ground.lifecycle.stop();
        let (broker, keys) = (|| ground.broker.clone(), || ground.keys.clone());
        let (replier, sender) = replies::replier(broker(), keys(), metrics.clone());
        let _sending = ground.lifecycle.spawn(sender.run());
        let (permits, load) = (Permits::new(dispatcher.permits), Load::default());
        let watch = Watch {
            broker: broker(),
            keys: keys(),
            process: ground.process,
            permits: permits.clone(),
            load: load.clone(),
            metrics: metrics.clone(),
            after: dispatcher.saturated_after,
        };
        let _watching = ground.lifecycle.spawn(watch.run(stop()));
        let store = ground.store.clone();
        let drain = Drain { broker: broker(), store: store.clone(), metrics: metrics.clone() };
        let _draining = ground.lifecycle.spawn(drain.run(stop()));
        Self {
            broker: broker(),
            store,
            bot,
            registry: ground.registry.clone(),
            keys: keys(),
            clock: ground.clock.clone(),
            process: ground.process,
            metrics,
            channels,
            permits,
            redelivered: Permits::new(REDELIVERED_MAX),
            runs: RwLock::new(()),
            breakers: Breakers::new(rules),
            load,
            replier,
            limits: Limits::of(dispatcher),
            turn_deadline: dispatcher.turn_deadline,
            shadows,
            replaced: Replaced::default(),
            entropy: ground.entropy.clone(),
            tracer: ground.tracer.clone(),
        }
    }

    /// 50 ms, doubling up to 3 s, and up to half as much again by chance.
    pub(crate) fn back_off(&self, failures: u32) -> Duration {
        let base = exponential(BACK_OFF_FIRST, 2.0, BACK_OFF_MAX, failures.saturating_sub(1));
        base + base.mul_f64(self.entropy.chance() / 2.0)
    }
}

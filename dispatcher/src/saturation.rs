//! Tells every ingress which bots cannot keep up, so that they are refused early.
//!
//! A bot is saturated when its oldest turn has waited too long for a permit, or when it holds a fifth
//! of a partition's prefetch window: then it is about to starve the bots beside it. While the store is away
//! none is: all of them wait for the same, and what is accepted meanwhile is kept.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::broker::Broker;
use shared::domain::ids::BotId;
use shared::lanes::permits::Permits;
use shared::topology::{PREFETCH, Partition};
use shared::wire::envelope::Keys;
use shared::wire::jobs::Announcement;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::metrics::Metrics;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An announcement that is not renewed is forgotten by those who heard it.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Jobs of one bot in one partition that make it saturated, and below which it no longer is.
const HELD_MAX: u32 = PREFETCH as u32 / 5;
const HELD_CALM: u32 = HELD_MAX / 2;

/// The jobs that each bot holds, by partition, and whether the store is away. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load(Arc<Loaded>);

#[derive(Debug, Default)]
struct Loaded {
    jobs: Mutex<HashMap<(BotId, Partition), u32>>,
    store_away: AtomicBool,
}

/// One job of a bot, counted until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    load: Load,
    key: (BotId, Partition),
}

impl Load {
    pub(crate) fn hold(&self, bot: &BotId, partition: Partition) -> Held {
        let key = (bot.clone(), partition);
        *self.jobs().entry(key.clone()).or_default() += 1;
        Held { load: self.clone(), key }
    }

    /// Whether the last call of the store found none.
    pub(crate) fn store_is(&self, away: bool) {
        self.0.store_away.store(away, Ordering::Relaxed);
    }

    /// The most that each bot holds of any one partition.
    fn most(&self) -> HashMap<BotId, u32> {
        let mut most: HashMap<BotId, u32> = HashMap::new();
        for ((bot, _), jobs) in &*self.jobs() {
            let entry = most.entry(bot.clone()).or_default();
            *entry = (*entry).max(*jobs);
        }
        most
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<(BotId, Partition), u32>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut jobs = self.load.jobs();
        if let Some(count) = jobs.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                jobs.remove(&self.key);
            }
        }
    }
}

/// The task that watches and announces.
pub(crate) struct Watch<B> {
    pub(crate) broker: B,
    pub(crate) keys: Keys,
    pub(crate) process: Uuid,
    pub(crate) permits: Permits<BotId>,
    pub(crate) load: Load,
    pub(crate) metrics: Metrics,
    /// How long a turn may wait for a permit.
    pub(crate) after: Duration,
}

impl<B: Broker> Watch<B> {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut announced: HashMap<BotId, Instant> = HashMap::new();
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = tick.tick() => self.look(&mut announced).await,
            }
        }
        for bot in announced.keys() {
            self.say(bot, false).await;
        }
    }

    async fn look(&self, announced: &mut HashMap<BotId, Instant>) {
        let saturated = self.saturated(announced);
        for bot in &saturated {
            let due = announced.get(bot).is_none_or(|at| at.elapsed() >= RENEW_EVERY);
            if due {
                if announced.insert(bot.clone(), Instant::now()).is_none() {
                    tracing::warn!(bot.id = %bot, "a bot is saturated: its turns are refused at the door");
                }
                self.say(bot, true).await;
            }
        }
        let over: Vec<_> =
            announced.keys().filter(|bot| !saturated.contains(bot)).cloned().collect();
        for bot in over {
            announced.remove(&bot);
            tracing::info!(bot.id = %bot, "a bot is no longer saturated");
            self.say(&bot, false).await;
        }
        self.metrics.permits.set(self.permits.used().into());
        self.metrics.saturated.set(i64::try_from(announced.len()).unwrap_or(i64::MAX));
    }

    /// A bot that was announced stays so until it is calm: half of what made it saturated.
    fn saturated(&self, announced: &HashMap<BotId, Instant>) -> HashSet<BotId> {
        if self.load.0.store_away.load(Ordering::Relaxed) {
            return HashSet::new();
        }
        let is_announced = |bot: &BotId| announced.contains_key(bot);
        let waits = self.permits.waits().into_iter().filter(|(bot, wait)| {
            *wait >= if is_announced(bot) { self.after / 2 } else { self.after }
        });
        let held =
            self.load.most().into_iter().filter(|(bot, jobs)| {
                *jobs >= if is_announced(bot) { HELD_CALM } else { HELD_MAX }
            });
        waits.map(|(bot, _)| bot).chain(held.map(|(bot, _)| bot)).collect()
    }

    async fn say(&self, bot: &BotId, saturated: bool) {
        let bot = bot.to_string();
        let announcement = Announcement::Saturated { process: self.process, bot, saturated };
        match announcement.seal(&self.keys) {
            Ok(sealed) => self.broker.announce(sealed).await,
            Err(error) => tracing::error!(%error, "an announcement could not be written"),
        }
    }
}

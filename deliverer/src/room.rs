//! What everything in this room shares.

use std::sync::Arc;
use std::time::Duration;

use shared::broker::Broker;
use shared::channels::Places;
use shared::clock::Clock;
use shared::config::Settings;
use shared::domain::breaker::Rules;
use shared::domain::ids::ChannelId;
use shared::domain::retry::exponential;
use shared::egress;
use shared::engines::announce_change;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::registry::cache::Cache;
use shared::registry::{Channel, Endpoint};
use shared::store::{Deliveries, StoreError, Turns};
use shared::topology::{Partition, Topology};
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;

use crate::channels::Figures;
use crate::gates::Gates;
use crate::metrics::Metrics;
use crate::ringer::{self, Ringer};
use crate::runs::Runs;
use crate::timers::Timers;
use crate::traces::Traces;

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(3);
/// How long a channel that is not in the copy of the registry is waited for, and the step of looking.
const UNKNOWN_CHANNEL: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See the module's documentation.
pub(crate) struct Room<B, S> {
    pub(crate) broker: B,
    pub(crate) store: S,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) client: egress::Client,
    pub(crate) metrics: Metrics,
    pub(crate) channels: Places<Figures>,
    pub(crate) gates: Gates,
    pub(crate) timers: Timers,
    pub(crate) runs: Arc<Runs>,
    pub(crate) ringer: Ringer,
    pub(crate) tracer: Tracer,
    pub(crate) traces: Traces,
    /// Most bytes of a response that are read.
    pub(crate) response_max: usize,
    registry: Cache,
    topology: Topology,
}

impl<B: Broker, S: Deliveries + Turns> Room<B, S> {
    /// Makes the room and starts its housekeeping.
    pub(crate) fn new(
        ground: &Ground<B, S>,
        settings: &Settings,
        client: egress::Client,
        (metrics, channels): (Metrics, Places<Figures>),
    ) -> Self {
        let deliverer = &settings.deliverer;
        let rules = Rules { failures: deliverer.breaker_failures, open: deliverer.breaker_open };
        let (ringer, owed) = Ringer::new();
        let (broker, keys) = (ground.broker.clone(), ground.keys.clone());
        let task = ringer::Task { broker, keys, metrics: metrics.clone(), owed };
        let _ringing = ground.lifecycle.spawn(task.run());
        let runs = Arc::new(Runs::new());
        let (forget, stop) = (Arc::clone(&runs), ground.lifecycle.stop());
        let _forgetting = ground.lifecycle.spawn(async move {
            stop.cancelled().await;
            forget.close();
        });
        Self {
            broker: ground.broker.clone(),
            store: ground.store.clone(),
            keys: ground.keys.clone(),
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            lifecycle: ground.lifecycle.clone(),
            client,
            gates: Gates::new(rules, deliverer.permits, metrics.clone()),
            metrics,
            channels,
            timers: Timers::default(),
            runs,
            ringer,
            tracer: ground.tracer.clone(),
            traces: Traces::default(),
            response_max: deliverer.response_max.0,
            registry: ground.registry.clone(),
            topology: ground.broker.topology().clone(),
        }
    }

    pub(crate) fn partition(&self, hash: u64) -> Partition {
        self.topology.partition_of_hash(hash)
    }

    /// Attempts at once of a channel's endpoint.
    pub(crate) fn limit(&self, channel: &ChannelId) -> u32 {
        let registry = self.registry.get();
        let endpoint = registry.channels.get(channel).and_then(|c| c.endpoint.as_ref());
        endpoint.map_or(Endpoint::PERMITS, |endpoint| endpoint.permits)
    }

    /// A channel, perhaps one that was made a moment ago.
    pub(crate) async fn channel(&self, id: &ChannelId) -> Option<Arc<Channel>> {
        let find = || self.registry.get().channels.get(id).cloned();
        if let Some(channel) = find() {
            return Some(channel);
        }
        self.registry.invalidate();
        let looking = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Some(channel) = find() {
                    return channel;
                }
            }
        };
        tokio::time::timeout(UNKNOWN_CHANNEL, looking).await.ok()
    }

    /// Tells every process, this one included, to read the registry again.
    pub(crate) async fn registry_changed(&self) {
        self.registry.invalidate();
        announce_change(&self.broker, &self.keys).await;
    }

    /// Asks the store until it answers. A store that is away is no answer.
    pub(crate) async fn patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut failures = 0;
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(error @ (StoreError::Away(_) | StoreError::Refused(_))) => {
                    tracing::warn!(%error, failures, "the store does not answer; asking again");
                }
            }
            let base = exponential(BACK_OFF_FIRST, 2.0, BACK_OFF_MAX, failures);
            failures += 1;
            tokio::time::sleep(base + base.mul_f64(self.entropy.chance() / 2.0)).await;
        }
    }
}

//! A room's copy of the registry: swapped whole, read without a lock.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Registry, RegistryError, RegistryStore};

/// How often a room reads the registry when nothing announces a change.
pub const REFRESH: Duration = Duration::from_secs(30);

/// Shared by everything in a room.
#[derive(Clone, Debug)]
pub struct Cache(Arc<State>);

#[derive(Debug)]
struct State {
    current: ArcSwap<Loaded>,
    refresh: Notify,
}

#[derive(Debug)]
struct Loaded {
    registry: Arc<Registry>,
    at: Instant,
}

/// Says of which bots this release cannot read the settings, once each.
fn tell(registry: &Registry, before: Option<&Registry>) {
    for (id, bot) in &registry.unreadable {
        if before.is_none_or(|before| before.unreadable.get(id) != Some(bot)) {
            tracing::error!(
                bot.id = %id,
                reason = bot.why,
                "this release cannot read a bot's settings: its channels refuse"
            );
        }
    }
}

impl Cache {
    /// Reads the registry for the first time.
    pub async fn load<S: RegistryStore>(store: &S) -> Result<Self, RegistryError> {
        Ok(Self::new(store.registry().await?))
    }

    pub fn new(registry: Registry) -> Self {
        tell(&registry, None);
        let loaded = Loaded { registry: Arc::new(registry), at: Instant::now() };
        Self(Arc::new(State { current: ArcSwap::from_pointee(loaded), refresh: Notify::new() }))
    }

    pub fn get(&self) -> Arc<Registry> {
        Arc::clone(&self.0.current.load().registry)
    }

    /// How old the copy is.
    pub fn age(&self) -> Duration {
        self.0.current.load().at.elapsed()
    }

    /// Asks for a read soon: somebody announced a change.
    pub fn invalidate(&self) {
        self.0.refresh.notify_one();
    }

    /// Reads the registry now.
    pub async fn refresh<S: RegistryStore>(&self, store: &S) -> Result<(), RegistryError> {
        self.put(store.registry().await?);
        Ok(())
    }

    /// Puts in what was read now.
    pub(crate) fn put(&self, registry: Registry) {
        tell(&registry, Some(&self.get()));
        self.0.current.store(Arc::new(Loaded { registry: Arc::new(registry), at: Instant::now() }));
    }

    /// Keeps the copy fresh until `stop`. A read that fails leaves the old copy, which then ages.
    pub async fn run<S: RegistryStore>(self, store: S, stop: CancellationToken) {
        loop {
            let wait = tokio::time::sleep(REFRESH);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.0.refresh.notified() => {}
                () = wait => {}
            }
            if let Err(error) = self.refresh(&store).await {
                tracing::warn!(%error, "the registry could not be read");
            }
        }
    }
}

//! A dispatcher as a process of its own.

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::process::Rooms;
use shared::store::Store;

/// The room's part of a process.
#[derive(Debug)]
pub struct Alone;

impl Rooms for Alone {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        crate::start(ground, &settings).await?;
        Ok(Vec::new())
    }

    /// Dispatchers clean the store: they are what talks to it most.
    fn cleans(&self) -> bool {
        true
    }
}

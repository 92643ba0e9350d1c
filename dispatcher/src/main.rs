//! The dispatcher as a process of its own.

use std::process::ExitCode;

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::process::{self, Rooms};
use shared::store::Store;

struct Dispatcher;

impl Rooms for Dispatcher {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        dispatcher::start(ground, &settings).await?;
        Ok(Vec::new())
    }

    /// Dispatchers clean the store: they are what talks to it most.
    fn cleans(&self) -> bool {
        true
    }
}

fn main() -> ExitCode {
    process::room("dispatcher", |_| Ok(Dispatcher))
}

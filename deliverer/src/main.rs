//! A deliverer as a process of its own.

use std::process::ExitCode;

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::process::{self, Rooms};
use shared::store::Store;

struct Alone;

impl Rooms for Alone {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        deliverer::start(ground, &settings).await?;
        Ok(Vec::new())
    }

    fn cleans(&self) -> bool {
        false
    }
}

fn main() -> ExitCode {
    process::room("deliverer", |_| Ok(Alone))
}

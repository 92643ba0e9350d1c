//! Ingress as a process of its own.

use std::process::ExitCode;

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::process::{self, Rooms};
use shared::store::Store;
use tokio::net::TcpListener;

struct Alone(TcpListener);

impl Rooms for Alone {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        ingress::start(ground, &settings, self.0).await?;
        Ok(Vec::new())
    }

    fn cleans(&self) -> bool {
        false
    }
}

fn main() -> ExitCode {
    process::room("ingress", |settings| {
        process::bind("ingress.listen", settings.ingress.listen).map(Alone)
    })
}

//! The rooms as processes of their own.

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::process::{self, Failure, Rooms};
use shared::store::Store;
use tokio::net::TcpListener;

/// The HTTP edge.
pub(crate) struct Ingress(TcpListener);

impl Ingress {
    pub(crate) fn bind(settings: &Settings) -> Result<Self, Failure> {
        process::bind("ingress.listen", settings.ingress.listen).map(Self)
    }
}

impl Rooms for Ingress {
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

/// Bot logic. Its processes also clean the store: they are what talks to it most.
pub(crate) struct Dispatcher;

impl Rooms for Dispatcher {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        dispatcher::start(ground, &settings).await?;
        Ok(Vec::new())
    }

    fn cleans(&self) -> bool {
        true
    }
}

/// Outbound deliveries.
pub(crate) struct Deliverer;

impl Rooms for Deliverer {
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

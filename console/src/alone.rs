//! The console as a process of its own.

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::process::{self, Failure, Rooms};
use shared::store::Store;
use tokio::net::TcpListener;

/// The room's part of a process, its port bound.
#[derive(Debug)]
pub struct Alone(TcpListener);

impl Alone {
    /// Binds the port of the settings. Called inside a runtime.
    pub fn bind(settings: &Settings) -> Result<Self, Failure> {
        let Some(address) = settings.console.listen else {
            return Err(Failure::usage("console.listen: a console needs an address".to_owned()));
        };
        Ok(Self(process::bind("console.listen", address)?))
    }
}

impl Rooms for Alone {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        crate::start(ground, &settings, self.0);
        Ok(Vec::new())
    }

    fn cleans(&self) -> bool {
        false
    }
}

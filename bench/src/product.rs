//! The product under measurement: one process a room, or one process for all with the embedded
//! engines, started from this same binary.

use crate::args::Mode;
use crate::client::Target;
use crate::compare::Engine;
use crate::meter::Watched;
use crate::sink::Sink;

pub(crate) struct Product;

impl Product {
    pub(crate) async fn start(_engine: &Engine, _mode: Mode, _sink: &Sink) -> anyhow::Result<Self> {
        anyhow::bail!("not wired yet")
    }
    pub(crate) fn watched(&self) -> Vec<Watched> {
        Vec::new()
    }
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        anyhow::bail!("not wired yet")
    }
}

//! The embedded engines as the suite sees them: a folder of the test's own.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::broker::Broker as _;
use shared::broker::embedded::{EmbeddedBroker, Limits};
use shared::clock::Clock;
use shared::sqlite::{Database, FILE};
use shared::topology::Topology;
use tempfile::TempDir;

use super::harness::{Harness, P0, Setup, TURNS};

pub(crate) struct Embedded {
    setup: Setup,
    state: Mutex<State>,
}

struct State {
    folder: TempDir,
    engine: Option<EmbeddedBroker>,
}

impl Embedded {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Harness for Embedded {
    type Broker = EmbeddedBroker;
    const ALONE: bool = true;

    async fn start(setup: Setup) -> Self {
        let state = State { folder: tempfile::tempdir().unwrap(), engine: None };
        Self { setup, state: Mutex::new(state) }
    }

    async fn process(&self) -> EmbeddedBroker {
        let folder = {
            let state = self.state();
            if let Some(engine) = &state.engine {
                return engine.clone();
            }
            state.folder.path().to_owned()
        };
        let database = Database::open(&folder, Clock::Real).await.unwrap();
        let partitions = self.setup.partitions;
        let topology = Topology { prefix: "test".to_owned(), generation: 1, partitions };
        let limits = Limits { jobs_max: self.setup.jobs_max, ..Limits::default() };
        let engine = EmbeddedBroker::open_with(&database, topology, limits).await.unwrap();
        self.state().engine = Some(engine.clone());
        engine
    }

    /// What a kill leaves: the file as it is at this moment, in another folder, for the next process.
    async fn kill(&self, process: &EmbeddedBroker) {
        let after = tempfile::tempdir().unwrap();
        let before = {
            let mut state = self.state();
            copy(state.folder.path(), after.path());
            state.engine = None;
            std::mem::replace(&mut state.folder, after)
        };
        process.close().await;
        drop(before);
    }

    async fn held(&self, process: &EmbeddedBroker) -> u64 {
        process.depth(TURNS, P0).await.unwrap()
    }
}

/// Copies the file, then its log. A log that was begun anew in between belongs to another file: again.
fn copy(from: &Path, to: &Path) {
    let log = format!("{FILE}-wal");
    let salt = || std::fs::read(from.join(&log)).map(|log| log.get(16..24).map(<[u8]>::to_vec));
    loop {
        let before = salt().unwrap();
        std::fs::copy(from.join(FILE), to.join(FILE)).unwrap();
        std::fs::copy(from.join(&log), to.join(&log)).unwrap();
        if salt().unwrap() == before {
            break;
        }
    }
}

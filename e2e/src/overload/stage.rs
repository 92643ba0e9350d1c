//! The product with two tenants, its capacity, and one load after the other.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use testkit::{lapse, wait};
use tokio::time::Instant;

use super::clients::Clients;
use super::tally::Tally;
use super::{Load, Mode, Overload};
use crate::endpoint::Script;
use crate::rig::{Options, Rig};
use crate::soak::resident_mib;
use crate::torture::ground::Ground;

const CALM: Duration = Duration::from_secs(3);
const BETWEEN: &str = "no load stands in another's queue";
/// How long what was accepted may take to be delivered.
const DELIVERED_MAX: Duration = Duration::from_mins(2);
/// Nothing is frozen here: the product's own heartbeats.
const HEARTBEATS: u64 = 60;
const DISPATCHERS: u32 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Ends when dropped.
pub(super) struct Stage {
    rig: Rig,
    _ground: Ground,
    synchronous: Clients,
    asynchronous: Clients,
    neighbour: Clients,
    /// Turns a second that the bot can do: no more, by what it takes for one.
    pub(super) capacity: f64,
    lasts: Duration,
    /// Asynchronous messages that were answered with 200.
    accepted: Mutex<BTreeSet<u32>>,
}

impl Stage {
    pub(super) async fn start(overload: &Overload) -> Result<Self> {
        let ground = Ground::start(overload.engines, HEARTBEATS).await?;
        let options = Options {
            thinks: Duration::from_secs_f64(overload.thinks / 1000.0),
            permits: overload.permits,
            mirrored: true,
            ..Options::default()
        };
        let shape = ground.shape([2, DISPATCHERS as usize, 2]).await?;
        let dispatchers = ground.outside.as_ref().map_or(1, |_| DISPATCHERS);
        let rig = Rig::start_with(shape, Script::default(), options).await?;
        let mirror = rig.mirror.as_ref().map_or(&rig.synchronous, |(synchronous, _)| synchronous);
        Ok(Self {
            synchronous: Clients::new(&rig.synchronous)?,
            asynchronous: Clients::new(&rig.asynchronous)?,
            neighbour: Clients::new(mirror)?,
            capacity: f64::from(overload.permits * dispatchers) * 1000.0 / overload.thinks,
            lasts: Duration::from_secs(overload.seconds),
            accepted: Mutex::default(),
            rig,
            _ground: ground,
        })
    }

    pub(super) async fn load(&self, mode: Mode, times: f64) -> Load {
        let clients = match mode {
            Mode::Sync => &self.synchronous,
            Mode::Async => &self.asynchronous,
        };
        let (shots, memory_mib) =
            self.watched(clients.open(times * self.capacity, self.lasts)).await;
        let ended = Instant::now();
        if mode == Mode::Async {
            let accepted = shots.iter().filter(|shot| shot.answered());
            let mut all = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(accepted.map(|shot| shot.number));
        }
        let delivered = || async { self.lost() == 0 };
        // What never comes is counted as lost.
        let _ = wait("all that was accepted is delivered", DELIVERED_MAX, delivered).await;
        let drained_s = ended.elapsed().as_secs_f64();
        lapse(CALM, BETWEEN).await;
        Load { mode, times, tally: Tally::of(&shots, self.lasts), memory_mib, drained_s }
    }

    /// A tenant at a fifth of its capacity, while the other has ten times as much.
    pub(super) async fn neighbour(&self) -> Tally {
        let quiet = self.neighbour.open(0.2 * self.capacity, self.lasts);
        let loud = self.synchronous.open(10.0 * self.capacity, self.lasts);
        let (shots, _) = tokio::join!(quiet, loud);
        lapse(CALM, BETWEEN).await;
        Tally::of(&shots, self.lasts)
    }

    /// Asynchronous messages that were accepted and are not delivered yet.
    pub(super) fn lost(&self) -> usize {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        self.rig.undelivered(&accepted)
    }

    /// With the largest sum of the memory of the product's processes meanwhile, in MiB.
    async fn watched<T>(&self, load: impl Future<Output = T>) -> (T, f64) {
        let mut load = std::pin::pin!(load);
        let mut most = 0.0_f64;
        loop {
            tokio::select! {
                biased;
                done = &mut load => return (done, most),
                () = lapse(LOOK_EVERY, "how often memory is read") => most = most.max(self.memory_mib()),
            }
        }
    }

    fn memory_mib(&self) -> f64 {
        let pids = self.rig.system.processes().iter().filter_map(testkit::system::Process::pid);
        pids.filter_map(resident_mib).sum()
    }
}

//! Tells the store that this process is at work, and holds its lease. Only where several processes share
//! their engines.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::Engine;
use crate::lease::Lease;
use crate::process::Failure;
use crate::store::postgres::{Generation, Postgres};
use crate::topology::Topology;

/// How often the store is told, unless the lease is shorter than four times that.
const EVERY: Duration = Duration::from_secs(10);
/// The last word at the end.
const LEAVE: Duration = Duration::from_secs(2);

/// What another number of partitions is told.
pub fn another(stored: Generation, asked: u16) -> Failure {
    let Generation { number, partitions } = stored;
    Failure::usage(format!(
        "engines.partitions is {asked} here, and this installation has {partitions} (generation {number}): \
         `switchhook partitions set` changes it, with every process stopped"
    ))
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Presence {
    store: Postgres,
    process: Uuid,
    telling: JoinSet<()>,
}

impl Presence {
    /// Begins to tell, under the process's name.
    pub fn start<B: crate::broker::Broker>(
        engine: &Engine<B, Postgres>,
        name: &'static str,
        lasts: Duration,
    ) -> Self {
        let mut telling = JoinSet::new();
        let (store, process) = (engine.store.clone(), engine.process);
        let topology = engine.broker.topology().clone();
        telling.spawn(tell(store.clone(), process, name, (topology, engine.lease.clone()), lasts));
        Self { store, process, telling }
    }

    /// When nothing is done any more. A process that cannot say so is waited for until its lease ends.
    pub async fn end(mut self) {
        self.telling.shutdown().await;
        let left = tokio::time::timeout(LEAVE, self.store.leave(self.process)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!("the store was not told that this process ends");
        }
    }
}

async fn tell(
    store: Postgres,
    process: Uuid,
    name: &'static str,
    (topology, lease): (Topology, Lease),
    lasts: Duration,
) {
    let mut come = false;
    loop {
        let begun = Instant::now();
        let stayed = if come { store.stay(process, lasts).await } else { Ok(None) };
        let heard = match stayed {
            // Whoever changes the number must see it: a lease without a row would be none.
            Ok(None) => store.arrive(process, name, lasts).await,
            Ok(Some(now)) => Ok(now),
            Err(error) => Err(error),
        };
        match heard {
            Ok(now) if now.number == topology.generation => {
                come = true;
                lease.renew(begun, lasts);
            }
            Ok(now) => {
                tracing::error!(
                    partitions = now.partitions,
                    generation = now.number,
                    "the number of partitions has been changed: this process ends"
                );
                lease.lose();
                return;
            }
            Err(error) => tracing::debug!(%error, "the store was not told of this process"),
        }
        tokio::time::sleep(EVERY.min(lasts / 4)).await;
    }
}

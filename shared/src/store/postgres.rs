//! The store on PostgreSQL 14 and newer.
//!
//! What is ready at one moment goes as one group, in one transaction and one round trip
//! ([`batch`]); a group's conversations are locked in the order of their ids, by commits, claims and
//! outcomes alike. Every call of a room ends within five seconds: a database that does not answer by
//! then is away, and the outcome of a write is unknown.

mod batch;
mod claim;
mod clean;
mod commit;
mod control;
mod deliver;
mod deliveries;
mod durability;
mod erase;
mod error;
mod intake;
mod keys;
mod ledger;
mod lists;
mod load;
mod marks;
mod migrate;
mod partitions;
mod pool;
mod presence;
mod registry;
mod replay;
mod reseal;
mod rows;
mod scripts;
mod settle;
mod sweep;
mod tally;
mod tls;
mod turns;
mod upkeep;
mod wider;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use batch::Batcher;
use error::late;
use pool::{DEADLINE, Pools};

pub use durability::Durability;
pub use migrate::Schema;
pub use pool::{ConnectError, PostgresConfig};
pub use presence::{Generation, Present, Standing};

use crate::store::StoreError;
use crate::vault::Vault;

/// A handle to the database, cheap to clone. Its tasks end with the last handle.
#[derive(Clone, Debug)]
pub struct Postgres(Arc<Engine>);

#[derive(Debug)]
struct Engine {
    pools: Pools,
    vault: Vault,
    loads: Batcher<load::Reader>,
    births: Batcher<load::Creator>,
    commits: Batcher<commit::Committer>,
    keys: Batcher<keys::Keeper>,
    lowest: Batcher<deliveries::LowestReader>,
    claims: Batcher<claim::Claimer>,
    outcomes: Batcher<settle::Settler>,
    /// Ended when dropped.
    _tasks: JoinSet<()>,
}

impl Postgres {
    /// Sets up pools and tasks. Connects when there is something to do: a database that is away is no
    /// error here. To be called inside a runtime.
    pub fn connect(config: &PostgresConfig, vault: Vault) -> Result<Self, ConnectError> {
        let pools = Pools::new(config)?;
        let hot = &pools.hot;
        let mut tasks = JoinSet::new();
        let engine = Engine {
            loads: Batcher::start(load::Reader { hot: hot.clone() }, &mut tasks),
            births: Batcher::start(load::Creator { hot: hot.clone() }, &mut tasks),
            commits: Batcher::start(commit::Committer { hot: hot.clone() }, &mut tasks),
            keys: Batcher::start(keys::Keeper { hot: hot.clone() }, &mut tasks),
            lowest: Batcher::start(deliveries::LowestReader { hot: hot.clone() }, &mut tasks),
            claims: Batcher::start(claim::Claimer { hot: hot.clone() }, &mut tasks),
            outcomes: Batcher::start(settle::Settler { hot: hot.clone() }, &mut tasks),
            _tasks: tasks,
            pools,
            vault,
        };
        Ok(Self(Arc::new(engine)))
    }

    /// How durable a commit is, by the server's settings.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let read = durability::read(&held).await;
            held.settle(read)
        })
        .await
    }
}

/// Gives up after `limit`: the database is away then.
async fn within<T, E: From<StoreError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, E> {
    tokio::time::timeout(limit, work).await.map_err(|elapsed| late(elapsed).into()).flatten()
}

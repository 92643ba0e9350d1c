//! The present set of partitions, and which processes may act on it (docs/adr/0019).

use std::time::Duration;

use uuid::Uuid;

use super::pool::{DEADLINE, Held};
use super::{Postgres, within};
use crate::store::StoreError;

/// One set of partitions on the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Generation {
    pub number: u32,
    pub partitions: u16,
}

/// What stands before a change.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Standing {
    pub generation: Generation,
    /// Processes that may be at work.
    pub rooms: Vec<Present>,
    #[serde(skip)]
    arrivals: i64,
}

/// A process that may be at work.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Present {
    pub process: Uuid,
    pub name: String,
    /// Seconds until it is certain that it is not, unless it is heard of again.
    pub for_seconds: f64,
}

const FIRST: &str = "insert into topology (generation, partitions) values ($1, $2)
                         on conflict do nothing";
const READ: &str = "select generation, partitions, arrivals from topology";
const READ_SHARED: &str = "select generation, partitions, arrivals from topology for share";
const READ_ALONE: &str = "select generation, partitions, arrivals from topology for update";
const ARRIVED: &str = "update topology set arrivals = arrivals + 1
                         returning generation, partitions, arrivals";
const SAID: &str = "
insert into room (process_id, name, until)
values ($1, $2, clock_timestamp() + $3::int8 * interval '1 millisecond')
    on conflict (process_id) do update set until = excluded.until";
const SAID_AGAIN: &str = "
update room set until = clock_timestamp() + $2::int8 * interval '1 millisecond'
 where process_id = $1";
const LEFT: &str = "delete from room where process_id = $1";
/// Five seconds for clocks that do not go at the same speed.
const ROOMS: &str = "
select process_id, name,
       extract(epoch from until - clock_timestamp())::float8 + 5 as seconds
  from room where until > clock_timestamp() - interval '5 seconds' order by name, process_id";
const MOVED: &str = "
update topology set generation = generation + 1, partitions = $1
 returning generation, partitions, arrivals";
const GONE: &str = "delete from room";
/// What processes that were killed have left.
const LONG_GONE: &str = "delete from room where until < clock_timestamp() - interval '1 day'";

impl Postgres {
    /// The present set; `partitions` make the first one where there has been none.
    pub async fn generation(&self, partitions: u16) -> Result<Generation, StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = first(&mut held, partitions).await;
            held.settle(result)
        })
        .await
    }

    /// A process is at work, and may be for so long without being heard of; answers with the present set.
    pub async fn arrive(
        &self,
        process: Uuid,
        name: &str,
        lasts: Duration,
    ) -> Result<Generation, StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = arrive(&mut held, process, name, millis(lasts)).await;
            held.settle(result)
        })
        .await
    }

    /// The same of one that has come before; `None` for one that was taken for gone, which has to come again.
    pub async fn stay(
        &self,
        process: Uuid,
        lasts: Duration,
    ) -> Result<Option<Generation>, StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = stay(&mut held, process, millis(lasts)).await;
            held.settle(result)
        })
        .await
    }

    /// A process does nothing any more.
    pub async fn leave(&self, process: Uuid) -> Result<(), StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = leave(&mut held, process).await;
            held.settle(result)
        })
        .await
    }

    /// What stands; `None` where no process has ever come.
    pub async fn standing(&self) -> Result<Option<Standing>, StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = standing(&mut held).await;
            held.settle(result)
        })
        .await
    }

    /// Makes the next set, of so many partitions, unless a process may be at work or has come since `seen`.
    /// `gone`: whoever was heard of lately is certainly gone.
    pub async fn renumber(
        &self,
        seen: &Standing,
        partitions: u16,
        gone: bool,
    ) -> Result<Option<Generation>, StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = renumber(&mut held, seen, partitions, gone).await;
            held.settle(result)
        })
        .await
    }
}

async fn first(client: &mut Held, partitions: u16) -> Result<Generation, StoreError> {
    client.execute(FIRST, &[&1_i32, &i32::from(partitions)]).await?;
    Ok(read(&client.query_one(READ, &[]).await?)?.0)
}

async fn leave(client: &mut Held, process: Uuid) -> Result<(), StoreError> {
    client.execute(LEFT, &[&process]).await?;
    Ok(())
}

async fn standing(client: &mut Held) -> Result<Option<Standing>, StoreError> {
    let Some(row) = client.query_opt(READ, &[]).await? else { return Ok(None) };
    let (generation, arrivals) = read(&row)?;
    let rooms = client.query(ROOMS, &[]).await?;
    let rooms = rooms.iter().map(present).collect::<Result<_, _>>()?;
    Ok(Some(Standing { generation, rooms, arrivals }))
}

async fn arrive(
    client: &mut Held,
    process: Uuid,
    name: &str,
    lasts: i64,
) -> Result<Generation, StoreError> {
    let transaction = client.transaction().await?;
    let generation = read(&transaction.query_one(ARRIVED, &[]).await?)?.0;
    transaction.execute(SAID, &[&process, &name, &lasts]).await?;
    transaction.execute(LONG_GONE, &[]).await?;
    transaction.commit().await?;
    Ok(generation)
}

/// The share lock: whoever changes the number sees either this time, or has been seen.
async fn stay(
    client: &mut Held,
    process: Uuid,
    lasts: i64,
) -> Result<Option<Generation>, StoreError> {
    let transaction = client.transaction().await?;
    let generation = read(&transaction.query_one(READ_SHARED, &[]).await?)?.0;
    let is_known = transaction.execute(SAID_AGAIN, &[&process, &lasts]).await? > 0;
    transaction.commit().await?;
    Ok(is_known.then_some(generation))
}

async fn renumber(
    client: &mut Held,
    seen: &Standing,
    partitions: u16,
    gone: bool,
) -> Result<Option<Generation>, StoreError> {
    let transaction = client.transaction().await?;
    let (generation, arrivals) = read(&transaction.query_one(READ_ALONE, &[]).await?)?;
    // Looked at under the lock, in a statement of its own.
    let at_work = !gone && !transaction.query(ROOMS, &[]).await?.is_empty();
    if at_work || generation != seen.generation || arrivals != seen.arrivals {
        return Ok(None);
    }
    transaction.execute(GONE, &[]).await?;
    let made = read(&transaction.query_one(MOVED, &[&i32::from(partitions)]).await?)?.0;
    transaction.commit().await?;
    Ok(Some(made))
}

fn read(row: &tokio_postgres::Row) -> Result<(Generation, i64), StoreError> {
    let (number, partitions): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    let generation = Generation {
        number: u32::try_from(number).unwrap_or(0),
        partitions: u16::try_from(partitions).unwrap_or(0),
    };
    Ok((generation, row.try_get(2)?))
}

fn present(row: &tokio_postgres::Row) -> Result<Present, StoreError> {
    Ok(Present { process: row.try_get(0)?, name: row.try_get(1)?, for_seconds: row.try_get(2)? })
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

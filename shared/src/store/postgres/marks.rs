//! Marks of redelivered runs, and stray jobs.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::pool::Connections;
use crate::domain::ids::TurnId;
use crate::store::text::clipped;
use crate::store::{Deaths, StoreError};
use crate::topology::Queue;

/// The process's own mark is no death; those of others are, for a run that ends removes its mark.
const MARK: &str = "
with own as (
  insert into mark (turn_id, process_id, solo, at) values ($1, $2, $3, clock_timestamp())
      on conflict (turn_id, process_id) do update set solo = excluded.solo, at = excluded.at
)
select count(*), count(*) filter (where solo) from mark where turn_id = $1 and process_id <> $2";

pub(super) async fn mark(
    calm: &Connections,
    turn: TurnId,
    process: Uuid,
    solo: bool,
) -> Result<Deaths, StoreError> {
    let held = calm.get().await?;
    let work = async {
        let statement = held.prepare_cached(MARK).await?;
        let row = held.query_one(&statement, &[&turn.uuid(), &process, &solo]).await?;
        let count = |column: i64| u32::try_from(column).unwrap_or(u32::MAX);
        Ok(Deaths { all: count(row.try_get(0)?), solo: count(row.try_get(1)?) })
    };
    let result = work.await;
    held.settle(result)
}

pub(super) async fn unmark(
    calm: &Connections,
    turn: TurnId,
    process: Uuid,
) -> Result<(), StoreError> {
    let sql = "delete from mark where turn_id = $1 and process_id = $2";
    execute(calm, sql, &[&turn.uuid(), &process]).await
}

pub(super) async fn keep_stray(
    calm: &Connections,
    queue: Queue,
    body: &[u8],
    reason: &str,
) -> Result<(), StoreError> {
    let sql = "insert into stray (queue, body, reason, at) values ($1, $2, $3, clock_timestamp())";
    execute(calm, sql, &[&queue.as_str(), &body, &clipped(reason, 1_000)]).await
}

async fn execute(
    calm: &Connections,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<(), StoreError> {
    let held = calm.get().await?;
    let work = async {
        let statement = held.prepare_cached(sql).await?;
        held.execute(&statement, parameters).await?;
        Ok(())
    };
    let result = work.await;
    held.settle(result)
}

//! Retention: days are dropped whole, everything else goes in bounded batches.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::migrate::SCHEMA_LOCK;
use super::partitions;
use super::pool::Held;
use super::rows::as_micros;
use crate::registry::ScriptLogic;
use crate::registry::control::AUDIT_KEPT;
use crate::store::{Cleaned, Retention, StoreError};

/// Rows that one round removes from one table, at most.
const BATCH: i64 = 1_000;

/// Turns whose day has no partition of its own.
const TURNS: &str = "delete from turn_default where turn_id in (
    select turn_id from turn_default where turn_id < $1 limit $2)";
const ATTEMPTS: &str = "delete from attempt_default
  where (turn_id, message, attempt) in (
    select turn_id, message, attempt from attempt_default where turn_id < $1 limit $2)";

/// $1 is a wait in microseconds, $2 the batch. A row that another has locked is for the next round;
/// the state is looked at again under the lock, for a redrive may have taken it on.
macro_rules! settled {
    ($state:literal) => {
        concat!(
            "delete from delivery d using (
               select conversation_id, number from delivery
                where state = ",
            $state,
            " and settled_at < clock_timestamp() - $1::int8 * interval '1 microsecond'
                order by settled_at limit $2 for update skip locked) old
             where d.conversation_id = old.conversation_id and d.number = old.number
               and d.state = ",
            $state
        )
    };
}
const DELIVERED: &str = settled!("1");
const PARKED: &str = settled!("2");

/// A conversation goes with its deliveries when all of them came home: locked first, then looked at
/// again in a statement of its own, for a redrive may have been under way.
const IDLE: &str = "
select c.id from conversation c
 where c.used_day <= ((clock_timestamp() - $1::int8 * interval '1 microsecond')
                      at time zone 'UTC')::date
   and c.used_at < clock_timestamp() - $1::int8 * interval '1 microsecond'
   and not exists (select from delivery d where d.conversation_id = c.id and d.state <> 1)
 order by c.used_day limit $2 for update skip locked";
const CONVERSATIONS: &str = "
with old as materialized (
  select c.id from unnest($1::uuid[]) as c (id)
   where not exists (select from delivery d where d.conversation_id = c.id and d.state <> 1)
), deliveries as (
  delete from delivery d using old where d.conversation_id = old.id
)
delete from conversation c using old where c.id = old.id";

/// Plain tables with a column that tells the age of a row.
macro_rules! aged {
    ($table:literal, $at:literal) => {
        concat!(
            "delete from ",
            $table,
            " where ctid = any (array(select ctid from ",
            $table,
            " where ",
            $at,
            " < clock_timestamp() - $1::int8 * interval '1 microsecond' order by ",
            $at,
            " limit $2 for update skip locked))"
        )
    };
}
const KEYS: &str = aged!("idempotency", "expires_at");
const MARKS: &str = aged!("mark", "at");
const STRAYS: &str = aged!("stray", "at");
const ERASURES: &str = aged!("erasure", "erased_at");
const RECORDS: &str = aged!("record", "expires_at");
const WIDER: &str = aged!("wider_context", "expires_at");
const AUDIT: &str = aged!("audit", "at");
const SCRIPTS: &str = aged!("script_version", "replaced_at");
const REPLAYS: &str = aged!("replay", "ended_at");

/// One round. Each table is a transaction of its own, so that locks are held briefly.
pub(super) async fn clean(client: &mut Held, retention: Retention) -> Result<Cleaned, StoreError> {
    let mut cleaned = Cleaned::default();
    cleaned.rows += days(client, retention.turns).await?;
    let oldest = {
        let transaction = client.transaction().await?;
        partitions::oldest_id(&transaction, retention.turns).await?
    };
    for sql in [TURNS, ATTEMPTS] {
        batch(client, &mut cleaned, sql, &oldest).await?;
    }
    let plain = [
        (DELIVERED, retention.deliveries),
        (PARKED, retention.parked),
        (KEYS, Duration::ZERO),
        (MARKS, retention.turns),
        (STRAYS, retention.parked),
        (ERASURES, retention.turns),
        (RECORDS, Duration::ZERO),
        (WIDER, Duration::ZERO),
        (AUDIT, AUDIT_KEPT),
        (SCRIPTS, ScriptLogic::KEPT),
        (REPLAYS, retention.parked),
    ];
    for (sql, kept) in plain {
        batch(client, &mut cleaned, sql, &as_micros(kept)).await?;
    }
    conversations(client, &mut cleaned, retention.conversations).await?;
    Ok(cleaned)
}

async fn conversations(
    client: &mut Held,
    cleaned: &mut Cleaned,
    kept: Duration,
) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    let idle = transaction.query(IDLE, &[&as_micros(kept), &BATCH]).await?;
    let ids = idle.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
    cleaned.rows += transaction.execute(CONVERSATIONS, &[&ids]).await?;
    cleaned.more |= u64::try_from(ids.len()).unwrap_or(0) >= BATCH.unsigned_abs();
    transaction.commit().await?;
    Ok(())
}

async fn batch(
    client: &Held,
    cleaned: &mut Cleaned,
    sql: &str,
    bound: &(dyn ToSql + Sync),
) -> Result<(), StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let rows = client.execute(&statement, &[bound, &BATCH]).await?;
    cleaned.rows += rows;
    cleaned.more |= rows >= BATCH.unsigned_abs();
    Ok(())
}

/// Makes the coming days' partitions and drops the past ones. Both wait for those who use the table
/// just now, and others wait behind them: so for a moment only, and again in the next round.
async fn days(client: &mut Held, kept: Duration) -> Result<u64, StoreError> {
    match change_days(client, kept).await {
        Ok(rows) => Ok(rows),
        Err(StoreError::Away(why)) if !client.is_closed() => {
            tracing::debug!(reason = why, "partitions are changed in a later round");
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

async fn change_days(client: &mut Held, kept: Duration) -> Result<u64, StoreError> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local lock_timeout = '150ms'").await?;
    let sql = "select pg_try_advisory_xact_lock($1)";
    if !transaction.query_one(sql, &[&SCHEMA_LOCK]).await?.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    partitions::create_ahead(&transaction).await?;
    let rows = partitions::drop_old(&transaction, kept).await?;
    transaction.commit().await?;
    Ok(rows)
}

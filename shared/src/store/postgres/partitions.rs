//! Partitions by day, for the tables whose day follows from the turn's id.
//!
//! A day's bounds are ids made of its first millisecond and zeros: UUIDs of version 7 sort by their
//! time. The default partition is a net; while it holds rows of a day, that day gets no partition.
//! A partition's name ends in its day: `turn_d20260131`.

use std::time::Duration;

use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::store::StoreError;

/// Tables that are partitioned.
const TABLES: [&str; 2] = ["turn", "attempt"];
/// Days beyond today that have their partition before they begin.
const AHEAD: i64 = 3;
const DAY_MS: i64 = 86_400_000;

/// The smallest id of this moment, in milliseconds since the Unix epoch.
pub(super) fn first_id(unix_ms: i64) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&unix_ms.max(0).to_be_bytes()[2..]);
    Uuid::from_bytes(bytes)
}

/// The database's time, in milliseconds since the Unix epoch.
async fn now_ms(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000)::int8";
    Ok(transaction.query_one(sql, &[]).await?.try_get(0)?)
}

/// Yesterday's (clocks differ), today's and the next days' partitions, where they are missing. The
/// caller holds the schema's lock.
pub(super) async fn create_ahead(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let today = now_ms(transaction).await?.div_euclid(DAY_MS);
    for table in TABLES {
        let present = days(transaction, table).await?;
        for day in today - 1..=today + AHEAD {
            if !present.iter().any(|(_, known)| *known == day)
                && !in_default(transaction, table, day).await?
            {
                create(transaction, table, day).await?;
            }
        }
    }
    Ok(())
}

async fn in_default(
    transaction: &Transaction<'_>,
    table: &str,
    day: i64,
) -> Result<bool, StoreError> {
    let sql =
        format!("select exists (select from {table}_default where turn_id >= $1 and turn_id < $2)");
    let (first, end) = (first_id(day * DAY_MS), first_id((day + 1) * DAY_MS));
    Ok(transaction.query_one(&sql, &[&first, &end]).await?.try_get(0)?)
}

async fn create(transaction: &Transaction<'_>, table: &str, day: i64) -> Result<(), StoreError> {
    let sql = "select to_char(date '1970-01-01' + $1::int4, 'YYYYMMDD')";
    let number = i32::try_from(day).unwrap_or(i32::MAX);
    let date: String = transaction.query_one(sql, &[&number]).await?.try_get(0)?;
    let (first, end) = (first_id(day * DAY_MS), first_id((day + 1) * DAY_MS));
    let sql = format!(
        "create table {table}_d{date} partition of {table} for values from ('{first}') to ('{end}')"
    );
    transaction.batch_execute(&sql).await?;
    Ok(())
}

/// A table's partitions with the number of their day.
async fn days(
    transaction: &Transaction<'_>,
    table: &str,
) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "
        select c.relname::text,
               (to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01')::int8
          from pg_inherits i
          join pg_class c on c.oid = i.inhrelid
         where i.inhparent = ($1::text)::regclass and c.relname ~ '_d[0-9]{8}$'";
    let rows = transaction.query(sql, &[&table]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Drops the partitions that ended longer ago than this; returns about how many rows they held.
/// The caller holds the schema's lock.
pub(super) async fn drop_old(
    transaction: &Transaction<'_>,
    kept: Duration,
) -> Result<u64, StoreError> {
    let oldest = now_ms(transaction).await? - millis(kept);
    let mut rows = 0;
    for table in TABLES {
        for (name, day) in days(transaction, table).await? {
            if (day + 1) * DAY_MS <= oldest {
                let sql = format!("select count(*) from {name}");
                let held: i64 = transaction.query_one(&sql, &[]).await?.try_get(0)?;
                transaction.batch_execute(&format!("drop table {name}")).await?;
                rows += u64::try_from(held).unwrap_or(0);
                tracing::info!(partition = name, rows = held, "a day's rows were dropped");
            }
        }
    }
    Ok(rows)
}

/// The smallest id that retention keeps.
pub(super) async fn oldest_id(
    transaction: &Transaction<'_>,
    kept: Duration,
) -> Result<Uuid, StoreError> {
    Ok(first_id(now_ms(transaction).await? - millis(kept)))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_a_moment_sorts_before_every_id_of_it_and_after_those_before() {
        let at = |ms: u64, random: u8| {
            uuid::Builder::from_unix_timestamp_millis(ms, &[random; 10]).into_uuid()
        };
        let ms = 1_700_000_000_000;
        let bound = first_id(1_700_000_000_000);
        assert!(bound <= at(ms, 0) && bound <= at(ms, 255));
        assert!(bound > at(ms - 1, 255));
        assert_eq!(first_id(-5), Uuid::nil());
    }
}

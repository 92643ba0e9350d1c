//! The schema, in the binary: numbered files, each applied once, in one transaction, by one process at
//! a time.

use std::fmt;

use super::pool::{DEADLINE, Held};
use super::{Postgres, partitions, within};
use crate::store::StoreError;

const MIGRATIONS: &[(i32, &str)] = &[
    (1, include_str!("migrations/0001.sql")),
    (2, include_str!("migrations/0002.sql")),
    (3, include_str!("migrations/0003.sql")),
    (4, include_str!("migrations/0004.sql")),
    (5, include_str!("migrations/0005.sql")),
    (6, include_str!("migrations/0006.sql")),
    (7, include_str!("migrations/0007.sql")),
];

/// Which schema a database has, and which one this release brings. Migrations only add what the release
/// before does not miss, so that one works on the schema of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// 0: none yet.
    pub found: i32,
    pub known: i32,
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, known } = self;
        match found.cmp(known) {
            std::cmp::Ordering::Less => write!(
                f,
                "the schema is {found}, this release needs {known}: `switchhook migrate` brings it up to date"
            ),
            std::cmp::Ordering::Equal => write!(f, "the schema is up to date ({known})"),
            std::cmp::Ordering::Greater => write!(
                f,
                "the schema is of a newer release ({found}, this one knows {known}), and stays as it is"
            ),
        }
    }
}

impl Postgres {
    /// Which schema the database has.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let sql = "select coalesce(max(version), 0) from schema_version";
            let row = held.query_one(sql, &[]).await.map_err(StoreError::from);
            let found = held.settle(row)?.try_get(0)?;
            Ok(Schema { found, known: MIGRATIONS.last().map_or(0, |(number, _)| *number) })
        })
        .await
    }
}

/// The advisory lock of whoever changes the schema, partitions included.
pub(super) const SCHEMA_LOCK: i64 = 0x5377_6974_6368_686b;

pub(super) async fn migrate(client: &mut Held) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    // Waiting for another's migration, and an index over much data, take their time.
    transaction
        .batch_execute("set local statement_timeout = 0; set local lock_timeout = 0")
        .await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
    transaction
        .batch_execute(
            "create table if not exists schema_version (
               version    integer     primary key,
               applied_at timestamptz not null default clock_timestamp())",
        )
        .await?;
    let row = transaction.query_one("select coalesce(max(version), 0) from schema_version", &[]);
    let applied: i32 = row.await?.try_get(0)?;
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > applied) {
        transaction.batch_execute(sql).await?;
        transaction.execute("insert into schema_version (version) values ($1)", &[version]).await?;
        tracing::info!(schema.version = version, "the schema was brought up to date");
    }
    partitions::create_ahead(&transaction).await?;
    transaction.commit().await?;
    Ok(())
}

//! Brings the schema up to date: numbered texts in the binary, each in a transaction of its own.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// In order; a released text is never changed.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../store/sqlite/migrations/0001.sql"),
    include_str!("../store/sqlite/migrations/0002.sql"),
    include_str!("../store/sqlite/migrations/0003.sql"),
    include_str!("../store/sqlite/migrations/0004.sql"),
    include_str!("../store/sqlite/migrations/0005.sql"),
    include_str!("../store/sqlite/migrations/0006.sql"),
];

/// Whoever has the folder is alone: doorbells that were rung and claims that were made are a dead process's.
const NOBODY_ELSE: &str = "
update delivery set hinted_at = 0, claimed_until = 0
 where head = 1 and (hinted_at <> 0 or claimed_until <> 0)";

/// Runs what is missing. SQLite's own `user_version` counts what has run.
pub(super) fn run(connection: &mut Connection) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (number, text) in (1_i64..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(text)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::debug!(schema.version = number, "the schema was brought up to date");
    }
    // A file that cannot be written just now is read all the same.
    if let Err(error) = connection.execute(NOBODY_ELSE, []) {
        tracing::warn!(%error, "deliveries that a dead process was at wait for up to half a minute");
    }
    Ok(())
}

//! Brings the schema up to date: numbered texts in the binary, each in a transaction of its own.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// In order; a released text is never changed.
const MIGRATIONS: &[&str] = &[include_str!("../store/sqlite/migrations/0001.sql")];

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
    Ok(())
}

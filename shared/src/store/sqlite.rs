//! The store in the embedded engines' file.
//!
//! Every write is one member of the file's next group (`crate::sqlite`): it is committed with its
//! neighbours and judged by itself. One thread writes, so nothing here needs a lock; the conditions
//! are the same as PostgreSQL's all the same, for a lane may work on old knowledge in either.

mod clean;
mod commit;
mod control;
mod deliveries;
mod erase;
mod intake;
mod ledger;
mod lists;
mod registry;
mod replay;
mod reseal;
mod rows;
mod scripts;
mod settle;
mod sweep;
mod tally;
mod turns;
mod wider;

use rusqlite::Connection;

use crate::sqlite::{Database, ReadError, WriteError};
use crate::store::StoreError;
use crate::vault::Vault;

/// A handle to the store, cheap to clone.
#[derive(Clone, Debug)]
pub struct Sqlite {
    database: Database,
    vault: Vault,
}

impl Sqlite {
    /// The store of an open file; `vault` seals the registry's secrets.
    pub fn new(database: &Database, vault: Vault) -> Self {
        Self { database: database.clone(), vault }
    }

    /// The engine's time, in milliseconds since the Unix epoch.
    fn now(&self) -> i64 {
        i64::try_from(self.database.clock().unix_ms()).unwrap_or(i64::MAX)
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.database.read(work).await?)
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.database.write(work).await?)
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(why) => Self::Refused(why),
            ReadError::Away(why) => Self::Away(why),
        }
    }
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(why) => Self::Refused(why),
            WriteError::Away(why) | WriteError::Unknown(why) => Self::Away(why),
        }
    }
}

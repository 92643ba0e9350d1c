//! A few read-only connections. A read runs on tokio's blocking threads; the number of connections
//! bounds how many run at once.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::ReadError;

/// Reads are short; two cores cannot use more.
const CONNECTIONS: usize = 4;
/// A read that waits longer for a connection gives up.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Readers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut free = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "cache_size", -4_000)?;
            connection.set_prepared_statement_cache_capacity(64);
            super::plan_once(&connection)?;
            free.push(connection);
        }
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Self(Arc::new(Pool { free: Mutex::new(free), permits })))
    }

    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let acquire = Arc::clone(&self.0.permits).acquire_owned();
        let permit = match tokio::time::timeout(WAIT, acquire).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(ReadError::Away("closed".to_owned())),
            Err(_) => return Err(ReadError::Away("too many reads are waiting".to_owned())),
        };
        let pool = Arc::clone(&self.0);
        // The task itself brings connection and permit back: the caller may be gone by then.
        let read = tokio::task::spawn_blocking(move || {
            let connection = pool.take()?;
            let result = snapshot(&connection, work);
            pool.put(connection);
            drop(permit);
            result
        });
        read.await.map_err(|error| ReadError::Away(error.to_string()))?
    }
}

impl Readers {
    /// Waits for the reads that are running, then closes the connections. Later reads are refused.
    pub(super) async fn close(&self) {
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let acquire = self.0.permits.acquire_many(all);
        // An error means that it is closed already; a read that never ends keeps its connection.
        if let Ok(Ok(permits)) = tokio::time::timeout(WAIT, acquire).await {
            permits.forget();
        }
        self.0.permits.close();
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Pool {
    fn take(&self) -> Result<Connection, ReadError> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().ok_or_else(|| ReadError::Away("no connection is free".to_owned()))
    }

    fn put(&self, connection: Connection) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

//! Acknowledged jobs on their way out of the file: deleted along with whatever is written next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::sqlite::{Database, Rider, Writer};

/// Ids of jobs that are settled in memory and still have a row.
#[derive(Debug)]
pub(super) struct Acks {
    pending: Mutex<Vec<i64>>,
    writer: Writer,
}

impl Acks {
    pub(super) fn new(writer: Writer) -> Self {
        Self { pending: Mutex::default(), writer }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<i64>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, id: i64) {
        let mut pending = self.lock();
        pending.push(id);
        let first = pending.len() == 1;
        drop(pending);
        if first {
            self.writer.ride();
        }
    }

    /// Waits until everything acknowledged so far is deleted, or cannot be.
    pub(super) async fn flush(&self, database: &Database) {
        while !self.lock().is_empty() {
            // Any write takes them along.
            if database.write(|_| Ok(())).await.is_err() {
                tracing::warn!("acknowledged jobs could not be deleted: they will come again");
                break;
            }
        }
    }
}

impl Rider for Acks {
    fn take(&self, limit: usize) -> Vec<i64> {
        let mut pending = self.lock();
        if pending.len() <= limit {
            return std::mem::take(&mut *pending);
        }
        pending.drain(..limit).collect()
    }

    fn delete(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        connection.prepare_cached("delete from job where id = ?1")?.execute([id]).map(|_| ())
    }

    fn give_back(&self, ids: Vec<i64>) {
        self.lock().extend(ids);
    }
}

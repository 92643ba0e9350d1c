//! The one file of the embedded engines: opened by one process at a time, written by one thread in
//! groups, read through a few connections.
//!
//! The embedded broker and store are built on it and share its writer, so that operations that are
//! ready at the same moment share one `fsync`; they stay separate operations with separate fates.
//! It knows neither jobs nor turns, only the schema's text.

mod error;
mod group;
mod lock;
pub(crate) mod migrate;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::watch;

use crate::broker::Health;
use crate::clock::Clock;
pub(crate) use error::ReadError;
pub use error::{OpenError, WriteError};
pub(crate) use group::Rider;
pub(crate) use writer::Writer;

/// The file's name inside the data folder.
pub const FILE: &str = "switchhook.db";

/// A handle to the open file. Cheap to clone; the file is closed, and its folder unlocked, when the
/// last one is dropped or after [`Database::close`].
#[derive(Clone, Debug)]
pub struct Database {
    writer: Writer,
    readers: readers::Readers,
    clock: Clock,
}

/// What may be limited when the file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Largest size of the file in pages of 4 KiB; beyond it the disk counts as full.
    pub pages_max: u32,
    /// How long to wait for another process to let go of the folder.
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { pages_max: u32::MAX - 1, lock_wait: Duration::from_secs(2) }
    }
}

impl Database {
    /// Opens the file in `folder`, creating both when they are missing, and brings the schema up to
    /// date. `clock` becomes the database's time.
    pub async fn open(folder: &Path, clock: Clock) -> Result<Self, OpenError> {
        Self::open_with(folder, clock, Options::default()).await
    }

    /// As [`Database::open`].
    pub async fn open_with(
        folder: &Path,
        clock: Clock,
        options: Options,
    ) -> Result<Self, OpenError> {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || open_blocking(&folder, clock, options));
        opened.await.map_err(|error| OpenError::Failed(error.to_string()))?
    }

    /// Runs `work` in the next write group, all or nothing.
    ///
    /// `work` must not touch the transaction; an error that it returns undoes what it wrote.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.write(work).await
    }

    /// Runs `work` on a read-only connection, at one snapshot that shows every finished write.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.read(work).await
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the last group could be written; `Down` once closed.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.writer.health()
    }

    /// Finishes what has been asked for, then closes the file and unlocks the folder.
    pub async fn close(&self) {
        // The last connection to close takes the log into the file: let that be the writer's.
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn open_blocking(folder: &Path, clock: Clock, options: Options) -> Result<Database, OpenError> {
    create_folder(folder)?;
    let lock = lock::FolderLock::take(folder, options.lock_wait)?;
    let file = folder.join(FILE);
    let mut connection = Connection::open(&file)?;
    configure(&connection)?;
    // The smallest limit that SQLite takes is the file's present size.
    connection.pragma_update(None, "max_page_count", options.pages_max)?;
    migrate::run(&mut connection)?;
    restrict(folder, &file)?;
    let readers = readers::Readers::open(&file)?;
    let writer = Writer::start(connection, lock)?;
    Ok(Database { writer, readers, clock })
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // Takes effect on a new file only.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // 16 MiB: a page that many groups write goes into the file once (a third more turns a second than
    // with the usual 1,000), and a start reads a log of that size in a moment.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    // What is removed is overwritten, so that an erased user is not left in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(128);
    plan_once(connection)
}

/// A plan never looks at bound values. Otherwise a cached statement is planned anew whenever it is
/// bound, which cost a sixth of the writer's time and never gave another plan.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// A new folder is on disk before anything in it counts as durable; SQLite sees to the files.
fn create_folder(folder: &Path) -> Result<(), OpenError> {
    let io = |error: &std::io::Error| at(folder.to_owned(), error);
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.exists()).collect();
    std::fs::create_dir_all(folder).map_err(|error| io(&error))?;
    for parent in missing.iter().filter_map(|path| path.parent()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let synced = std::fs::File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(|error| io(&error))?;
    }
    Ok(())
}

/// What users said is nobody else's to read.
fn restrict(folder: &Path, file: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::PermissionsExt as _;
    for suffix in ["", "-wal", "-shm"] {
        let path = folder.join(format!("{FILE}{suffix}"));
        match std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(file.to_owned(), &error)),
        }
    }
    Ok(())
}

fn at(path: PathBuf, error: &std::io::Error) -> OpenError {
    OpenError::Io { path, why: error.to_string() }
}

#[cfg(test)]
#[path = "sqlite/tests.rs"]
mod tests;

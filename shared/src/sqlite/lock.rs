//! One process per data folder: an exclusive lock on a file in it, which the operating system lets go
//! when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::OpenError;

const FILE: &str = "switchhook.lock";
const POLL: Duration = Duration::from_millis(20);

/// Held as long as the folder is in use.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Waits at most `wait`: a process that is just ending still holds its lock. Blocks the thread.
    pub(super) fn take(folder: &Path, wait: Duration) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        let io = |error: &std::io::Error| super::at(path.clone(), error);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| io(&error))?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < wait => {
                    std::thread::sleep(POLL);
                    waited += POLL;
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read_to_string(&path).unwrap_or_default();
                    let holder = holder.trim().to_owned();
                    return Err(OpenError::InUse { folder: folder.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => return Err(io(&error)),
            }
        }
        // For the error message of whoever comes next; the lock itself does not depend on it.
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| io(&error))?;
        Ok(Self { _file: file })
    }
}

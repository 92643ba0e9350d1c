//! What can go wrong with the file, by what the caller does next.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the file could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the data folder {} is in use by another process ({}): stop it, or choose another folder", .folder.display(), holder_text(.holder))]
    InUse {
        folder: PathBuf,
        /// The process id of the holder, as far as it is known.
        holder: String,
    },
    #[error("{}: {why}", .path.display())]
    Io { path: PathBuf, why: String },
    /// A newer release has written the file.
    #[error("the data were written by a newer release (schema {found}, this one knows {known})")]
    Newer { found: i64, known: i64 },
    /// Jobs are queued that other partitions would overtake.
    #[error(
        "the data folder has jobs queued in {found} partitions, not {asked}: start once with \
         engines.partitions = {found} and let them finish"
    )]
    Partitions { found: u16, asked: u16 },
    #[error("the database cannot be opened: {0}")]
    Failed(String),
}

fn holder_text(holder: &str) -> String {
    if holder.is_empty() { "unknown".to_owned() } else { format!("process {holder}") }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Why a write did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Certainly not written, and its data are to blame.
    #[error("{0}")]
    Refused(String),
    /// Certainly not written: closed, too much waiting, or the disk is full.
    #[error("{0}")]
    Away(String),
    /// It may have been written.
    #[error("{0}")]
    Unknown(String),
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Away(String),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        if members_own(&error) {
            Self::Refused(error.to_string())
        } else {
            Self::Away(error.to_string())
        }
    }
}

/// Whether an error is the fault of one member's data (or statement), so that its neighbours in the
/// group may go on. Everything that speaks of the file, the disk or memory is not.
pub(super) fn members_own(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown
        ),
        // Conversions, missing rows, wrong parameters: found by the driver, not by the disk.
        _ => true,
    }
}

//! What the database's errors mean to the caller. Texts are made of the message and the name of a
//! constraint alone: an error's DETAIL holds rows, and rows hold what users said.

use tokio_postgres::error::SqlState;

use crate::registry::RegistryError;
use crate::store::StoreError;

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::Away(error.to_string());
        };
        let text = match db.constraint() {
            Some(constraint) => format!("{} ({constraint})", db.code().code()),
            None => format!("{}: {}", db.code().code(), db.message()),
        };
        if refuses_data(db.code()) { Self::Refused(text) } else { Self::Away(text) }
    }
}

impl From<tokio_postgres::Error> for RegistryError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Data exceptions, violated constraints and exceeded limits come back however often one tries.
/// Everything else (connection, shutdown, serialization, deadlock, time-out, no room, no table yet)
/// may be gone the next time.
fn refuses_data(code: &SqlState) -> bool {
    ["22", "23", "54"].contains(&&code.code()[..2])
}

/// The deadline has passed: for a write, nobody knows.
pub(super) fn late(_: tokio::time::error::Elapsed) -> StoreError {
    StoreError::Away("no answer within the deadline".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_data_alone_explains_is_a_refusal() {
        for code in ["22021", "23514", "23505", "54000"] {
            assert!(refuses_data(&SqlState::from_code(code)), "{code}");
        }
        for code in
            ["08006", "57P01", "57014", "40001", "40P01", "53100", "55P03", "42P01", "25006"]
        {
            assert!(!refuses_data(&SqlState::from_code(code)), "{code}");
        }
    }
}

//! Why something was not done: what kind of no it is, and the words for a person.

use shared::registry::RegistryError;
use shared::registry::control::ChangeError;
use shared::store::StoreError;

/// What the asker can do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// There is no such thing.
    NotFound,
    /// What was asked for is wrong in itself.
    Invalid,
    /// It does not go together with what is there.
    Conflict,
    /// It has changed since it was read.
    Stale,
    /// An `Idempotency-Key` that was used for something else.
    Reused,
    /// The asker may not.
    Forbidden,
    /// The store is away: later. Of a write nobody knows whether it was made.
    Away,
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{words}")]
pub struct Problem {
    pub kind: Kind,
    pub words: String,
}

impl Problem {
    pub fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    pub fn missing(what: &str, id: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what} {id:?}"))
    }

    pub fn invalid(words: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, words)
    }

    pub fn conflict(words: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, words)
    }

    pub fn forbidden(words: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, words)
    }
}

impl From<String> for Problem {
    fn from(words: String) -> Self {
        Self::invalid(words)
    }
}

impl From<Problem> for String {
    fn from(problem: Problem) -> Self {
        problem.words
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => error.into(),
            RegistryError::Invalid(words) => Self::conflict(words),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(_) => Self::new(Kind::Away, error.to_string()),
            StoreError::Refused(_) => Self::conflict(error.to_string()),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Moved => Self::new(Kind::Stale, error.to_string()),
            ChangeError::Registry(error) => error.into(),
        }
    }
}

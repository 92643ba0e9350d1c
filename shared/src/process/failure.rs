//! Why a process ends otherwise than well, and the exit code that says so (`sysexits.h`).

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::Mistakes;
use crate::keys::KeysError;

/// Something that a person has to look at. The message is theirs to read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    /// 64: the command line or the settings are wrong; trying again does not help.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 64, message: message.into() }
    }
    /// 65: what was asked for cannot be done to the registry as it is.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { code: 65, message: message.into() }
    }
    /// 69: something that is needed is not there, or in another's hands.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { code: 69, message: message.into() }
    }
    /// 1: anything else.
    pub fn other(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Says it on standard error.
    pub fn exit(&self, name: &str) -> ExitCode {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{name}: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::usage(mistakes.to_string())
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Missing { .. } | KeysError::Bad { .. } => Self::usage(error.to_string()),
            KeysError::File { .. } => Self::unavailable(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::other(format!("{error:#}")),
        }
    }
}

/// The exit code of a process's result.
pub fn exit(name: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(name),
    }
}

/// Says something on standard output and ends well.
pub fn tell(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    ExitCode::SUCCESS
}

//! The embedded engines' folder.

use std::fs::{File, TryLockError};
use std::os::unix::fs::PermissionsExt as _;

use shared::config::Settings;
use shared::process::Failure;

use super::Findings;
use crate::office::{Request, socket};

/// As the embedded engines name them.
const LOCK: &str = "switchhook.lock";
const FILE: &str = "switchhook.db";

/// Whether an `up` runs on this folder and answers.
pub(super) async fn running(settings: &Settings, findings: &mut Findings) -> bool {
    match socket::ask(&settings.engines.data, &Request::Channels { bot: None }).await {
        Ok(Some(_)) => {
            findings
                .good("engines", "a running `switchhook up` holds the data folder, and answers");
            true
        }
        Ok(None) => false,
        Err(error) => {
            let text = format!("a process listens in the data folder and does not answer: {error}");
            findings.bad("engines", Failure::unavailable(text));
            true
        }
    }
}

/// What can be said of the folder without opening the file.
pub(super) fn folder(settings: &Settings, findings: &mut Findings) {
    let folder = &settings.engines.data;
    let name = folder.display();
    let metadata = match std::fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.note("engines.data", format!("{name} is not there yet; it will be made"));
            return;
        }
        Err(error) => {
            findings.bad("engines.data", Failure::unavailable(format!("{name}: {error}")));
            return;
        }
    };
    if !metadata.is_dir() {
        findings.bad("engines.data", Failure::usage(format!("{name} is not a folder")));
        return;
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        findings.note("engines.data", format!("others can look into {name}: chmod 700 it"));
    }
    match File::options().read(true).write(true).open(folder.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => findings.good("engines.data", format!("{name} is there and free")),
            Err(TryLockError::WouldBlock) => {
                let text = format!("{name} is in use by another process that does not answer");
                findings.bad("engines.data", Failure::unavailable(text));
            }
            Err(TryLockError::Error(error)) => {
                findings.bad("engines.data", Failure::unavailable(format!("{name}: {error}")));
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.good("engines.data", format!("{name} is there and has not been used"));
        }
        Err(error) => {
            let text = format!("{name} cannot be written: {error}");
            findings.bad("engines.data", Failure::unavailable(text));
        }
    }
    match File::options().read(true).write(true).open(folder.join(FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let text = format!("{FILE} cannot be opened: {error}");
            findings.bad("engines.data", Failure::unavailable(text));
        }
        _ => {}
    }
}

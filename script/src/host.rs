//! The host: a process that jails itself, says so, and then answers jobs until its input ends.

use std::io;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::engine;
use crate::frame;
use crate::jail::{self, Jail};
use crate::job::{Fault, FaultKind, Received, Reply};

/// The word on the command line that makes a process a host.
pub const COMMAND: &str = "script-host";
/// Lets a host work though the kernel refuses a part of the jail.
pub const BEST_EFFORT: &str = "--best-effort";

/// A host's first words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) jail: Jail,
    pub(crate) works: bool,
}

/// The whole life of a host. Fails when it cannot be jailed, or when its pipes break.
pub fn run(best_effort: bool) -> ExitCode {
    match serve(best_effort) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(77),
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(best_effort: bool) -> io::Result<bool> {
    // Both are opened before the jail closes.
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let jail = jail::enter();
    let works = best_effort || jail.missing.is_empty();
    frame::write(&mut output, &serde_json::to_vec(&Hello { jail, works })?)?;
    if !works {
        return Ok(false);
    }
    while let Some(body) = frame::read(&mut input)? {
        let job: Received = serde_json::from_slice(&body)?;
        drop(body);
        let reply = answer(&job)?;
        frame::write(&mut output, &reply)?;
    }
    Ok(true)
}

/// The output goes out as the engine wrote it: whoever reads it must check it anyway.
fn answer(job: &Received) -> io::Result<Vec<u8>> {
    let fault = match engine::run(job) {
        Ok(text) if text.len() <= job.limits.output => {
            return Ok([b"{\"ok\":", text.as_bytes(), b"}"].concat());
        }
        Ok(_) => Fault {
            kind: FaultKind::Output,
            message: format!("what it came to is larger than {} bytes", job.limits.output),
            line: None,
        },
        Err(fault) => fault,
    };
    Ok(serde_json::to_vec(&Reply::Err(fault))?)
}

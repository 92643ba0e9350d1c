//! One host as its parent holds it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Config;
use crate::frame;
use crate::host::{BEST_EFFORT, COMMAND, Hello};

/// A host must have jailed itself after this time.
const START_MAX: Duration = Duration::from_secs(10);
const HELLO_MAX: usize = 64 * 1024;
/// The lowest priority that there is among those that share.
const BEHIND: i32 = 19;

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Host {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What of the jail does not stand.
    pub(super) missing: Vec<String>,
    /// It was put behind everything else. There is no way back, not for this user.
    pub(super) behind: bool,
    pub(super) runs: u32,
    pub(super) busy: Duration,
}

/// Why a job has no reply.
#[derive(Debug)]
pub(super) enum Broken {
    /// The host has ended.
    Ended,
    /// It sent more than it may.
    TooLarge,
}

impl Host {
    /// Starts one and waits until it is jailed.
    pub(super) async fn start(config: &Config) -> Result<Self, String> {
        let mut command = Command::new(&config.program);
        command.arg(COMMAND).args(config.best_effort.then_some(BEST_EFFORT));
        command.env_clear().current_dir("/").kill_on_drop(true).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let words = |error: std::io::Error| format!("{}: {error}", config.program.display());
        let mut child = command.spawn().map_err(words)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.expect("invariant: both were asked for");
        let mut host = Self {
            child,
            input,
            output,
            missing: Vec::new(),
            behind: false,
            runs: 0,
            busy: Duration::ZERO,
        };
        let hello = tokio::time::timeout(START_MAX, frame::receive(&mut host.output, HELLO_MAX));
        let hello = match hello.await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return Err(format!("it ended before it was jailed: {error}")),
            Err(_) => return Err("it was not jailed in time".to_owned()),
        };
        let hello: Hello = serde_json::from_slice(&hello)
            .map_err(|_| format!("{} is no script host", config.program.display()))?;
        if !hello.works {
            let missing = hello.jail.missing.join("; ");
            return Err(format!("it cannot be jailed (script.jail): {missing}"));
        }
        host.missing = hello.jail.missing;
        Ok(host)
    }

    /// Gives it a job and waits for the reply of at most `max` bytes; after `patience` it goes on behind
    /// everything else.
    pub(super) async fn exchange(
        &mut self,
        job: &[u8],
        max: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, Broken> {
        let broken = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::InvalidData => Broken::TooLarge,
            _ => Broken::Ended,
        };
        let pid = self.id();
        let exchange = async {
            frame::send(&mut self.input, job).await?;
            frame::receive(&mut self.output, max).await
        };
        tokio::pin!(exchange);
        if let Ok(reply) = tokio::time::timeout(patience, &mut exchange).await {
            return reply.map_err(broken);
        }
        self.behind = true;
        put_behind(pid);
        exchange.await.map_err(broken)
    }

    pub(super) fn used(&mut self, busy: Duration) {
        self.runs += 1;
        self.busy += busy;
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// One that cannot be, because it has just ended, needs not.
fn put_behind(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(Err(error)) = pid.map(|pid| setpriority_process(Some(pid), BEHIND)) {
        tracing::debug!(%error, "a script host keeps its priority");
    }
}

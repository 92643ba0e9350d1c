//! Holds one engine process. A shell stands between: it starts the engine, passes signals on, and
//! kills the engine when the pipe from this process closes, whatever the reason.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::wait;

/// `$1` is the log file, the rest the command. Reads signal names, one a line.
const KEEP: &str = r#"exec 3<&0
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 3<&- &
pid=$!
echo "$pid"
exec >/dev/null 2>&1
while read -r signal <&3; do kill -"$signal" "$pid"; done
kill -KILL "$pid"
wait"#;

/// Removes folder `$1` once this process is gone, or has let go.
const SWEEP: &str = r#"read -r _
sleep 1
for _ in 1 2 3 4 5; do rm -rf "$1" && break; sleep 1; done"#;

/// A running engine process.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
    pid: u32,
}

impl Keeper {
    /// Starts `command` with its output in `log`; the environment is the command's own alone.
    pub(crate) fn start(command: &[String], env: &[(String, String)], log: &Path) -> Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", KEEP, "keeper"])
            .arg(log)
            .args(command)
            .env_clear()
            .envs(env.iter().cloned())
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start /bin/sh")?;
        let pipe = shell.stdin.take();
        let mut line = String::new();
        let output = shell.stdout.take().context("the keeper has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let pid = line.trim().parse().with_context(|| format!("the keeper said {line:?}"))?;
        Ok(Self { shell, pipe, pid })
    }

    /// The engine's own process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal (`TERM`, `INT`, `STOP`, `CONT`).
    pub(crate) fn signal(&mut self, name: &str) -> Result<()> {
        let pipe = self.pipe.as_mut().context("the keeper has let go")?;
        writeln!(pipe, "{name}")?;
        Ok(())
    }

    /// Whether the engine still runs.
    pub(crate) fn alive(&self) -> bool {
        alive(self.pid)
    }

    /// Waits until the engine has ended by itself.
    pub(crate) async fn ended(&self, within: Duration) -> Result<()> {
        let what = format!("the end of process {}", self.pid);
        wait(&what, within, || async { !self.alive() }).await
    }

    fn kill(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}

impl Drop for Keeper {
    /// Kills the engine with SIGKILL and waits for it.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Removes a folder when it is dropped, or soon after this process has died.
#[derive(Debug)]
pub(crate) struct Sweeper {
    shell: Child,
    dir: tempfile::TempDir,
}

impl Sweeper {
    pub(crate) fn new(dir: tempfile::TempDir) -> Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SWEEP, "sweeper"])
            .arg(dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start /bin/sh")?;
        Ok(Self { shell, dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Waits until what was just started answers, and no longer than it runs; `ask` asks it once.
///
/// # Errors
///
/// It has ended, or does not answer in time: what it said last, and the end of its log.
pub(crate) async fn answers<F, E>(
    what: &str,
    within: Duration,
    log: &Path,
    runs: impl Fn() -> bool,
    mut ask: impl FnMut() -> F,
) -> Result<()>
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let runs = &runs;
    let ended = wait(what, within, || {
        let asked = ask();
        async move {
            match asked.await {
                Ok(()) => Ok(false),
                Err(_) if !runs() => Ok(true),
                Err(why) => Err(why),
            }
        }
    });
    match ended.await {
        Ok(false) => Ok(()),
        Ok(true) => bail!("{what}: it has ended by itself:\n{}", tail(log)),
        Err(late) => bail!("{late}\n{}", tail(log)),
    }
}

/// Whether a process exists and is no zombie.
pub(crate) fn alive(pid: u32) -> bool {
    !matches!(state(pid), Some('Z' | 'X') | None)
}

/// The letter of a process's state: `T` when it is stopped, `Z` when it is dead and not yet taken away.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The processes whose parent is `pid`.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let processes = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(|process| parent(*process) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Reads the end of a log, for error messages.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

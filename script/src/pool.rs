//! The parent's side: hosts that wait for work, are killed when their time is up, and are replaced at once.
//!
//! Whatever a host does ends here: a host that dies, hangs, or sends what is no reply costs the one run
//! that it was given. A host whose run ended badly never gets another.

mod process;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::job::{Fault, FaultKind, Job, Output, Reply};
use process::{Broken, Host};

/// A run that takes longer than this goes on behind everything else, at the lowest priority. No script that
/// answers somebody needs it; one that does not end must not take the time of those that do.
const BEHIND_AFTER: Duration = Duration::from_millis(100);

/// What a parent allows a late host before it is killed: its own clock should have ended the run.
const GRACE: Duration = Duration::from_millis(50);
/// Between two tries to start a host that could not be started.
const AGAIN: Duration = Duration::from_secs(1);
/// A host is replaced after so many runs, or so much time at work: nothing that a run has done to it, and
/// that nobody has noticed, lasts.
const RUNS_MAX: u32 = 5_000;
const BUSY_MAX: Duration = Duration::from_secs(45);

/// Bytes around a reply's output.
const REPLY_ROOM: usize = 4 * 1024;

/// How hosts are started, and how many.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program that becomes a host with [`crate::host::COMMAND`].
    pub program: PathBuf,
    /// Hosts at work at once. One more is kept warm.
    pub hosts: usize,
    /// Work with less than the whole jail, where the kernel has no more.
    pub best_effort: bool,
}

/// Why a run has no output, by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The script is at fault.
    #[error("{}", .0.message)]
    Script(Fault),
    /// No host could be had in time. Not the script's fault.
    #[error("there is no script host: {0}")]
    NoHost(String),
}

/// Runs scripts. Cheap to clone. Nothing is started before the first run.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    idle: Mutex<Vec<Host>>,
    /// As many as there are idle hosts.
    ready: Semaphore,
    /// As many runs as there may be at once.
    running: Semaphore,
    /// Idle and at work.
    alive: AtomicUsize,
    wanted: Notify,
    trouble: Mutex<String>,
}

/// A host at work. Dropped, it is killed.
struct Lease<'a> {
    pool: &'a Shared,
    host: Option<Host>,
}

impl Pool {
    pub fn new(config: Config) -> Self {
        let running = Semaphore::new(config.hosts.max(1));
        Self(Arc::new(Shared {
            config,
            idle: Mutex::default(),
            ready: Semaphore::new(0),
            running,
            alive: AtomicUsize::new(0),
            wanted: Notify::new(),
            trouble: Mutex::default(),
        }))
    }

    /// Starts hosts and replaces those that are gone, until `stop`. To be spawned by the owner.
    pub async fn keep(self, stop: CancellationToken) {
        let pool = &self.0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = pool.wanted.notified() => {}
            }
            while pool.alive.load(Ordering::SeqCst) <= pool.config.hosts.max(1) {
                match Host::start(&pool.config).await {
                    Ok(host) => {
                        if pool.alive.fetch_add(1, Ordering::SeqCst) == 0
                            && !host.missing.is_empty()
                        {
                            tracing::warn!(missing = ?host.missing, "the jail of scripts is not whole");
                        }
                        pool.give(host);
                    }
                    Err(why) => {
                        tracing::error!(reason = %why, "a script host cannot be started");
                        *lock(&pool.trouble) = why;
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => return,
                            () = tokio::time::sleep(AGAIN) => {}
                        }
                    }
                }
            }
        }
    }

    /// Runs a job; the wait for a host ends at `deadline`. Dropped, the run is ended with its host.
    pub async fn run(&self, job: &Job, deadline: Instant) -> Result<Output, Error> {
        let pool = &*self.0;
        let body = serde_json::to_vec(job)
            .map_err(|error| script(FaultKind::Output, &error.to_string()))?;
        let running = tokio::time::timeout_at(deadline, pool.running.acquire());
        let Ok(Ok(_running)) = running.await else {
            return Err(Error::NoHost("all are at work".to_owned()));
        };
        // A host may be ended by others than its script: by an operator, or by the kernel for memory.
        let mut deaths = 0;
        loop {
            match pool.run_once(job, &body, deadline).await {
                Err(Ended::Host) if deaths == 0 => deaths += 1,
                Err(Ended::Host) => {
                    return Err(script(FaultKind::Memory, "it ended its host, twice"));
                }
                Err(Ended::Run(error)) => return Err(error),
                Ok(output) => return Ok(output),
            }
        }
    }

    /// The process ids of idle hosts, for tests.
    pub fn idle(&self) -> Vec<u32> {
        lock(&self.0.idle).iter().filter_map(Host::id).collect()
    }
}

/// How a run ended without an output.
enum Ended {
    /// With its host; nothing has come of it.
    Host,
    Run(Error),
}

impl Shared {
    async fn run_once(&self, job: &Job, body: &[u8], deadline: Instant) -> Result<Output, Ended> {
        let failed = |kind, why: &str| Err(Ended::Run(script(kind, why)));
        let mut lease = self.take(deadline).await.map_err(Ended::Run)?;
        let host = lease.host.as_mut().expect("invariant: a lease has a host until it is returned");
        let began = Instant::now();
        let most = Duration::from_millis(job.limits.time_ms) + GRACE;
        let reply = host.exchange(body, job.limits.output + REPLY_ROOM, BEHIND_AFTER);
        let reply = match tokio::time::timeout(most, reply).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(Broken::Ended)) => return Err(Ended::Host),
            Ok(Err(Broken::TooLarge)) => {
                return failed(FaultKind::Output, "what it came to is too large");
            }
            Err(_) => {
                let why = format!("it ran longer than {} ms", job.limits.time_ms);
                return failed(FaultKind::Time, &why);
            }
        };
        host.used(began.elapsed());
        let Ok(reply) = serde_json::from_slice(&reply) else {
            return failed(FaultKind::Output, "what it came to cannot be read");
        };
        match reply {
            Reply::Ok(output) => {
                lease.give_back();
                Ok(*output)
            }
            Reply::Err(fault) => {
                if !matches!(fault.kind, FaultKind::Memory | FaultKind::Time) {
                    lease.give_back();
                }
                Err(Ended::Run(Error::Script(fault)))
            }
        }
    }

    fn give(&self, host: Host) {
        lock(&self.idle).push(host);
        self.ready.add_permits(1);
    }

    async fn take(&self, deadline: Instant) -> Result<Lease<'_>, Error> {
        loop {
            if self.alive.load(Ordering::SeqCst) <= self.config.hosts.max(1) {
                self.wanted.notify_one();
            }
            let Ok(Ok(permit)) = tokio::time::timeout_at(deadline, self.ready.acquire()).await
            else {
                let trouble = lock(&self.trouble).clone();
                let why =
                    if trouble.is_empty() { "none was ready in time".to_owned() } else { trouble };
                return Err(Error::NoHost(why));
            };
            permit.forget();
            let host = lock(&self.idle).pop();
            let mut lease = Lease { pool: self, host };
            // One that has died while it waited is no script's fault.
            if lease.host.as_mut().is_some_and(Host::is_alive) {
                return Ok(lease);
            }
        }
    }
}

impl Lease<'_> {
    fn give_back(mut self) {
        let fresh = |host: &Host| !host.behind && host.runs < RUNS_MAX && host.busy < BUSY_MAX;
        if let Some(host) = self.host.take_if(|host| fresh(host)) {
            self.pool.give(host);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.host.take().is_some() {
            self.pool.alive.fetch_sub(1, Ordering::SeqCst);
            self.pool.wanted.notify_one();
        }
    }
}

fn script(kind: FaultKind, message: &str) -> Error {
    Error::Script(Fault { kind, message: message.to_owned(), line: None })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! How a process starts, is told to stop, drains, and ends within a deadline.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything that runs is spawned here, so that stopping can wait for it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    tracker: TaskTracker,
    stop: CancellationToken,
    broken: CancellationToken,
}

/// How the draining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    InTime,
    /// Something was still running when the deadline passed.
    Late,
}

impl Lifecycle {
    pub fn new() -> Self {
        Self::default()
    }

    /// The life of a part, which ends before this one. It breaks with it.
    #[must_use]
    pub fn part(&self) -> Self {
        Self { broken: self.broken.clone(), ..Self::default() }
    }

    /// Cancelled when the process is to stop.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends when a task of [`Self::spawn`] has panicked: what the process is there for is no longer done.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Runs a task that stopping waits for, and that the process cannot do without, see [`Self::broken`].
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let broken = self.broken.clone();
        self.tracker.spawn(async move {
            AssertUnwindSafe(task).catch_unwind().await.unwrap_or_else(|panic| {
                broken.cancel();
                resume_unwind(panic)
            })
        })
    }

    /// Runs a task that stopping waits for, one of many, as for a connection. Its panic is its own affair:
    /// no caller may end the process.
    pub fn spawn_one<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Tells everything to stop and waits for it, at most for `deadline`.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.stop.cancel();
        self.tracker.close();
        match tokio::time::timeout(deadline, self.tracker.wait()).await {
            Ok(()) => Drained::InTime,
            Err(_) => Drained::Late,
        }
    }
}

/// SIGTERM and SIGINT, as they come.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the signals no longer kill the process.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = self.interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_breaks_the_process_unless_it_is_one_of_many() {
        let life = Lifecycle::new();
        life.spawn_one(async { panic!("one of many") });
        life.spawn(async {}).await.expect("ended");
        let part = life.part();
        part.drain(Duration::from_secs(10)).await;
        assert!(life.broken().now_or_never().is_none());
        assert!(!life.stop().is_cancelled(), "a part ends before the whole");
        let vital = life.part().spawn(async { panic!("a vital task") });
        assert!(vital.await.expect_err("it has panicked").is_panic());
        life.broken().await;
        part.broken().await;
    }
}

//! A process's right to act on the present set of partitions: it lasts for a while from each time that the
//! store has heard of the process, by the process's own monotonic clock, and ends when the set is another.
//! Whoever changes the number of partitions waits until every such right has ended (docs/adr/0019).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease(Arc<State>);

#[derive(Debug)]
struct State {
    base: Instant,
    /// Milliseconds after `base`.
    until: AtomicU64,
    lost: CancellationToken,
}

impl Lease {
    /// Of the only process that there is, which holds its engines for itself.
    pub fn eternal() -> Self {
        let lease = Self::not_yet();
        lease.0.until.store(u64::MAX, Ordering::Relaxed);
        lease
    }

    /// Holds from its first renewal on.
    pub fn not_yet() -> Self {
        let (base, until) = (Instant::now(), AtomicU64::new(0));
        Self(Arc::new(State { base, until, lost: CancellationToken::new() }))
    }

    pub fn holds(&self) -> bool {
        let now = milliseconds(self.0.base.elapsed());
        now < self.0.until.load(Ordering::Relaxed) && !self.0.lost.is_cancelled()
    }

    /// `begun`: before the store was told.
    pub fn renew(&self, begun: Instant, lasts: Duration) {
        let until = begun.saturating_duration_since(self.0.base) + lasts;
        self.0.until.store(milliseconds(until), Ordering::Relaxed);
    }

    /// For good: the set of partitions is another.
    pub fn lose(&self) {
        self.0.lost.cancel();
    }

    /// Ends when it is lost for good.
    pub async fn lost(&self) {
        self.0.lost.cancelled().await;
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_holds_from_when_it_was_asked_for_and_not_from_when_that_was_heard() {
        let lease = Lease::not_yet();
        assert!(!lease.holds());
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(8)).await;
        lease.renew(begun, Duration::from_secs(10));
        assert!(lease.holds());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!lease.holds());
        lease.renew(Instant::now(), Duration::from_secs(10));
        assert!(lease.holds());
        lease.lose();
        lease.renew(Instant::now(), Duration::from_secs(10));
        assert!(!lease.holds());
        assert!(Lease::eternal().holds());
    }
}

//! The only wall clock. Everything that waits uses `tokio::time`, which tests can pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time of day: the machine's, or one that a test moves.
#[derive(Clone, Debug)]
pub enum Clock {
    Real,
    Manual(Arc<AtomicU64>),
    /// Goes with the runtime's clock, which a test can pause.
    Runtime {
        unix_ms: u64,
        since: Instant,
    },
}

impl Clock {
    /// A clock that stands at `unix_ms` until [`Clock::advance`] moves it.
    pub fn manual(unix_ms: u64) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(unix_ms)))
    }

    /// A clock that shows `unix_ms` now and goes on with the runtime's.
    pub fn with_runtime(unix_ms: u64) -> Self {
        Self::Runtime { unix_ms, since: Instant::now() }
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_ms(&self) -> u64 {
        match self {
            Self::Real => wall_ms(),
            Self::Manual(ms) => ms.load(Ordering::SeqCst),
            Self::Runtime { unix_ms, since } => unix_ms + as_ms(since.elapsed()),
        }
    }

    /// Moves a manual clock on; others do not listen.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(ms) = self {
            ms.fetch_add(as_ms(by), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the wall clock")]
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    as_ms(since)
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

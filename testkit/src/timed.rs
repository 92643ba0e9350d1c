//! A call made again and again, and how long it took.

use std::time::Duration;

use tokio::time::Instant;

/// A list takes 200 ms at p95 at most, built as it is released and on a machine of its own. Tests are built
/// without optimisation and others work beside them: the median is held against three times as much, and p95
/// is told.
pub const LIST_MAX: Duration = Duration::from_millis(3 * 200);

/// What one call took, each time it was made.
#[derive(Clone, Debug)]
pub struct Timed {
    pub what: String,
    took: Vec<Duration>,
}

impl Timed {
    /// Makes the call `rounds` times, shows what each came to, and tells the median and p95.
    #[expect(clippy::print_stderr, reason = "figures are for whoever runs the test")]
    pub async fn of<T>(
        what: impl Into<String>,
        rounds: usize,
        call: impl AsyncFn() -> T,
        look: impl Fn(&str, T),
    ) -> Self {
        let mut timed = Self { what: what.into(), took: Vec::with_capacity(rounds) };
        for _ in 0..rounds {
            let start = Instant::now();
            let found = call().await;
            timed.took.push(start.elapsed());
            look(&timed.what, found);
        }
        let (p50, p95) = (timed.at(500), timed.at(950));
        eprintln!("{:<70} p50 {p50:>9.2?}  p95 {p95:>9.2?}", timed.what);
        timed
    }

    /// The time that so many in 1,000 rounds did not exceed.
    pub fn at(&self, permille: usize) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * permille).div_ceil(1_000) - 1]
    }

    /// Panics where the median is beyond `limit`.
    pub fn hold(all: &[Self], limit: Duration) {
        for one in all {
            assert!(one.at(500) <= limit, "{}: {:?}", one.what, one.at(500));
        }
    }
}

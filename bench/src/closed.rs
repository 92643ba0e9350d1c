//! The closed loop: as many turns in flight, end to end, as there are clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, Target};
use crate::meter::Latencies;
use crate::payload;
use crate::sink::Arrivals;

/// A turn that takes longer has failed, so every loop ends.
pub(crate) const TURN_MAX: Duration = Duration::from_secs(20);
/// Users that each client speaks for in turn.
const USERS_PER_CLIENT: u64 = 5;

/// What a load generator saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub latencies: Latencies,
    pub seconds: f64,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Seen {
    #[expect(clippy::cast_precision_loss, reason = "counts of seconds fit a double")]
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// Numbers that no other turn of this run has.
#[derive(Clone, Default)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Runs `clients` clients for a time; with `arrivals`, a turn ends with its delivery.
pub(crate) async fn run(
    target: &Target,
    arrivals: Option<&Arrivals>,
    numbers: &Numbers,
    clients: usize,
    time: Duration,
) -> Seen {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let (target, arrivals, numbers) = (target.clone(), arrivals.cloned(), numbers.clone());
        tasks.spawn(async move {
            let mut seen = Seen::default();
            let mut connection = Client::new(target);
            while started.elapsed() < time {
                let number = numbers.next();
                let user = client * 10 + usize::try_from(number % USERS_PER_CLIENT).unwrap_or(0);
                let begun = Instant::now();
                match one(&mut connection, arrivals.as_ref(), user, number).await {
                    Ok(()) => seen.latencies.add(begun.elapsed()),
                    Err(error) => seen.failed(&error),
                }
            }
            seen
        });
    }
    let mut all = Seen::default();
    while let Some(seen) = tasks.join_next().await {
        match seen {
            Ok(seen) => all.merge(seen),
            Err(error) => all.failed(&error.into()),
        }
    }
    all.seconds = started.elapsed().as_secs_f64();
    all
}

/// One turn: POST, and wait for the answer or the delivery.
pub(crate) async fn one(
    client: &mut Client,
    arrivals: Option<&Arrivals>,
    user: usize,
    number: u64,
) -> anyhow::Result<()> {
    let arrival = arrivals.map(|arrivals| arrivals.expect(number));
    let turn = async {
        let answer = client.post(payload::body(user, number)).await?;
        if let Some(arrival) = arrival {
            return arrival.await.context("the sink has ended");
        }
        let named = payload::number_in(&answer);
        ensure!(named == Some(number), "the answer to {number} is that to {named:?}");
        Ok(())
    };
    tokio::time::timeout(TURN_MAX, turn).await.context("a turn took too long")?
}

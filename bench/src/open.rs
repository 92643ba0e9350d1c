//! The open loop: turns arrive on a schedule, whether or not the earlier ones are done, and a turn's
//! latency counts from when it was due. What cannot be started on time is not forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Client, Target};
use crate::closed::{Numbers, Seen, one};
use crate::sink::Arrivals;

/// The most turns in flight; beyond it arrivals wait, and their latency shows it.
const IN_FLIGHT_MAX: usize = 2_000;
const USERS: u64 = 1_000;

/// Sends `rate` turns a second for a time.
pub(crate) async fn run(
    target: &Target,
    arrivals: Option<&Arrivals>,
    numbers: &Numbers,
    rate: u32,
    time: Duration,
) -> Seen {
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let started = Instant::now();
    let total = u64::from(rate) * time.as_secs();
    let interval = Duration::from_secs(1) / rate.max(1);
    let mut tasks = JoinSet::new();
    let mut all = Seen::default();
    for n in 0..total {
        let due = started + interval.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        tokio::time::sleep_until(due).await;
        while tasks.len() >= IN_FLIGHT_MAX {
            collect(&mut all, tasks.join_next().await);
        }
        while let Some(done) = tasks.try_join_next() {
            collect(&mut all, Some(done));
        }
        let (target, arrivals, idle) = (target.clone(), arrivals.cloned(), Arc::clone(&idle));
        let number = numbers.next();
        tasks.spawn(async move {
            let pooled = idle.lock().await.pop();
            let mut client = pooled.unwrap_or_else(|| Client::new(target));
            let user = usize::try_from(number % USERS).unwrap_or(0);
            let result = one(&mut client, arrivals.as_ref(), user, number).await;
            idle.lock().await.push(client);
            result.map(|()| due.elapsed())
        });
    }
    while let Some(done) = tasks.join_next().await {
        collect(&mut all, Some(done));
    }
    all.seconds = started.elapsed().as_secs_f64();
    all
}

fn collect(all: &mut Seen, done: Option<Result<anyhow::Result<Duration>, tokio::task::JoinError>>) {
    match done {
        Some(Ok(Ok(latency))) => all.latencies.add(latency),
        Some(Ok(Err(error))) => all.failed(&error),
        Some(Err(error)) => all.failed(&error.into()),
        None => {}
    }
}

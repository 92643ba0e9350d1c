//! Open-loop load by k6, which is not ours: requests begin at a rate that the product cannot slow down, each
//! with a token of its own. Two of each room on private engines; three rounds tell the spread.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use testkit::postgres::Server;
use testkit::rabbitmq::{self, Node};
use testkit::system::Shape;

use crate::endpoint::Script;
use crate::load::Line;
use crate::rig::{Options, Rig};

/// Users that take turns: a conversation is short, as it is with many of them.
const USERS: u32 = 5_000;
/// How long the deliveries of a run may take after it.
const SETTLE_MAX: Duration = Duration::from_mins(2);

/// What a run is told.
#[derive(Args, Clone, Debug)]
pub struct OpenLoop {
    /// The load generator, as the registry of Python packages has it under the name `k6`.
    #[arg(long, default_value = "k6")]
    pub k6: PathBuf,
    /// Requests a second.
    #[arg(long, value_delimiter = ',', default_value = "100,200,400")]
    pub rates: Vec<u32>,
    /// How long each load lasts.
    #[arg(long, default_value_t = 20)]
    pub seconds: u32,
    /// How often each load is run.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
}

/// As `e2e/clients/load.js` prints it: counts of requests, and times of the answered ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub begun: u64,
    /// Not begun, because k6 had too few clients: then the load was not open.
    pub dropped: u64,
    pub answered: u64,
    pub refused: u64,
    pub failed: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// One load over its rounds.
#[derive(Clone, Debug)]
pub struct Load {
    pub asynchronous: bool,
    pub rate: u32,
    pub rounds: Vec<Figures>,
}

/// Runs it, and fails when an accepted message is not delivered.
pub async fn run(told: &OpenLoop) -> Result<Vec<Load>> {
    let node = Node::start_with(rabbitmq::Options::plain()).await?;
    let server = Server::start().await?;
    let postgres = server.create_database().await?;
    let shape =
        Shape::Rooms { amqp: node.url(), postgres, ingresses: 2, dispatchers: 2, deliverers: 2 };
    let rig = Rig::start_with(shape, Script::default(), Options::default()).await?;
    let mut first = 0;
    let (mut loads, mut accepted) = (Vec::new(), 0);
    // Connections, caches and plans are there when it counts.
    for line in [&rig.synchronous, &rig.asynchronous] {
        let warm = round(told, line, told.rates[0], &mut first).await?;
        accepted += if line.asynchronous { warm.answered } else { 0 };
    }
    for line in [&rig.synchronous, &rig.asynchronous] {
        for &rate in &told.rates {
            let mut rounds = Vec::new();
            for _ in 0..told.rounds {
                rounds.push(round(told, line, rate, &mut first).await?);
            }
            loads.push(Load { asynchronous: line.asynchronous, rate, rounds });
        }
    }
    let asynchronous = loads.iter().filter(|load: &&Load| load.asynchronous);
    accepted += asynchronous.flat_map(|load| &load.rounds).map(|round| round.answered).sum::<u64>();
    let arrived = || if delivered(&rig) >= accepted { Ok(()) } else { Err(delivered(&rig)) };
    testkit::wait("every accepted message is delivered", SETTLE_MAX, || async { arrived() })
        .await?;
    Ok(loads)
}

/// Answers that came home, each counted once.
fn delivered(rig: &Rig) -> u64 {
    rig.history.all(|threads| {
        let posts = threads.values().flat_map(|thread| &thread.posts);
        let done = posts.filter(|post| (200..300).contains(&post.status));
        done.map(|post| post.webhook_id.as_str()).collect::<HashSet<_>>().len() as u64
    })
}

async fn round(told: &OpenLoop, line: &Line, rate: u32, first: &mut u32) -> Result<Figures> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/load.js");
    let address = format!("127.0.0.1:{}", testkit::free_port());
    let output = tokio::process::Command::new(&told.k6)
        .args(["run", "--quiet", "--no-usage-report", "--address", &address, script])
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .env("HOSTS", line.hosts.join(","))
        .env("PATH_", &line.path)
        .env("CLIENT", &line.client_id)
        .env("SECRET", &line.secret)
        .env("RATE", rate.to_string())
        .env("SECONDS", told.seconds.to_string())
        .env("FIRST", (*first + 1).to_string())
        .env("RUN", first.to_string())
        .env("USERS", USERS.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {}", told.k6.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "k6: {error}");
    *first += rate * told.seconds * 2;
    serde_json::from_slice(&output.stdout).with_context(|| format!("k6: {error}"))
}

/// Medians over the rounds, and the spread of the 99th percentile.
pub fn table(loads: &[Load]) -> String {
    let mut table = String::from(
        "| mode | requests/s | answered | refused | failed | not begun | p50 ms | p95 ms | p99 ms | spread of p99 |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for Load { asynchronous, rate, rounds } in loads {
        let mode = if *asynchronous { "asynchronous" } else { "synchronous" };
        let sum = |of: fn(&Figures) -> u64| rounds.iter().map(of).sum::<u64>();
        let sorted = |of: fn(&Figures) -> f64| {
            let mut all: Vec<_> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let median = |of| sorted(of).get(rounds.len() / 2).copied().unwrap_or_default();
        let p99 = sorted(|round| round.p99_ms);
        let (least, most) = (p99.first().copied(), p99.last().copied());
        let _ = writeln!(
            table,
            "| {mode} | {rate} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} to {:.1} |",
            sum(|round| round.answered),
            sum(|round| round.refused),
            sum(|round| round.failed),
            sum(|round| round.dropped),
            median(|round| round.p50_ms),
            median(|round| round.p95_ms),
            median(|round| round.p99_ms),
            least.unwrap_or_default(),
            most.unwrap_or_default(),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_sums_the_medians_and_the_spread_of_its_rounds() {
        let round = |p99_ms| Figures {
            begun: 10,
            dropped: 1,
            answered: 8,
            refused: 1,
            failed: 0,
            p50_ms: 1.0,
            p95_ms: p99_ms - 1.0,
            p99_ms,
            max_ms: 50.0,
        };
        let rounds = vec![round(9.0), round(30.0), round(7.0)];
        let table = table(&[Load { asynchronous: false, rate: 100, rounds }]);
        let row = "| synchronous | 100 | 24 | 3 | 0 | 3 | 1.0 | 8.0 | 9.0 | 7.0 to 30.0 |\n";
        assert!(table.ends_with(row), "{table}");
    }
}

//! A long load of very many conversations: what the processes hold is as much at the end as it was when
//! they had warmed up.

mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use testkit::system::Process;
use testkit::{lapse, wait};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::endpoint::Script;
use crate::overload::clients::Clients;
use crate::overload::tally::{Shot, Tally};
use crate::rig::{Options, Rig};
use crate::torture::Engines;
use crate::torture::ground::{Brokers, Ground};

/// The product's own heartbeats.
const HEARTBEATS: u64 = 60;
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How long what was accepted may take to be delivered after the load.
const DELIVERED_MAX: Duration = Duration::from_mins(2);

/// What a run is told.
#[derive(Args, Clone, Debug)]
pub struct Soak {
    #[arg(long, value_enum, default_value_t = Engines::Rabbitmq)]
    pub engines: Engines,
    #[arg(long, default_value_t = 120)]
    pub minutes: u64,
    /// Messages a second, half of them on each channel.
    #[arg(long, default_value_t = 300.0)]
    pub rate: f64,
    /// Conversations, half of them on each channel; fewer than that many messages is no soak.
    #[arg(long, default_value_t = 1_000_000)]
    pub conversations: u32,
    /// Writes every sample there, as JSON.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Held {
    pub memory_mib: f64,
    pub handles: f64,
    /// Time series that it shows to Prometheus.
    pub series: f64,
}

/// What was seen at a moment, by process.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    pub at_s: f64,
    pub processes: BTreeMap<String, Held>,
    /// Messages in all queues of the broker, where it is a process of its own.
    pub queued: f64,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub synchronous: Tally,
    pub asynchronous: Tally,
    pub conversations: u32,
    /// Asynchronous messages that were accepted and never delivered.
    pub lost: usize,
    pub samples: Vec<Sample>,
    /// What was promised and not kept.
    pub broken: Vec<String>,
}

/// Runs it.
pub async fn run(soak: &Soak) -> Result<Outcome> {
    let ground = Ground::start(soak.engines, HEARTBEATS).await?;
    let shape = ground.shape([1, 2, 1]).await?;
    let rig = Rig::start_with(shape, Script::default(), Options::default()).await?;
    let lasts = Duration::from_secs(soak.minutes * 60);
    let users = soak.conversations / 2;
    let synchronous = Clients::new(&rig.synchronous)?.of(users);
    let asynchronous = Clients::new(&rig.asynchronous)?.of(users);
    let stop = CancellationToken::new();
    let load = async {
        let shots = tokio::join!(
            synchronous.open(soak.rate / 2.0, lasts),
            asynchronous.open(soak.rate / 2.0, lasts),
        );
        stop.cancel();
        shots
    };
    let ((synchronous, asynchronous), samples) = tokio::join!(load, watch(&rig, &ground, &stop));
    let accepted = asynchronous.iter().filter(|shot| shot.answered());
    let accepted: BTreeSet<u32> = accepted.map(|shot| shot.number).collect();
    // What never comes is counted as lost.
    let _ = wait("all that was accepted is delivered", DELIVERED_MAX, || async {
        rig.undelivered(&accepted) == 0
    })
    .await;
    let said = |shots: &[Shot]| u32::try_from(shots.len()).unwrap_or(u32::MAX).min(users);
    let mut outcome = Outcome {
        conversations: said(&synchronous) + said(&asynchronous),
        synchronous: Tally::of(&synchronous, lasts),
        asynchronous: Tally::of(&asynchronous, lasts),
        lost: rig.undelivered(&accepted),
        samples: samples?,
        broken: Vec::new(),
    };
    outcome.broken = judge::broken(&outcome, soak.conversations);
    if let Some(out) = &soak.out {
        std::fs::write(out, serde_json::to_vec_pretty(&outcome)?)?;
    }
    Ok(outcome)
}

/// Looks at everything now and then until it is stopped.
async fn watch(rig: &Rig, ground: &Ground, stop: &CancellationToken) -> Result<Vec<Sample>> {
    let began = Instant::now();
    let mut samples = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(samples),
            () = lapse(LOOK_EVERY, "how often everything is looked at") => {}
        }
        let mut processes = BTreeMap::new();
        for process in rig.system.processes() {
            processes.insert(process.name(), held(process).await?);
        }
        let queued = queued(ground).await?;
        samples.push(Sample { at_s: began.elapsed().as_secs_f64(), processes, queued });
    }
}

async fn held(process: &Process) -> Result<Held> {
    let name = process.name();
    let pid = process.pid().with_context(|| format!("{name} has ended"))?;
    let handles = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let (_, page) = process.admin("/metrics").await?;
    let series = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    Ok(Held {
        memory_mib: resident_mib(pid).with_context(|| format!("{name} has ended"))?,
        handles: count(handles),
        series: count(series),
    })
}

async fn queued(ground: &Ground) -> Result<f64> {
    let Some(outside) = &ground.outside else { return Ok(0.0) };
    let Brokers::One { node, .. } = &outside.brokers else { return Ok(0.0) };
    let list = node.ctl(&["list_queues", "--quiet", "--no-table-headers", "messages"]).await?;
    Ok(list.lines().filter_map(|line| line.trim().parse::<f64>().ok()).sum())
}

/// The memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "as many as fit a double")]
fn count(n: usize) -> f64 {
    n as f64
}

impl Outcome {
    /// A table of each quarter's medians, and what was broken.
    pub fn table(&self) -> String {
        let mut table = String::new();
        for (mode, tally) in [("sync", &self.synchronous), ("async", &self.asynchronous)] {
            let Tally { offered, answered, refused, failed, p50_ms, p99_ms, .. } = tally;
            let _ = writeln!(
                table,
                "{mode}: offered {offered}, answered {answered}, refused {refused}, failed {failed}, \
                 p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms"
            );
        }
        let (conversations, lost) = (self.conversations, self.lost);
        let _ =
            writeln!(table, "conversations {conversations}, lost {lost}; by quarter of the time:");
        for (name, [first, second, third, last]) in judge::quarters(&self.samples) {
            let _ = writeln!(table, "{name:34} {first:9.1} {second:9.1} {third:9.1} {last:9.1}");
        }
        for broken in &self.broken {
            let _ = writeln!(table, "BROKEN: {broken}");
        }
        table
    }
}

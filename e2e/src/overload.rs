//! Overload: a bot that can do so much and no more is offered up to ten times that. What is admitted keeps
//! its latency, the rest is refused quickly and told when to come back, and nothing that was accepted is
//! lost.

pub mod clients;
mod gates;
mod stage;
pub mod tally;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::torture::Engines;
use stage::Stage;
use tally::Tally;

/// Multiples of the capacity.
const LOADS: [f64; 5] = [0.5, 1.0, 2.0, 5.0, 10.0];

/// What a run is told.
#[derive(Args, Clone, Debug)]
pub struct Overload {
    #[arg(long, value_enum, default_value_t = Engines::Rabbitmq)]
    pub engines: Engines,
    /// How long each load lasts.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// How many turns the bot does at once.
    #[arg(long, default_value_t = 16)]
    pub permits: u32,
    /// How long a turn takes it, in milliseconds.
    #[arg(long, default_value_t = 100.0)]
    pub thinks: f64,
    /// Writes the figures there too, as JSON.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Sync,
    Async,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// One load and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    pub mode: Mode,
    /// Multiples of the capacity.
    pub times: f64,
    pub tally: Tally,
    /// The largest sum of the product's memory during it.
    pub memory_mib: f64,
    /// Asynchronous: how long after the load's end the last answer was delivered.
    pub drained_s: f64,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub capacity: f64,
    pub loads: Vec<Load>,
    /// A tenant at a fifth of its capacity beside one at ten times.
    pub neighbour: Tally,
    /// Asynchronous messages that were accepted and never delivered.
    pub lost: usize,
    /// What was promised and not kept.
    pub broken: Vec<String>,
}

/// Runs it.
pub async fn run(overload: &Overload) -> Result<Outcome> {
    let stage = Stage::start(overload).await?;
    let capacity = stage.capacity;
    let mut loads = Vec::new();
    for times in LOADS {
        loads.push(stage.load(Mode::Sync, times).await);
    }
    let neighbour = stage.neighbour().await;
    for times in LOADS {
        loads.push(stage.load(Mode::Async, times).await);
    }
    let lost = stage.lost();
    let mut outcome = Outcome { capacity, loads, neighbour, lost, broken: Vec::new() };
    outcome.broken = gates::broken(&outcome);
    if let Some(out) = &overload.out {
        std::fs::write(out, serde_json::to_vec_pretty(&outcome)?)?;
    }
    Ok(outcome)
}

impl Outcome {
    pub fn green(&self) -> bool {
        self.broken.is_empty()
    }

    /// A table, and what was broken.
    pub fn table(&self) -> String {
        let mut table = format!(
            "capacity {:.0} turns/s\n\
             mode   times  offered answered  refused failed  goodput  p50 ms  p99 ms  refusal p99 ms  memory MiB  drained s\n",
            self.capacity
        );
        for Load { mode, times, tally, memory_mib, drained_s } in &self.loads {
            let mode = mode.name();
            let Tally { offered, answered, refused, failed, .. } = tally;
            let Tally { goodput, p50_ms, p99_ms, refusal_p99_ms, .. } = tally;
            let _ = writeln!(
                table,
                "{mode:5} {times:6.1} {offered:8} {answered:8} {refused:8} {failed:6} {goodput:8.1} \
                 {p50_ms:7.1} {p99_ms:7.1} {refusal_p99_ms:15.1} {memory_mib:11.1} {drained_s:10.1}"
            );
        }
        let Tally { offered, answered, refused, p99_ms, .. } = &self.neighbour;
        let _ = writeln!(
            table,
            "a quiet neighbour beside ten times the capacity: offered {offered}, answered {answered}, \
             refused {refused}, p99 {p99_ms:.1} ms; lost: {}",
            self.lost
        );
        for broken in &self.broken {
            let _ = writeln!(table, "BROKEN: {broken}");
        }
        table
    }
}

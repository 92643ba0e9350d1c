//! Recovery: at eight tenths of what a bot can do, with clients that repeat, a fault strikes and ends. The
//! system must be as good as before soon after, without anybody's help.

mod measure;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use testkit::{lapse, wait};
use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::endpoint::Script;
use crate::journal::Journal;
use crate::overload::clients::{Clients, Patience};
use crate::overload::tally::{End, Shot};
use crate::rig::{Options, Rig};
use crate::torture::Engines;
use crate::torture::faults::{Fault, Nemesis, Window};
use crate::torture::ground::Ground;
use measure::{Recovered, count};

const LOAD: f64 = 0.8;
/// The end of the load before the first fault: what is compared with.
const SETTLED: Duration = Duration::from_secs(15);
const DISPATCHERS: u32 = 2;
/// Load before the first fault, after each, and after the last; after one so much longer than it lasted, too.
const CALM: Duration = Duration::from_secs(35);
/// What comes in a second of standing still takes that many seconds of what is to spare at this load.
const CATCH_UP: u32 = 4;
/// Nobody is frozen for longer than the product's own heartbeats allow.
const FREEZE: u64 = 8;
/// How long a message is repeated: longer than what waits after the longest fault may take to be done, or who gave up
/// would tell nothing.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long everything that was accepted may take to be delivered after the load.
const DELIVERED_MAX: Duration = Duration::from_mins(2);
/// What is promised: so soon after a fault as many are answered as come, and when what waited is done they
/// are answered as soon as before.
const RECOVERED_MAX: Duration = Duration::from_secs(30);
/// Runs of the bot for each turn, over the whole run.
const AMPLIFICATION_MAX: f64 = 1.1;

/// What a run is told.
#[derive(Args, Clone, Debug)]
pub struct Recovery {
    #[arg(long, default_value_t = 20)]
    pub triggers: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Which faults; all but the freeze when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// How many turns the bot does at once in each dispatcher.
    #[arg(long, default_value_t = 16)]
    pub permits: u32,
    /// How long a turn takes it, in milliseconds.
    #[arg(long, default_value_t = 200.0)]
    pub thinks: f64,
    /// A folder for history.jsonl; there must be no history in it.
    #[arg(long, default_value = "target/recovery")]
    pub out: PathBuf,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Messages a second.
    pub rate: f64,
    /// The share of those that came before the first fault that were answered soon.
    pub before: f64,
    pub triggers: Vec<(Window, Recovered)>,
    pub offered: usize,
    /// Never answered with 200, however often they were repeated.
    pub unanswered: usize,
    /// Of these, whose last try was refused (429 or 503); the others failed.
    pub refused: usize,
    /// From when it was due to its answer, of the message that took longest.
    pub longest: Duration,
    /// Asynchronous messages that were accepted and never delivered.
    pub lost: usize,
    /// Runs of the bot for each turn.
    pub amplification: f64,
}

/// Runs it.
pub async fn run(recovery: &Recovery) -> Result<Outcome> {
    std::fs::create_dir_all(&recovery.out)?;
    let journal = Arc::new(Journal::create(&recovery.out.join("history.jsonl"))?);
    let ground = Ground::start(Engines::Rabbitmq, FREEZE).await?;
    let options = Options {
        thinks: Duration::from_secs_f64(recovery.thinks / 1000.0),
        permits: recovery.permits,
        settings: vec![("lifecycle.linger", "5s")],
        balanced: true,
        journal: Some(Arc::clone(&journal)),
        ..Options::default()
    };
    let shape = ground.shape([2, DISPATCHERS as usize, 2]).await?;
    let rig = Rig::start_with(shape, Script::default(), options).await?;
    let capacity = f64::from(recovery.permits * DISPATCHERS) * 1000.0 / recovery.thinks;
    let rate = LOAD * capacity;
    let stop = CancellationToken::new();
    let open = |clients: Clients| {
        let stop = stop.clone();
        async move { clients.until(rate / 2.0, &stop).await }
    };
    let patience = Patience::of(PATIENCE);
    let synchronous = Clients::new(&rig.synchronous)?.patient(patience);
    let asynchronous = Clients::new(&rig.asynchronous)?.patient(patience);
    let start = journal.now();
    let striking = async {
        let windows = recovery.strike(&rig, &ground, &journal).await;
        stop.cancel();
        windows
    };
    let (sync_shots, async_shots, windows) =
        tokio::join!(open(synchronous), open(asynchronous), striking);
    let windows = windows?;
    let lost = lost(&rig, &async_shots).await;
    let shots: Vec<Shot> = sync_shots.into_iter().chain(async_shots).collect();
    journal.flush()?;
    // The clients of a load end with it, the last of them at the end of its patience.
    let over = windows.last().map_or(start, |window| window.ended + calm(window));
    let nexts: Vec<_> = windows.iter().skip(1).map(|window| window.began).chain([over]).collect();
    let first = windows.first().map_or(start, |window| window.began).saturating_sub(start);
    Ok(Outcome {
        rate,
        before: measure::share(&shots, first.saturating_sub(SETTLED), first),
        triggers: windows
            .into_iter()
            .zip(nexts)
            .map(|(window, next)| {
                let recovered = measure::recovered(&shots, &window, start, next);
                (window, recovered)
            })
            .collect(),
        offered: shots.len(),
        unanswered: shots.iter().filter(|shot| !shot.answered()).count(),
        refused: shots.iter().filter(|shot| matches!(shot.end, End::Refused { .. })).count(),
        longest: shots.iter().filter(|s| s.answered()).map(|s| s.took).max().unwrap_or_default(),
        lost,
        amplification: 1.0 + ratio(journal.again(), shots.len()),
    })
}

/// Accepted and not delivered, however long one waits.
async fn lost(rig: &Rig, shots: &[Shot]) -> usize {
    let accepted: BTreeSet<u32> =
        shots.iter().filter(|shot| shot.answered()).map(|shot| shot.number).collect();
    let delivered = || async { rig.undelivered(&accepted) == 0 };
    // What never comes is counted.
    let _ = wait("all that was accepted is delivered", DELIVERED_MAX, delivered).await;
    rig.undelivered(&accepted)
}

fn ratio(again: u64, of: usize) -> f64 {
    count(usize::try_from(again).unwrap_or(usize::MAX)) / count(of.max(1))
}

impl Recovery {
    async fn strike(&self, rig: &Rig, ground: &Ground, journal: &Journal) -> Result<Vec<Window>> {
        let mut nemesis = Nemesis {
            rig,
            ground,
            journal,
            chance: Chance::new(self.seed),
            freeze: Duration::from_secs(FREEZE),
        };
        let all = Fault::of(Engines::Rabbitmq).iter().copied().filter(|f| *f != Fault::Freeze);
        let faults = if self.faults.is_empty() { all.collect() } else { self.faults.clone() };
        let mut windows = Vec::new();
        lapse(CALM, "the load before the first fault").await;
        loop {
            let mut round = faults.clone();
            nemesis.chance.shuffle(&mut round);
            for fault in round {
                if windows.len() >= self.triggers {
                    return Ok(windows);
                }
                let mut window = nemesis.strike(fault).await?;
                nemesis.complete().await?;
                window.ended = journal.now();
                lapse(calm(&window), "the load after a fault").await;
                windows.push(window);
            }
        }
    }
}

/// How long what waited may take to be done.
fn catch_up(window: &Window) -> Duration {
    window.ended.saturating_sub(window.began) * CATCH_UP
}

fn calm(window: &Window) -> Duration {
    CALM + catch_up(window)
}

impl Outcome {
    /// What was promised and not kept.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.before < measure::SHARE {
            broken.push(format!("before any fault {:.3} were answered soon", self.before));
        }
        for (window, Recovered { serves, as_before, .. }) in &self.triggers {
            let (name, target) = (window.fault.name(), &window.target);
            if serves.is_none_or(|after| after > RECOVERED_MAX) {
                broken.push(format!(
                    "{name} ({target}): fewer were answered than came for {serves:?}"
                ));
            }
            if as_before.is_none_or(|after| after > RECOVERED_MAX + catch_up(window)) {
                broken
                    .push(format!("{name} ({target}): as good as before only after {as_before:?}"));
            }
        }
        if self.unanswered > 0 {
            broken.push(format!("{} messages were never answered", self.unanswered));
        }
        if self.lost > 0 {
            broken.push(format!("{} accepted messages are lost", self.lost));
        }
        if self.amplification > AMPLIFICATION_MAX {
            broken.push(format!("the bot ran {:.3} times for each turn", self.amplification));
        }
        broken
    }

    /// A table, and what was broken.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:.0} messages a second, {} in all; before any fault {:.3} answered soon\n\
             fault      target                              lasted s  share in it  serves after s  as before after s\n",
            self.rate, self.offered, self.before
        );
        for (window, Recovered { within, serves, as_before }) in &self.triggers {
            let (name, target) = (window.fault.name(), &window.target);
            let lasted = window.ended.saturating_sub(window.began).as_secs_f64();
            let words = |after: &Option<Duration>| {
                after.map_or("never".to_owned(), |after| format!("{:.0}", after.as_secs_f64()))
            };
            let (serves, before) = (words(serves), words(as_before));
            let _ = writeln!(
                table,
                "{name:10} {target:35} {lasted:8.1} {within:12.3} {serves:>15} {before:>18}"
            );
        }
        let _ = writeln!(
            table,
            "never answered {} ({} of them refused at last), the last answer after {:.0} s, lost {}, {:.3} runs of the bot for each turn",
            self.unanswered,
            self.refused,
            self.longest.as_secs_f64(),
            self.lost,
            self.amplification
        );
        for broken in self.broken() {
            let _ = writeln!(table, "BROKEN: {broken}");
        }
        table
    }
}

//! Torture: two tenants that mirror each other speak while faults strike one after the other; then every
//! list is read, the history judged, and a report written.

pub mod faults;
pub mod ground;
pub mod judge;
pub mod report;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use testkit::lapse;
use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::check::Verdict;
use crate::endpoint::Manners;
use crate::journal::{Journal, Samples};
use crate::load::Plan;
use crate::rig::{Options, Rig};
use faults::{Fault, Nemesis, Window};
use ground::Ground;

/// Clean load before the first fault: what the accept rate is compared with.
const CALM_FIRST: Duration = Duration::from_secs(5);
/// What the bot thinks longer, up to.
const THINKS_MORE: Duration = Duration::from_millis(450);
/// So much longer than the bot thinks: asynchronous clients do not wait for answers, and the work of a
/// conversation must not pile up without end, which would saturate the bot for all others.
const PAUSE: Duration = Duration::from_millis(100);
const CALM: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(8));

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engines {
    /// RabbitMQ and PostgreSQL, each behind a proxy; two ingresses, three dispatchers, three deliverers.
    Rabbitmq,
    /// All in one process on one file.
    Embedded,
    /// As `rabbitmq`, with a cluster of three nodes in network namespaces; needs root.
    Cluster,
}

/// What a run is told.
#[derive(Args, Clone, Debug)]
pub struct Torture {
    /// How long faults strike.
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// Chance comes from it alone: which faults, whom, how long, and how the endpoint behaves.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[arg(long, value_enum, default_value_t = Engines::Rabbitmq)]
    pub engines: Engines,
    /// Which faults; all that the engines have when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// End after so many faults, even before the time.
    #[arg(long)]
    pub faults_max: Option<usize>,
    /// How long a dispatcher is frozen at least, in seconds; up to half as much is added.
    #[arg(long, default_value_t = 30)]
    pub freeze: u64,
    /// How long the bot takes for an answer at least, in milliseconds; up to 450 are added.
    #[arg(long, default_value_t = 50)]
    pub thinks: u64,
    /// Conversations at once, of each tenant.
    #[arg(long, default_value_t = 40)]
    pub conversations: usize,
    /// A folder for history.jsonl and report.html; there must be no history in it.
    #[arg(long, default_value = "target/torture")]
    pub out: PathBuf,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub torture: Torture,
    pub verdict: Verdict,
    pub windows: Vec<Window>,
    pub samples: Samples,
    pub took: Duration,
}

impl Outcome {
    pub fn green(&self) -> bool {
        self.verdict.faults.is_empty()
    }

    /// The verdict in one line, then what was found.
    pub fn line(&self) -> String {
        let refused: u64 = self.windows.iter().filter_map(|window| window.refused).sum();
        let taken_over: u64 = self.windows.iter().filter_map(|window| window.taken_over).sum();
        let mut line = format!(
            "{} seed {}, {:?}, {} s, {} faults, {} turns taken over from frozen processes, {} stale writes refused: {} conversations, {} sends, \
             {} accepted, {} unknown ({} recovered); {}; repeated POSTs {}, after a 2xx {}; \
             longest until served again {:.1} s",
            self.verdict.word(),
            self.torture.seed,
            self.torture.engines,
            self.took.as_secs(),
            self.windows.len(),
            taken_over,
            refused,
            self.verdict.conversations,
            self.verdict.sends,
            self.verdict.accepted,
            self.verdict.unknown,
            self.verdict.recovered,
            self.verdict.counts(),
            self.verdict.repeated_posts,
            self.verdict.duplicate_deliveries,
            judge::slowest(&self.windows, &self.samples).as_secs_f64(),
        );
        for fault in self.verdict.faults.iter().take(20) {
            let (kind, conversation) = (fault.kind.name(), fault.conversation);
            let _ = write!(line, "\n  {kind}, conversation {conversation}: {}", fault.what);
        }
        line
    }
}

/// Runs it and writes what it found.
pub async fn run(torture: &Torture) -> Result<Outcome> {
    let faults = torture.chosen()?;
    std::fs::create_dir_all(&torture.out)?;
    let journal = Arc::new(Journal::create(&torture.out.join("history.jsonl"))?);
    let ground = Ground::start(torture.engines, torture.freeze).await?;
    let options = Options {
        thinks: Duration::from_millis(torture.thinks),
        thinks_more: THINKS_MORE,
        settings: vec![("lifecycle.linger", "5s")],
        mirrored: true,
        balanced: torture.engines != Engines::Embedded,
        journal: Some(Arc::clone(&journal)),
        ..Options::default()
    };
    let rig =
        Rig::start_with(ground.shape([2, 3, 3]).await?, Manners::Seeded(torture.seed), options)
            .await?;
    let plan = Plan {
        first: 0,
        conversations: torture.conversations,
        messages: u32::MAX,
        pause: Duration::from_millis(torture.thinks) + THINKS_MORE + PAUSE,
        stop: CancellationToken::new(),
    };
    let striking = async {
        let windows = torture.strike(&faults, &rig, &ground, &journal).await;
        plan.stop.cancel();
        windows
    };
    let (loaded, windows) = tokio::join!(rig.renewed_load(&plan), striking);
    loaded?;
    let windows = windows?;
    let took = journal.now();
    let samples = journal.samples();
    let mut verdict = rig.whole_verdict().await?;
    judge::judge(&mut verdict, &faults, &windows, &samples);
    journal.flush()?;
    let outcome = Outcome { torture: torture.clone(), verdict, windows, samples, took };
    report::write(&outcome)?;
    Ok(outcome)
}

impl Torture {
    fn chosen(&self) -> Result<Vec<Fault>> {
        let possible = Fault::of(self.engines);
        if self.faults.is_empty() {
            return Ok(possible.to_vec());
        }
        for fault in &self.faults {
            ensure!(possible.contains(fault), "{:?} has no fault {fault:?}", self.engines);
        }
        Ok(self.faults.clone())
    }

    /// Every kind once in a shuffled order, then again, until the time or the number is reached.
    async fn strike(
        &self,
        faults: &[Fault],
        rig: &Rig,
        ground: &Ground,
        journal: &Journal,
    ) -> Result<Vec<Window>> {
        let mut nemesis = Nemesis {
            rig,
            ground,
            journal,
            chance: Chance::new(self.seed),
            freeze: Duration::from_secs(self.freeze),
        };
        let end = journal.now() + Duration::from_secs_f64(self.minutes * 60.0);
        let mut windows = Vec::new();
        lapse(CALM_FIRST, "the load before the first fault").await;
        loop {
            let mut round = faults.to_vec();
            nemesis.chance.shuffle(&mut round);
            for fault in round {
                if journal.now() > end || self.faults_max.is_some_and(|max| windows.len() >= max) {
                    return Ok(windows);
                }
                windows.push(nemesis.strike(fault).await?);
                let calm = nemesis.chance.between(CALM.0, CALM.1);
                lapse(calm, "the load between two faults").await;
            }
        }
    }
}

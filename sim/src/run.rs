//! One seed: an installation, users, faults, rest, verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use shared::admin::Readiness;
use shared::clock::Clock;
use shared::config::{Settings, load_from};
use shared::domain::channel::ChannelState;
use shared::domain::ids::ChannelId;
use shared::domain::outcome::Outcome;
use shared::domain::retry::{Policy, Spacing};
use shared::domain::turn::Mode;
use shared::egress;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::registry::cache::Cache;
use shared::registry::{
    Bot, Channel, Compatibility, Endpoint, Logic, Overrides, Rate, Registry, WhileBusy,
};
use shared::topology::Queue;
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;
use tokio_util::task::TaskTracker;

use crate::bot::Appender;
use crate::broker::SimBroker;
use crate::chance::Chance;
use crate::check::{Sent, Verdict, offences};
use crate::clients::{User, listen};
use crate::endpoint;
use crate::nemesis;
use crate::store::SimStore;
use crate::world::{Life, Meanness, Process, World};

pub(crate) const BOT: &str = "st-1";
pub(crate) const CLIENT: &str = "cs-1";
const EPOCH_MS: u64 = 1_780_000_000_000;
/// After the last fault everything must come to rest within this time.
const REST_MAX: Duration = Duration::from_hours(2);
/// A drain's deadline.
const DRAIN: Duration = Duration::from_secs(20);

/// A rule broken on purpose, to see that the checks find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A job is acked when it is given.
    AckBeforeCommit,
    /// A commit asks neither for the version nor for the turn's row.
    NoFence,
    /// A turn that is answered with the next one leaves no text for it.
    TextsDropped,
    /// Of a turn that has a row it is now and then said that it has none.
    RowsUnseen,
}

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub seed: u64,
    /// Without faults nothing is lost, late or killed.
    pub faults: bool,
    pub defect: Option<Defect>,
}

impl Scenario {
    /// Faults, and no defect.
    pub const fn new(seed: u64) -> Self {
        Self { seed, faults: true, defect: None }
    }
}

pub(crate) fn channel(mode: Mode) -> ChannelId {
    if mode == Mode::Sync { "ivrInst-sync" } else { "ivrInst-async" }.into()
}

/// What the channel says of messages that come faster than answers. Drawn apart from everything else, so that
/// the checks can draw it once more.
pub(crate) fn while_busy(seed: u64, mode: Mode) -> WhileBusy {
    let mut chance = Chance::new(seed ^ if mode == Mode::Sync { 0x5b5b } else { 0xa5a5 });
    match chance.between(0, 7) {
        0..3 => WhileBusy::Queue,
        3..5 => WhileBusy::Merge(chance.ms(100, 2_000)),
        5 => WhileBusy::Latest,
        _ => WhileBusy::Reject,
    }
}

fn registry(seed: u64) -> anyhow::Result<Registry> {
    let bot = Bot {
        id: BOT.into(),
        name: "bot".to_owned(),
        logic: Logic::Echo,
        error_message: Bot::ERROR_MESSAGE.to_owned(),
        session_timeout: Duration::from_hours(1_000),
        permits: Bot::PERMITS,
        beside: shared::registry::Beside::default(),
    };
    let spacing = Spacing::Exponential {
        initial: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(30),
        attempts_max: 1_000,
    };
    let endpoint = Endpoint {
        post_url: "http://endpoint.example/".parse()?,
        token_header: Endpoint::TOKEN_HEADER.to_owned(),
        token: None,
        signing_secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
        retry: Policy { spacing, jitter: 0.1 },
        deadline: Duration::from_secs(10),
        permits: Endpoint::PERMITS,
        disabled: false,
    };
    let channels = [Mode::Sync, Mode::Async].into_iter().zip(1..).map(|(mode, ordinal)| Channel {
        id: channel(mode),
        bot: BOT.into(),
        client: CLIENT.into(),
        name: format!("{mode:?}"),
        ordinal,
        endpoint: (mode == Mode::Async).then(|| endpoint.clone()),
        state: ChannelState::Live,
        deadline: Channel::DEADLINE,
        compatibility: Compatibility::default(),
        overrides: Overrides::NONE,
        while_busy: while_busy(seed, mode),
        rate: Rate::default(),
    });
    Ok(Registry::new(Vec::new(), vec![bot], channels.collect()))
}

/// Simulates one seed, on this thread and on a clock of its own.
pub fn run(scenario: Scenario) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("the runtime does not start")?;
    runtime.block_on(simulate(scenario))
}

/// The processes and what they are made of.
pub(crate) struct Cluster {
    pub(crate) world: World,
    keys: Keys,
    clock: Clock,
    settings: Settings,
    registry: Registry,
    balances: bool,
    workers: Vec<Worker>,
}

struct Worker {
    process: Process,
    room: Queue,
    lifecycle: Lifecycle,
}

async fn simulate(scenario: Scenario) -> anyhow::Result<Verdict> {
    let world = World::new(scenario);
    let keys = Keys::new(&[vec![1; 32]]).context("the key is too short")?;
    let (balances, dispatchers, deliverers) =
        world.draw(|chance| (chance.permille(500), chance.between(1, 3), chance.between(1, 2)));
    let mut cluster = Cluster {
        world: world.clone(),
        keys,
        clock: Clock::with_runtime(EPOCH_MS),
        settings: load_from(None, &[], [])?,
        registry: registry(scenario.seed)?,
        balances,
        workers: Vec::new(),
    };
    for _ in 0..dispatchers {
        cluster.start(Queue::Turns).await?;
    }
    for _ in 0..deliverers {
        cluster.start(Queue::Deliveries).await?;
    }
    let users = cluster.users();
    let faults = if scenario.faults { world.draw(|chance| chance.between(0, 6)) } else { 0 };
    for _ in 0..faults {
        tokio::time::sleep(world.draw(|chance| chance.ms(100, 9_000))).await;
        nemesis::strike(&mut cluster).await?;
    }
    users.wait().await;
    cluster.calm().await?;
    let rested = tokio::time::timeout(REST_MAX, cluster.rest()).await.is_ok();
    let state = world.lock();
    let mut found = offences(scenario, &state.history, &state.db);
    if !rested {
        found.push("liveness: it did not come to rest".to_owned());
    }
    let accepted = state.history.sends.iter().filter(|send| send.sent == Sent::Accepted).count();
    let late = state.db.turns.values().filter(|row| row.outcome == Outcome::BotTimedOut).count();
    let mut aside = BTreeMap::new();
    for row in state.db.turns.values().filter(|row| row.outcome.is_aside()) {
        *aside.entry(row.outcome.as_str()).or_default() += 1;
    }
    Ok(Verdict {
        seed: scenario.seed,
        trace: state.trace(),
        offences: found,
        accepted: accepted as u64,
        posts: state.history.posts.len() as u64,
        faults: state.history.faults.clone(),
        timed_out: late as u64,
        aside,
        refused_commits: state.refused_commits,
    })
}

impl Cluster {
    async fn start(&mut self, room: Queue) -> anyhow::Result<()> {
        let process = self.world.born();
        let entropy = Entropy::seeded(self.world.draw(crate::chance::Chance::next));
        let (world, registry) = (self.world.clone(), self.registry.clone());
        let lifecycle = Lifecycle::new();
        let ground = Ground {
            broker: SimBroker::new(&world, process, self.balances),
            store: SimStore { world: world.clone(), process, registry: registry.clone() },
            registry: Cache::new(registry),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            process: entropy.uuid_v7(self.clock.unix_ms()),
            entropy,
            lease: shared::lease::Lease::eternal(),
            lifecycle: lifecycle.clone(),
            metrics: prometheus::Registry::new(),
            readiness: Readiness::default(),
            tracer: Tracer::off(),
        };
        if room == Queue::Turns {
            dispatcher::start_with(ground, &self.settings, Appender { world, process }).await?;
        } else {
            let client = egress::Client::simulated(std::sync::Arc::new(endpoint::Endpoint {
                world,
                process,
            }));
            deliverer::start_with(ground, &self.settings, client).await?;
        }
        self.workers.push(Worker { process, room, lifecycle });
        Ok(())
    }

    /// Users at an ingress that is left alone.
    fn users(&self) -> TaskTracker {
        let process = self.world.born();
        let broker = SimBroker::new(&self.world, process, self.balances);
        let tasks = TaskTracker::new();
        self.world.spawn(listen(self.world.clone(), broker.clone(), self.keys.clone()));
        let users = self.world.draw(|chance| chance.between(2, 6));
        for number in 0..users {
            let (seed, turns) = self.world.draw(|chance| (chance.next(), chance.between(2, 9)));
            let user = User {
                world: self.world.clone(),
                broker: broker.clone(),
                keys: self.keys.clone(),
                clock: self.clock.clone(),
                entropy: Entropy::seeded(seed),
                number,
                mode: if number % 2 == 0 { Mode::Async } else { Mode::Sync },
                turns,
                hasty: Chance::new(seed).permille(500),
            };
            let _handle = tasks.spawn(user.talk());
        }
        tasks.close();
        tasks
    }

    /// A worker that is not dead.
    pub(crate) fn victim(&self) -> Process {
        let mut state = self.world.lock();
        let lives = |worker: &&Worker| state.processes[worker.process] != Life::Dead;
        let alive: Vec<_> = self.workers.iter().filter(lives).map(|w| w.process).collect();
        let at = state.chance.index(alive.len());
        alive.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn kill(&self, process: Process) {
        self.world.set(process, Life::Dead);
    }

    /// Starts another of the same room.
    pub(crate) async fn replace(&mut self, process: Process) -> anyhow::Result<()> {
        let room = self.workers.iter().find(|worker| worker.process == process);
        let room = room.map_or(Queue::Turns, |worker| worker.room);
        self.start(room).await
    }

    /// Stops a process as an orchestrator does: drain, then kill.
    pub(crate) fn drain(&self, process: Process) {
        let Some(worker) = self.workers.iter().find(|worker| worker.process == process) else {
            return;
        };
        let (world, lifecycle) = (self.world.clone(), worker.lifecycle.clone());
        self.world.spawn(async move {
            lifecycle.drain(DRAIN).await;
            world.set(process, Life::Dead);
        });
    }

    /// No more faults; at least one of each room runs.
    async fn calm(&mut self) -> anyhow::Result<()> {
        // What was on its way, and what drained, has ended by then.
        tokio::time::sleep(DRAIN + Duration::from_secs(5)).await;
        let frozen: Vec<Process> = {
            let mut state = self.world.lock();
            state.meanness = Meanness::default();
            state.store_away_until = None;
            let frozen = state.processes.iter().enumerate();
            frozen.filter(|(_, life)| **life == Life::Frozen).map(|(at, _)| at).collect()
        };
        for process in frozen {
            self.world.set(process, Life::Running);
        }
        for room in Queue::ALL {
            let runs = {
                let state = self.world.lock();
                let of = |worker: &&Worker| worker.room == room;
                let mut workers = self.workers.iter().filter(of);
                workers.any(|worker| state.processes[worker.process] == Life::Running)
            };
            if !runs {
                self.start(room).await?;
            }
        }
        Ok(())
    }

    async fn rest(&self) {
        loop {
            {
                let state = self.world.lock();
                let mut accepted =
                    state.history.sends.iter().filter(|send| send.sent == Sent::Accepted);
                let done = accepted.all(|send| state.db.turns.contains_key(&send.turn));
                let empty = state.slots.iter().all(|(_, slot)| slot.depth() == 0);
                if done && empty && state.db.is_settled() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

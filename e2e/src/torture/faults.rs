//! The nemesis: every fault, whom it strikes, and when it was over.

mod engines;
mod rooms;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::Engines;
use super::ground::{Ground, Outside};
use crate::chance::Chance;
use crate::journal::{Event, Journal};
use crate::rig::Rig;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// kill -9 of one process of a room.
    Kill,
    /// SIGSTOP of a dispatcher while it runs turns, until the broker has given them to another; SIGCONT.
    Freeze,
    /// The broker is killed or stopped, and started again; of a cluster all nodes at once.
    Broker,
    /// The broker, or a cluster's leader, is stopped in its tracks (SIGSTOP), longer than any deadline;
    /// SIGCONT.
    Stall,
    /// The node of a cluster that leads most queues, or one that does not, is killed and started again.
    Leader,
    Follower,
    /// A node of a cluster is cut off from the others; clients still reach it.
    Partition,
    /// Every piece of the way to and from the database is held up.
    Slow,
    /// The endpoint answers every POST with 503.
    Outage,
    /// Every process is killed at once, and started again.
    Together,
    /// PostgreSQL is killed and started again.
    Postgres,
    /// Every backend of PostgreSQL is terminated.
    Terminate,
    /// Every connection to the broker, to the database, or to both is cut.
    Cut,
    /// The broker's memory alarm: publishers are blocked.
    Alarm,
    /// One, three, two dispatchers and deliverers.
    Scale,
    /// Every process is ended with SIGTERM and started again, one after the other.
    Roll,
}

impl Fault {
    /// Those that the engines have.
    pub fn of(engines: Engines) -> &'static [Self] {
        match engines {
            Engines::Rabbitmq => &[
                Self::Kill,
                Self::Freeze,
                Self::Broker,
                Self::Stall,
                Self::Slow,
                Self::Outage,
                Self::Together,
                Self::Postgres,
                Self::Terminate,
                Self::Cut,
                Self::Alarm,
                Self::Scale,
                Self::Roll,
            ],
            Engines::Embedded => &[Self::Kill, Self::Roll],
            Engines::Cluster => &[
                Self::Leader,
                Self::Follower,
                Self::Partition,
                Self::Stall,
                Self::Kill,
                Self::Broker,
            ],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Broker => "broker",
            Self::Stall => "stall",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Partition => "partition",
            Self::Slow => "slow",
            Self::Outage => "outage",
            Self::Together => "together",
            Self::Postgres => "postgres",
            Self::Terminate => "terminate",
            Self::Cut => "cut",
            Self::Alarm => "alarm",
            Self::Scale => "scale",
            Self::Roll => "roll",
        }
    }
}

/// One fault as it happened, in time since the run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub fault: Fault,
    pub target: String,
    pub began: Duration,
    pub ended: Duration,
    /// After a freeze: writes of the zombie that its fence refused.
    pub refused: Option<u64>,
    /// After a freeze: turns of the frozen process that others had done before it woke.
    pub taken_over: Option<u64>,
    /// The longest that a process took to end after SIGTERM.
    pub exit: Option<Duration>,
}

/// What a fault tells of itself.
#[derive(Debug, Default)]
pub(super) struct Struck {
    target: String,
    refused: Option<u64>,
    taken_over: Option<u64>,
    exit: Option<Duration>,
}

impl Struck {
    fn of(target: impl Into<String>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }
}

/// Strikes one fault at a time.
pub struct Nemesis<'a> {
    pub rig: &'a Rig,
    pub ground: &'a Ground,
    pub journal: &'a Journal,
    pub chance: Chance,
    /// How long a freeze lasts at least.
    pub freeze: Duration,
}

impl Nemesis<'_> {
    /// Strikes and returns when the fault is over: what was killed is ready again.
    pub async fn strike(&mut self, fault: Fault) -> Result<Window> {
        let began = self.journal.now();
        self.journal
            .note(&Event { value: Some("start"), ..Event::new("nemesis", "info", fault.name()) });
        let struck = match fault {
            Fault::Kill => self.kill().await,
            Fault::Freeze => self.freeze().await,
            Fault::Broker => self.broker().await,
            Fault::Stall => self.stall().await,
            Fault::Leader => self.node(true).await,
            Fault::Follower => self.node(false).await,
            Fault::Partition => self.partition().await,
            Fault::Slow => self.slow().await,
            Fault::Outage => self.outage().await,
            Fault::Together => self.together().await,
            Fault::Postgres => self.postgres().await,
            Fault::Terminate => self.terminate().await,
            Fault::Cut => self.cut().await,
            Fault::Alarm => self.alarm().await,
            Fault::Scale => self.scale().await,
            Fault::Roll => self.roll().await,
        };
        let struck = struck.with_context(|| format!("the fault {}", fault.name()))?;
        let ended = self.journal.now();
        self.journal.note(&Event {
            value: Some("stop"),
            node: Some(&struck.target),
            ..Event::new("nemesis", "info", fault.name())
        });
        let Struck { target, refused, taken_over, exit } = struck;
        Ok(Window { fault, target, began, ended, refused, taken_over, exit })
    }

    fn outside(&self) -> Result<&Outside> {
        self.ground.outside.as_ref().context("these engines are not processes of their own")
    }

    fn pause(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        self.chance.between(Duration::from_millis(low_ms), Duration::from_millis(high_ms))
    }
}

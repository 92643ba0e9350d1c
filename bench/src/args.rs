//! The command line of the benchmark.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::role::Role;

/// Compares this build with two yardsticks: the bare chain of the same hops, and the same with one
/// grouped durable commit a turn.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub compare: Compare,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// One process of a yardstick (started by the benchmark itself).
    #[command(subcommand, hide = true)]
    Role(Role),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engines {
    Rabbitmq,
    Embedded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Sync,
    Async,
}

impl Mode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub struct Compare {
    /// Which engine pair to measure.
    #[arg(long, value_enum, default_value = "rabbitmq")]
    pub engines: Engines,
    /// RabbitMQ to use. A prefix of its own keeps it apart from anything else there.
    #[arg(long, requires = "postgres")]
    pub amqp: Option<String>,
    /// PostgreSQL database to use; its tables are this benchmark's.
    #[arg(long, requires = "amqp")]
    pub postgres: Option<String>,
    /// Start private instances of RabbitMQ and PostgreSQL for the run.
    #[arg(long, conflicts_with = "amqp")]
    pub private_engines: bool,
    /// Modes to measure; both when none is given.
    #[arg(long, value_enum)]
    pub mode: Vec<Mode>,
    /// Turns in flight at once, end to end.
    #[arg(long, default_value_t = 64)]
    pub concurrency: usize,
    /// Length of one measurement.
    #[arg(long, default_value_t = 6)]
    pub seconds: u64,
    /// Rounds; product and yardsticks alternate within each.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Open loop: turns a second that arrive whether or not the earlier ones are done.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Worker threads of each process of product and yardsticks alike; half the cores when not given.
    #[arg(long)]
    pub threads: Option<usize>,
    /// A setting of the product under measurement, like `engines.partitions=8`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Folder for results.json and latency.svg.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Fail (exit 1) when the throughput is below this share of the bare chain with a commit, or the
    /// median latency above 1.5 times its own.
    #[arg(long)]
    pub gate: Option<f64>,
}

impl Compare {
    /// The processes of a chain share the machine with each other, the engines and the load.
    pub(crate) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(|| cores() / 2).max(1)
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as group.name=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

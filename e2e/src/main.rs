//! The command of the promises under fire.

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use e2e::open_loop::{self, OpenLoop};
use e2e::overload::{self, Overload};
use e2e::recovery::{self, Recovery};
use e2e::soak::{self, Soak};
use e2e::torture::{self, Engines, Torture};

#[derive(Parser)]
#[command(about = "The promises under fire")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load, faults from a seed, and a verdict: exit status 0 only when it is VALID.
    Torture(Torture),
    /// Up to ten times the capacity: exit status 0 only when every promise of overload is kept.
    Overload(Overload),
    /// Load at a constant rate by k6, a fresh token in each request: figures, and a failure when something is lost.
    OpenLoop(OpenLoop),
    /// Faults at eight tenths of the capacity: exit status 0 only when all is well again soon after each.
    Recovery(Recovery),
    /// A long load of very many conversations: exit status 0 only when nothing grows and nothing is lost.
    Soak(Soak),
}

fn main() -> Result<()> {
    let Args { command } = Args::parse();
    if command.engines() == Engines::Cluster {
        testkit::cluster::in_own_network()?;
    }
    tokio::runtime::Runtime::new()?.block_on(run(command))
}

impl Command {
    fn engines(&self) -> Engines {
        match self {
            Self::Torture(torture) => torture.engines,
            Self::Overload(overload) => overload.engines,
            Self::Soak(soak) => soak.engines,
            Self::OpenLoop(_) | Self::Recovery(_) => Engines::Rabbitmq,
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Torture(torture) => {
            let outcome = torture::run(&torture).await?;
            say(&outcome.line());
            ensure!(outcome.green(), "see {}", torture.out.join("report.html").display());
        }
        Command::Overload(overload) => {
            let outcome = overload::run(&overload).await?;
            say(&outcome.table());
            ensure!(outcome.green(), "promises are broken");
        }
        Command::OpenLoop(told) => say(&open_loop::table(&open_loop::run(&told).await?)),
        Command::Recovery(recovery) => {
            let outcome = recovery::run(&recovery).await?;
            say(&outcome.table());
            ensure!(outcome.broken().is_empty(), "promises are broken");
        }
        Command::Soak(soak) => {
            let outcome = soak::run(&soak).await?;
            say(&outcome.table());
            ensure!(outcome.broken.is_empty(), "promises are broken");
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the verdict is this program's product")]
fn say(line: &str) {
    println!("{line}");
}

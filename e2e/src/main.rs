//! The command of the promises under fire.

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use e2e::overload::{self, Overload};
use e2e::torture::{self, Torture};

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
}

#[tokio::main]
async fn main() -> Result<()> {
    match Args::parse().command {
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
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the verdict is this program's product")]
fn say(line: &str) {
    println!("{line}");
}

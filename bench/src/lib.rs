//! Measures the product against two yardsticks in one run: the bare chain of the same hops without a
//! store, and the bare chain with one grouped durable commit a turn.
//!
//! Everything is a process of its own on loopback, so that `/proc` tells what each part costs. Only
//! ratios of one run are quoted: machines vary, and so do minutes of one machine.

pub mod args;
mod bare;
mod client;
mod closed;
mod compare;
mod durability;
mod meter;
mod open;
mod payload;
mod product;
mod report;
mod role;
mod sink;

pub use args::{Args, Command};

/// Runs `switchhook bench`.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Role(role)) => role::run(role).await,
        None => compare::run(&args.compare).await,
    }
}

//! `sim [--seed N] [--seeds COUNT]`: simulates seeds and tells those that broke a promise.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use sim::{Scenario, run};

/// Simulates the rooms over models of a broker and a store, one seed after another.
#[derive(Debug, Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mut out = std::io::stdout().lock();
    let (mut broken, mut accepted, mut faults, mut refused) = (0, 0, 0, 0);
    for seed in args.seed..args.seed + args.seeds {
        let verdict = run(Scenario::new(seed))?;
        accepted += verdict.accepted;
        faults += verdict.faults.values().sum::<u64>();
        refused += verdict.refused_commits;
        if !verdict.offences.is_empty() || args.seeds == 1 {
            writeln!(out, "{verdict}")?;
        }
        broken += u64::from(!verdict.offences.is_empty());
    }
    writeln!(
        out,
        "{} seeds, {broken} broken; {accepted} turns accepted, {faults} faults, {refused} late commits refused",
        args.seeds
    )?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! The command line of Switchhook.

mod admin;
mod cli;
mod commands;
mod demo;
mod office;
mod output;

use std::process::ExitCode;

use clap::Parser as _;
use shared::process::Failure;
use shared::process::failure;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        // Before anything else of this process exists: it jails itself first.
        Ok(cli::Cli { command: cli::Command::ScriptHost { best_effort }, .. }) => {
            script::host::run(best_effort)
        }
        Ok(cli) => failure::exit("switchhook", commands::run(cli)),
        // Help and version are no mistakes; clap prints those to standard output.
        Err(error) if error.exit_code() == 0 => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = error.print();
            ExitCode::from(Failure::usage("").code)
        }
    }
}

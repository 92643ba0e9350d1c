//! The console as a process of its own.

use std::process::ExitCode;

use console::Alone;
use shared::process;

fn main() -> ExitCode {
    process::room("console", Alone::bind)
}

//! A deliverer as a process of its own.

use std::process::ExitCode;

use deliverer::Alone;
use shared::process;

fn main() -> ExitCode {
    process::room("deliverer", |_| Ok(Alone))
}

//! A dispatcher as a process of its own.

use std::process::ExitCode;

use dispatcher::Alone;
use shared::process;

fn main() -> ExitCode {
    process::room("dispatcher", |_| Ok(Alone))
}

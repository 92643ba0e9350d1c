//! A dispatcher as a process of its own.

use std::process::ExitCode;

use dispatcher::Alone;
use shared::process;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == script::host::COMMAND) {
        return script::host::run(
            std::env::args_os().nth(2).is_some_and(|word| word == script::host::BEST_EFFORT),
        );
    }
    process::room("dispatcher", |_| Ok(Alone))
}

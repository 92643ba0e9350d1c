//! Ingress as a process of its own.

use std::process::ExitCode;

use ingress::Alone;
use shared::process;

fn main() -> ExitCode {
    process::room("ingress", Alone::bind)
}

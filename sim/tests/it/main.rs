//! What a simulation of the rooms shows, and that it can show the opposite.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell figures"
)]

mod controls;
mod seeds;

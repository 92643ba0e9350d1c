//! The command line as its users meet it: the built binary, a folder, a port.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod apply;
mod completions;
mod connectors;
mod doctor;
mod documents;
mod logs;
mod metrics;
mod office;
mod refusals;
mod registry;
mod rehearsals;
mod replays;
mod scripts;
mod send;
mod served;
mod support;
mod token;
mod top;
mod up;
mod watch;

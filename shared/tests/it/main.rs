//! Conformance of the engines: one suite for every store, one for every broker; the
//! embedded pair under kills.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broker;
mod kills;
mod process;
mod store;

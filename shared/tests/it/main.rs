//! Conformance of the engines: one suite for every store, one for every broker.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod broker;
mod store;

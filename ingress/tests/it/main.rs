//! The room as a client meets it: a real port, the embedded engines, and a stand-in for dispatchers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod activities;
mod answers;
mod connections;
mod keys;
mod overload;
mod polls;
mod rules;
mod support;

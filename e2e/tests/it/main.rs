//! The whole product, from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod bad_input;
mod callers;
mod canaries;
mod changes;
mod clients;
mod console;
mod controls;
mod crash_points;
mod dialogs;
mod durable;
mod encrypted;
mod exchange;
mod monitoring;
mod neighbours;
mod outage;
mod partitions;
mod peers;
mod promises;
mod restore;
mod roll_back;
mod rotate;
mod runbook;
mod support;
mod tokens;
mod torture;
mod tracing;
mod types;

//! The whole product, from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod promises;

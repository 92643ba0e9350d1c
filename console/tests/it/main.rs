//! The office on the embedded store, as those who ask it meet it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod canaries;
mod exchange;
mod life;
mod people;
mod support;

//! The office on the embedded store, as those who ask it meet it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod analytics;
mod api;
mod canaries;
mod exchange;
mod life;
mod overrides;
mod page_forms;
mod page_rights;
mod people;
mod replays;
mod sign_in;
mod support;

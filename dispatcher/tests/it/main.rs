//! A dispatcher, mostly on the embedded engines, with bots and a store that misbehave on purpose.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod activities;
mod beside;
mod breaker;
mod commits;
mod connectors;
mod deliveries;
mod failures;
mod hosts;
mod http;
mod overrides;
mod poison;
mod repeats;
mod saturation;
mod scripts;
mod served;
mod sessions;
mod strays;
mod support;
mod versions;
mod while_busy;
mod wider;

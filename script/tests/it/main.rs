//! The script host seen from outside, and what is taken from others.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod jail;
mod vendor;

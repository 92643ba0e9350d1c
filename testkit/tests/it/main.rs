//! The private engines start, die and come back; and the house rules that a compiler does not check.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod postgres;
mod rabbitmq;
mod tidy;
mod wait;

//! A deliverer on the embedded engines, and where engines matter on the served ones, against
//! receivers that behave in many ways.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod breaker;
mod crash;
mod hostile;
mod isolation;
mod order;
mod parking;
mod served;
mod support;
mod sweep;

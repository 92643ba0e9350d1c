//! What Switchhook is about, as plain values and decisions.
//!
//! PURE: no clock, no randomness, no sockets, no runtime. Time and chance are arguments.

pub mod breaker;
pub mod channel;
pub mod delivery;
pub mod ids;
pub mod outcome;
pub mod retry;
pub mod trace;
pub mod turn;
pub mod wider;

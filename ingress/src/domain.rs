//! What ingress decides, as plain values.
//!
//! PURE: no clock, no randomness, no sockets, no runtime. Time and ids are arguments.

pub(crate) mod admit;
pub(crate) mod auth;
pub(crate) mod framing;
pub(crate) mod json;
pub(crate) mod limit;
pub(crate) mod refusal;

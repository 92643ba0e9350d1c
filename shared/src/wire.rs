//! Versioned contracts: the bodies that travel through the queues, and the webhook protocol.
//!
//! PURE: bytes in, values out, and back.

pub mod envelope;
pub mod jobs;
pub mod v1;

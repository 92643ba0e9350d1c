//! Versioned contracts: the bodies that travel through the queues, and the webhook protocol.
//!
//! PURE: bytes in, values out, and back.

pub mod activity;
pub mod clean;
pub mod envelope;
pub mod jobs;
pub mod template;
pub mod v1;

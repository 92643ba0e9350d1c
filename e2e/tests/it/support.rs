//! What the end-to-end tests share.

pub(crate) mod drill;
pub(crate) mod http;
pub(crate) mod mint;
pub(crate) mod prometheus;
pub(crate) mod receiver;
pub(crate) mod stage;
pub(crate) mod system;

//! What a deliverer decides, as plain functions. PURE: time and chance are arguments.

pub(crate) mod judge;
pub(crate) mod retry_after;
pub(crate) mod sign;
pub(crate) mod target;

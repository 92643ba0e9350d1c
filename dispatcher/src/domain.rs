//! What a dispatcher decides, as plain values. PURE: time and chance are arguments.

pub mod merge;
pub mod overrides;
pub mod peers;
pub mod poison;
pub mod render;
pub mod session;
pub mod step;

pub use shared::wire::{clean, template};

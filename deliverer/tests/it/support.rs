//! A small world: engines in a folder, one or more channels, deliverers, receivers.

pub(crate) mod receiver;
pub(crate) mod world;

pub(crate) use testkit::{SOON, until};

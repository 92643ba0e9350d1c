//! A small world: engines in a folder, a store that fails when told to, bots by closure, dispatchers.

pub(crate) mod bot;
pub(crate) mod faulty;
pub(crate) mod server;
pub(crate) mod world;

pub(crate) use testkit::{SOON, until};

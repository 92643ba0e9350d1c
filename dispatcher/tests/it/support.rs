//! A small world: engines in a folder, a store that fails when told to, bots by closure, dispatchers.

pub(crate) mod bot;
pub(crate) mod faulty;
pub(crate) mod server;
pub(crate) mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use shared::clock::Clock;
use shared::domain::ids::TurnId;
use shared::entropy::Entropy;

pub(crate) use testkit::{SOON, until};

/// Later than those before it. Of ids that are made within a millisecond chance would decide.
pub(crate) fn a_turn_id() -> TurnId {
    static LAST_MS: AtomicU64 = AtomicU64::new(0);
    let now = Clock::Real.unix_ms();
    let last =
        LAST_MS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
    TurnId::new(Entropy::Real.uuid_v7(now.max(last.unwrap_or(0) + 1)))
}

//! Upkeep and operations: the schema, what is removed when, one user's data, what was parked.

use std::future::Future;
use std::time::Duration;

use super::StoreError;
use crate::domain::ids::{ChannelId, ConversationId, UserId};

/// What was removed in one round of cleaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub rows: u64,
    /// Whether there is more to do at once.
    pub more: bool,
}

/// How long rows are kept. Every table has one of these; `docs/store.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Turn rows (inbox, ledger, answers) and attempts: from the time inside the turn's id. Must
    /// outlive the longest job.
    pub turns: Duration,
    /// Settled deliveries, and parked ones that nobody has redriven.
    pub deliveries: Duration,
    pub parked: Duration,
    /// Conversations without a turn or an unsettled delivery.
    pub conversations: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |n: u64| Duration::from_hours(24 * n);
        Self { turns: days(8), deliveries: days(8), parked: days(30), conversations: days(90) }
    }
}

/// Upkeep and operations.
pub trait Upkeep: Clone + Send + Sync + 'static {
    /// Brings the schema up to date. Safe to run by many at once.
    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// One bounded round of removing what has outlived its retention.
    fn clean(
        &self,
        retention: Retention,
    ) -> impl Future<Output = Result<Cleaned, StoreError>> + Send;

    /// Removes what is known of a user on a channel: conversation and deliveries go, turn rows stay
    /// without content. Work that is still queued or running for an older turn leaves nothing behind.
    /// Returns the number of rows touched.
    fn erase(
        &self,
        channel: &ChannelId,
        user: &UserId,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Puts the parked deliveries of a conversation back, in their old order, at its end.
    fn redrive(
        &self,
        conversation: ConversationId,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

//! What a deliverer needs, see [`Deliveries`].

use std::time::Duration;

use super::claim::Asked;
use super::pool::DEADLINE;
use super::settle::{Outcome, Plain};
use super::{Postgres, deliveries, settle, sweep, within};
use crate::domain::delivery::Place;
use crate::domain::ids::{ChannelId, ConversationId};
use crate::store::{
    AttemptRecord, Backlog, Claimed, Deliveries, Hint, Lowest, Settlement, StoreError, Verdict,
};

impl Deliveries for Postgres {
    async fn lowest(&self, conversation: ConversationId) -> Result<Option<Lowest>, StoreError> {
        self.0.lowest.ask(conversation).await
    }

    async fn claim(
        &self,
        place: Place,
        seen_attempt: u32,
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        self.0.claims.ask(Asked { place, seen: seen_attempt, lease }).await
    }

    async fn settle(
        &self,
        place: Place,
        seen_attempt: u32,
        record: Option<AttemptRecord>,
        verdict: Verdict,
    ) -> Result<Settlement, StoreError> {
        let (verdict, wait) = match verdict {
            Verdict::Delivered => (Plain::Delivered, Duration::ZERO),
            Verdict::Retry(wait) => (Plain::Retry, wait),
            Verdict::Defer(wait) => (Plain::Defer, wait),
            Verdict::Ours(wait) => (Plain::Ours, wait),
            Verdict::Park(reason) => {
                let hot = &self.0.pools.hot;
                let work = settle::park(hot, place, seen_attempt, record, reason);
                return within(DEADLINE, work).await;
            }
        };
        let outcome = Outcome { place, seen: seen_attempt, record, verdict, wait };
        self.0.outcomes.ask(outcome).await
    }

    async fn due(&self, channel: &ChannelId, limit: u32) -> Result<Vec<Lowest>, StoreError> {
        within(DEADLINE, deliveries::due(&self.0.pools.calm, channel, limit)).await
    }

    async fn sweep(
        &self,
        per_endpoint: u32,
        limit: u32,
        paused: &[ChannelId],
    ) -> Result<Vec<Hint>, StoreError> {
        within(DEADLINE, sweep::sweep(&self.0.pools.calm, per_endpoint, limit, paused)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        within(DEADLINE, sweep::backlog(&self.0.pools.calm)).await
    }
}

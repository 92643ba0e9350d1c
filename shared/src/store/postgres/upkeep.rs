//! Upkeep and operations, see [`Upkeep`]. They may take longer than a room's calls, but not for ever.

use std::time::Duration;

use super::{Postgres, clean, erase, migrate, within};
use crate::domain::ids::{ChannelId, ConversationId, ConversationKey, UserId};
use crate::store::{Cleaned, Retention, StoreError, Upkeep};

/// Waiting for another's migration, and an index over much data, take their time.
const MIGRATION: Duration = Duration::from_mins(10);
const OPERATION: Duration = Duration::from_mins(1);

impl Upkeep for Postgres {
    async fn migrate(&self) -> Result<(), StoreError> {
        within(MIGRATION, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = migrate::migrate(&mut held).await;
            held.settle(result)
        })
        .await
    }

    async fn clean(&self, retention: Retention) -> Result<Cleaned, StoreError> {
        within(OPERATION, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = clean::clean(&mut held, retention).await;
            held.settle(result)
        })
        .await
    }

    async fn erase(&self, channel: &ChannelId, user: &UserId) -> Result<u64, StoreError> {
        let conversation = ConversationKey::new(channel.clone(), user.clone()).id();
        within(OPERATION, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = erase::erase(&mut held, conversation, (channel, user)).await;
            held.settle(result)
        })
        .await
    }

    async fn redrive(&self, conversation: ConversationId) -> Result<u64, StoreError> {
        within(OPERATION, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = erase::redrive(&mut held, conversation).await;
            held.settle(result)
        })
        .await
    }
}

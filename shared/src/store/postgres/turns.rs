//! What a dispatcher needs, see [`Turns`].

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::load::{Found, Wanted};
use super::pool::DEADLINE;
use super::{Postgres, deliveries, marks, wider, within};
use crate::domain::delivery::Delivery;
use crate::domain::ids::{ConversationId, ConversationKey, TurnId};
use crate::domain::outcome::Outcome;
use crate::domain::wider::{Kept, Scope};
use crate::store::{
    CommitError, Committed, Conversation, Deaths, Session, SettledTurn, StoreError, TurnCommit,
    Turns,
};
use crate::topology::Queue;

/// How often a new conversation may be cleaned or erased away between its birth and its reading.
const BIRTHS: usize = 3;

impl Turns for Postgres {
    async fn load(
        &self,
        key: &ConversationKey,
        turn: TurnId,
    ) -> Result<(Conversation, Option<SettledTurn>), StoreError> {
        let wanted = Wanted { id: key.id(), key: key.clone(), turn };
        let work = async {
            for _ in 0..BIRTHS {
                let found = self.0.loads.ask(wanted.clone()).await?;
                if let Some(loaded) = loaded(wanted.id, found) {
                    return Ok(loaded);
                }
                self.0.births.ask(wanted.clone()).await?;
            }
            Err(StoreError::Away("the conversation is erased again and again".to_owned()))
        };
        within(DEADLINE, work).await
    }

    async fn commit(&self, commit: TurnCommit) -> Result<Committed, CommitError> {
        let id = commit.conversation.id().uuid();
        self.0.commits.ask((id, commit)).await?.ok_or(CommitError::Missed)
    }

    async fn wider(&self, scopes: &[Scope]) -> Result<Vec<Kept>, StoreError> {
        within(DEADLINE, wider::read(&self.0.pools.hot, scopes)).await
    }

    async fn unsettled(
        &self,
        conversation: ConversationId,
        turn: TurnId,
    ) -> Result<Vec<Delivery>, StoreError> {
        within(DEADLINE, deliveries::unsettled(&self.0.pools.hot, conversation, turn)).await
    }

    async fn mark(&self, turn: TurnId, process: Uuid, solo: bool) -> Result<Deaths, StoreError> {
        within(DEADLINE, marks::mark(&self.0.pools.calm, turn, process, solo)).await
    }

    async fn unmark(&self, turn: TurnId, process: Uuid) -> Result<(), StoreError> {
        within(DEADLINE, marks::unmark(&self.0.pools.calm, turn, process)).await
    }

    async fn keep_stray(&self, queue: Queue, body: Bytes, reason: &str) -> Result<(), StoreError> {
        within(DEADLINE, marks::keep_stray(&self.0.pools.calm, queue, &body, reason)).await
    }
}

/// `None`: the conversation has no row, and this turn is to have one.
fn loaded(id: ConversationId, found: Found) -> Option<(Conversation, Option<SettledTurn>)> {
    // Of a turn that is older than its user's erasure nothing is left: it counts as settled.
    let erased = SettledTurn { outcome: Outcome::Parked, reply: Bytes::new() };
    let settled = found.settled.or_else(|| found.erased.then_some(erased));
    // Nothing runs on a settled turn's conversation, so there is no need to make one.
    let nobody = Conversation { id, version: 0, session: Session::default(), idle: Duration::ZERO };
    let conversation = found.conversation.or_else(|| settled.is_some().then_some(nobody))?;
    Some((conversation, settled))
}

//! The model of a store, as one process sees it: one table after another, every call a transaction. A
//! call may fail before it has done anything, or after it has done everything.

mod db;
mod deliveries;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::{
    BotId, ChannelId, ClientId, ConversationId, ConversationKey, TurnId, UserId,
};
use shared::domain::outcome::Outcome;
use shared::domain::wider::{Kept, Scope};
use shared::registry::control::ControlStore;
use shared::registry::{App, Bot, Channel, Registry, RegistryError, RegistryStore};
use shared::store::{
    AttemptRecord, Backlog, Claimed, Cleaned, CommitError, Committed, Conversation, Deaths,
    Deliveries, Hint, Intake, KeyUse, Lowest, Retention, SettledTurn, Settlement, StoreError,
    TurnCommit, Turns, Upkeep, Verdict,
};
use shared::store::{LedgerStore, ReplayStore};
use shared::topology::Queue;
use tokio::time::Instant;
use uuid::Uuid;

use crate::run::Defect;
use crate::world::{Process, World};
pub(crate) use db::Db;

/// See the module's documentation. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SimStore {
    pub(crate) world: World,
    pub(crate) process: Process,
    pub(crate) registry: Registry,
}

fn away() -> StoreError {
    StoreError::Away("simulated".to_owned())
}

fn without_texts(state: &Bytes) -> Bytes {
    let mut state: Value = serde_json::from_slice(state).unwrap_or_default();
    if let Some(state) = state.as_object_mut() {
        state.remove("merged");
    }
    state.to_string().into()
}

impl SimStore {
    /// One transaction, there and back.
    async fn call<T>(&self, work: impl FnOnce(&mut Db, Instant) -> T) -> Result<T, StoreError> {
        self.world.travel(self.process).await;
        let (fails_before, fails_after) = {
            let mut state = self.world.lock();
            let away = state.store_away_until.is_some_and(|until| Instant::now() < until);
            let mean = state.meanness.store;
            (away || state.chance.permille(mean / 2), state.chance.permille(mean / 2))
        };
        if fails_before {
            return Err(away());
        }
        let done = work(&mut self.world.lock().db, Instant::now());
        self.world.travel(self.process).await;
        if fails_after { Err(away()) } else { Ok(done) }
    }
}

impl Turns for SimStore {
    async fn load(
        &self,
        key: &ConversationKey,
        turn: TurnId,
    ) -> Result<(Conversation, Option<SettledTurn>), StoreError> {
        let (conversation, settled) = self.call(|db, now| db.load(key, turn, now)).await?;
        // Now and then, or no job that came again would ever end.
        let unseen =
            self.world.has(Defect::RowsUnseen) && self.world.draw(|chance| chance.permille(500));
        Ok((conversation, settled.filter(|_| !unseen)))
    }

    async fn commit(&self, mut commit: TurnCommit) -> Result<Committed, CommitError> {
        if self.world.has(Defect::TextsDropped) && commit.record.outcome == Outcome::Merged {
            commit.session.state = without_texts(&commit.session.state);
        }
        let fenced = !self.world.has(Defect::NoFence);
        let turn = commit.record.turn;
        let committed = self.call(|db, now| db.commit(commit, now, fenced)).await?;
        let detail = u64::from(committed.is_some());
        self.world.note("commit", self.process, detail ^ turn.unix_ms());
        committed.ok_or_else(|| {
            self.world.lock().refused_commits += 1;
            CommitError::Missed
        })
    }

    async fn wider(&self, _: &[Scope]) -> Result<Vec<Kept>, StoreError> {
        // No simulated bot keeps anything beyond its conversation.
        Ok(Vec::new())
    }

    async fn unsettled(
        &self,
        conversation: ConversationId,
        turn: TurnId,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.call(|db, _| db.unsettled(conversation, turn)).await
    }

    async fn mark(&self, turn: TurnId, process: Uuid, solo: bool) -> Result<Deaths, StoreError> {
        self.call(|db, _| db.mark(turn, process, solo)).await
    }

    async fn unmark(&self, turn: TurnId, process: Uuid) -> Result<(), StoreError> {
        self.call(|db, _| db.marks.remove(&(turn, process))).await.map(|_| ())
    }

    async fn keep_stray(&self, _: Queue, _: Bytes, reason: &str) -> Result<(), StoreError> {
        self.call(|db, _| db.strays.push(reason.to_owned())).await
    }
}

impl Deliveries for SimStore {
    async fn lowest(&self, conversation: ConversationId) -> Result<Option<Lowest>, StoreError> {
        self.call(|db, now| db.lowest(conversation, now)).await
    }

    async fn claim(
        &self,
        place: Place,
        seen_attempt: u32,
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        self.call(|db, now| db.claim(place, seen_attempt, lease, now)).await
    }

    async fn settle(
        &self,
        place: Place,
        seen_attempt: u32,
        record: Option<AttemptRecord>,
        verdict: Verdict,
    ) -> Result<Settlement, StoreError> {
        let attempt = record.as_ref().map(|record| record.attempt);
        self.call(|db, now| db.settle(place, seen_attempt, attempt, &verdict, now)).await
    }

    async fn due(&self, channel: &ChannelId, limit: u32) -> Result<Vec<Lowest>, StoreError> {
        self.call(|db, now| db.due(channel, limit, now)).await
    }

    async fn sweep(
        &self,
        per_endpoint: u32,
        limit: u32,
        paused: &[ChannelId],
    ) -> Result<Vec<Hint>, StoreError> {
        self.call(|db, now| db.sweep(per_endpoint, limit, paused, now)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.call(|db, now| db.backlog(now)).await
    }
}

impl Intake for SimStore {
    async fn use_key(
        &self,
        _: &ChannelId,
        _: &str,
        _: [u8; 32],
        _: TurnId,
    ) -> Result<KeyUse, StoreError> {
        Ok(KeyUse::New)
    }

    async fn outcomes(
        &self,
        turns: &[(ClientId, TurnId)],
    ) -> Result<Vec<(TurnId, SettledTurn)>, StoreError> {
        self.call(|db, _| {
            let row = |(_, turn): &(ClientId, TurnId)| Some((*turn, db.settled(*turn)?));
            turns.iter().filter_map(row).collect()
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call(|_, _| ()).await
    }
}

impl Upkeep for SimStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn clean(&self, _: Retention) -> Result<Cleaned, StoreError> {
        Ok(Cleaned::default())
    }

    async fn erase(&self, _: &ChannelId, _: &UserId) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn redrive(&self, _: ConversationId) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// The registry does not change in a simulation.
fn fixed() -> RegistryError {
    RegistryError::Invalid("the simulated registry is fixed".to_owned())
}

impl RegistryStore for SimStore {
    async fn registry(&self) -> Result<Registry, RegistryError> {
        Ok(self.registry.clone())
    }

    async fn add_app(&self, _: &App) -> Result<(), RegistryError> {
        Err(fixed())
    }

    async fn add_bot(&self, _: &Bot) -> Result<(), RegistryError> {
        Err(fixed())
    }

    async fn add_channel(&self, _: &Channel) -> Result<u32, RegistryError> {
        Err(fixed())
    }

    async fn act(&self, _: &ChannelId, _: ChannelAction) -> Result<ChannelState, RegistryError> {
        Err(fixed())
    }

    async fn replaced_script(&self, _: &BotId, _: &str) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

impl ControlStore for SimStore {}

impl LedgerStore for SimStore {}

impl ReplayStore for SimStore {}

//! A store that fails as it is told to.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shared::clock::Clock;
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::{BotId, ChannelId, ConversationId, ConversationKey, TurnId};
use shared::domain::wider::{Kept, Scope};
use shared::entropy::Entropy;
use shared::registry::control::ControlStore;
use shared::registry::{App, Bot, Channel, Registry, RegistryError, RegistryStore};
use shared::store::{
    AttemptRecord, Backlog, Claimed, CommitError, Committed, Conversation, Deaths, Deliveries,
    Hint, Lowest, SettledTurn, Settlement, Store, StoreError, TurnCommit, Turns, Verdict,
};
use shared::store::{LedgerStore, ReplayStore};
use shared::topology::Queue;
use uuid::Uuid;

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Not written, and nobody knows.
    UnknownNotWritten,
    /// Written, and nobody knows.
    UnknownWritten,
    Refused,
    /// The conversation moves before it is written.
    Moved,
}

type Script = dyn Fn(&TurnCommit, usize) -> Fault + Send + Sync;

/// One process's handle to a store; handles that were made of one another share the faults.
#[derive(Clone)]
pub(crate) struct Faulty<S> {
    store: S,
    faults: Arc<Faults>,
}

struct Faults {
    script: Mutex<Arc<Script>>,
    commits: AtomicUsize,
    away: AtomicBool,
    calls_away: AtomicUsize,
    strays: Mutex<Vec<(Bytes, String)>>,
    details: Mutex<HashMap<TurnId, String>>,
    heard: Mutex<Option<Registry>>,
}

impl<S: Store> Faulty<S> {
    pub(crate) fn new(store: S) -> Self {
        let script: Arc<Script> = Arc::new(|_, _| Fault::None);
        let faults = Faults {
            script: Mutex::new(script),
            commits: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            calls_away: AtomicUsize::new(0),
            strays: Mutex::default(),
            details: Mutex::default(),
            heard: Mutex::default(),
        };
        Self { store, faults: Arc::new(faults) }
    }

    /// Another process's handle.
    pub(crate) fn over(&self, store: S) -> Self {
        Self { store, faults: Arc::clone(&self.faults) }
    }

    /// Without faults.
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// Processes that start from now on have heard of this, and of nothing later.
    pub(crate) fn hear(&self, registry: Registry) {
        *self.faults.heard.lock().unwrap() = Some(registry);
    }

    /// The registry as a process that starts has heard of it.
    pub(crate) async fn heard(&self) -> Registry {
        let heard = self.faults.heard.lock().unwrap().clone();
        match heard {
            Some(registry) => registry,
            None => self.store.registry().await.unwrap(),
        }
    }

    /// From now on commits meet what the script says of them and their number, counted from 0.
    pub(crate) fn commits(
        &self,
        script: impl Fn(&TurnCommit, usize) -> Fault + Send + Sync + 'static,
    ) {
        self.faults.commits.store(0, Ordering::SeqCst);
        *self.faults.script.lock().unwrap() = Arc::new(script);
    }

    /// Takes the database away, or brings it back.
    pub(crate) fn away(&self, away: bool) {
        self.faults.away.store(away, Ordering::SeqCst);
    }

    /// Calls that found the database away.
    pub(crate) fn calls_away(&self) -> usize {
        self.faults.calls_away.load(Ordering::SeqCst)
    }

    /// What an operator reads of a turn.
    pub(crate) fn detail(&self, turn: TurnId) -> String {
        self.faults.details.lock().unwrap().get(&turn).cloned().unwrap_or_default()
    }

    /// What was kept for an operator, with the reasons.
    pub(crate) fn strays(&self) -> Vec<(Bytes, String)> {
        self.faults.strays.lock().unwrap().clone()
    }

    fn there(&self) -> Result<(), StoreError> {
        if self.faults.away.load(Ordering::SeqCst) {
            self.faults.calls_away.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Away("taken away".to_owned()));
        }
        Ok(())
    }

    /// Commits something else to the conversation, as another process would.
    async fn move_on(&self, commit: &TurnCommit) {
        let mut other = commit.clone();
        other.record.turn = TurnId::new(Entropy::Real.uuid_v7(Clock::Real.unix_ms()));
        other.deliveries.clear();
        self.store.commit(other).await.unwrap();
    }
}

impl<S: Store> Turns for Faulty<S> {
    async fn load(
        &self,
        key: &ConversationKey,
        turn: TurnId,
    ) -> Result<(Conversation, Option<SettledTurn>), StoreError> {
        self.there()?;
        self.store.load(key, turn).await
    }

    async fn commit(&self, commit: TurnCommit) -> Result<Committed, CommitError> {
        self.there()?;
        let told = (commit.record.turn, commit.record.detail.clone());
        self.faults.details.lock().unwrap().extend([told]);
        let script = Arc::clone(&*self.faults.script.lock().unwrap());
        let number = self.faults.commits.fetch_add(1, Ordering::SeqCst);
        let unknown = || Err(CommitError::Unknown("as told".to_owned()));
        match script(&commit, number) {
            Fault::None => self.store.commit(commit).await,
            Fault::UnknownNotWritten => unknown(),
            Fault::UnknownWritten => {
                self.store.commit(commit).await?;
                unknown()
            }
            Fault::Refused => Err(CommitError::Refused("as told".to_owned())),
            Fault::Moved => {
                self.move_on(&commit).await;
                self.store.commit(commit).await
            }
        }
    }

    async fn wider(&self, scopes: &[Scope]) -> Result<Vec<Kept>, StoreError> {
        self.there()?;
        self.store.wider(scopes).await
    }

    async fn unsettled(
        &self,
        conversation: ConversationId,
        turn: TurnId,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.there()?;
        self.store.unsettled(conversation, turn).await
    }

    async fn mark(&self, turn: TurnId, process: Uuid, solo: bool) -> Result<Deaths, StoreError> {
        self.there()?;
        self.store.mark(turn, process, solo).await
    }

    async fn unmark(&self, turn: TurnId, process: Uuid) -> Result<(), StoreError> {
        self.there()?;
        self.store.unmark(turn, process).await
    }

    async fn keep_stray(&self, queue: Queue, body: Bytes, reason: &str) -> Result<(), StoreError> {
        self.there()?;
        self.store.keep_stray(queue, body.clone(), reason).await?;
        self.faults.strays.lock().unwrap().push((body, reason.to_owned()));
        Ok(())
    }
}

impl<S: Store> Deliveries for Faulty<S> {
    fn lowest(
        &self,
        conversation: ConversationId,
    ) -> impl Future<Output = Result<Option<Lowest>, StoreError>> + Send {
        self.store.lowest(conversation)
    }

    fn claim(
        &self,
        place: Place,
        seen_attempt: u32,
        lease: Duration,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send {
        self.store.claim(place, seen_attempt, lease)
    }

    fn settle(
        &self,
        place: Place,
        seen_attempt: u32,
        record: Option<AttemptRecord>,
        verdict: Verdict,
    ) -> impl Future<Output = Result<Settlement, StoreError>> + Send {
        self.store.settle(place, seen_attempt, record, verdict)
    }

    fn due(
        &self,
        channel: &ChannelId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Lowest>, StoreError>> + Send {
        self.store.due(channel, limit)
    }

    async fn sweep(
        &self,
        per_endpoint: u32,
        limit: u32,
        paused: &[ChannelId],
    ) -> Result<Vec<Hint>, StoreError> {
        self.there()?;
        self.store.sweep(per_endpoint, limit, paused).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.there()?;
        self.store.backlog().await
    }
}

impl<S: Store> RegistryStore for Faulty<S> {
    async fn registry(&self) -> Result<Registry, RegistryError> {
        self.there()?;
        self.store.registry().await
    }

    fn add_app(&self, app: &App) -> impl Future<Output = Result<(), RegistryError>> + Send {
        self.store.add_app(app)
    }

    fn add_bot(&self, bot: &Bot) -> impl Future<Output = Result<(), RegistryError>> + Send {
        self.store.add_bot(bot)
    }

    fn add_channel(
        &self,
        channel: &Channel,
    ) -> impl Future<Output = Result<u32, RegistryError>> + Send {
        self.store.add_channel(channel)
    }

    fn act(
        &self,
        channel: &ChannelId,
        action: ChannelAction,
    ) -> impl Future<Output = Result<ChannelState, RegistryError>> + Send {
        self.store.act(channel, action)
    }

    async fn replaced_script(
        &self,
        bot: &BotId,
        version: &str,
    ) -> Result<Option<String>, StoreError> {
        self.there()?;
        self.store.replaced_script(bot, version).await
    }
}

impl<S: Store> ControlStore for Faulty<S> {}

impl<S: Store> LedgerStore for Faulty<S> {}

impl<S: Store> ReplayStore for Faulty<S> {}

//! How a turn finds its conversation, and whether it was done already.

use std::time::Duration;

use shared::broker::Broker;
use shared::domain::ids::TurnId;
use shared::lanes::Run;
use shared::registry::{RegistryError, RegistryStore};
use shared::store::{Committed, Conversation, Session, SettledTurn, StoreError, Turns};
use tokio::time::Instant;

use super::{Halt, Known, Memory, Work};
use crate::bots::Bot;
use crate::domain::step::Step;
use crate::room::Room;

/// A larger session is read again from the store: lanes by the thousand remember theirs.
const KNOWN_MAX: usize = 16 * 1024;

/// What the store, or the lane's memory, says.
#[derive(Debug)]
pub(super) enum Found {
    Open(Conversation),
    /// The inbox has it.
    Settled(SettledTurn),
    /// The database refuses the question.
    Refused(String),
}

impl Memory {
    /// The conversation, if the memory may be trusted for this turn. It cannot tell whether the turn is
    /// in the inbox, so it is trusted only for one that is newer than those it has seen, and that
    /// nobody was given before; the commit looks into the inbox in any case.
    fn trusted(&self, work: &Work) -> Option<Conversation> {
        let known = self.known.as_ref()?;
        let fresh = !work.redelivered && work.turn.id > known.newest;
        fresh.then(|| Conversation { idle: known.at.elapsed(), ..known.conversation.clone() })
    }

    pub(super) fn remember(
        &mut self,
        turn: TurnId,
        before: &Conversation,
        committed: Committed,
        step: Step,
    ) {
        let conversation = Conversation {
            version: committed.version,
            session: Session { state: step.state },
            idle: Duration::ZERO,
            ..before.clone()
        };
        let newest = self.known.take().map_or(turn, |known| known.newest.max(turn));
        if conversation.session.state.len() <= KNOWN_MAX {
            self.known = Some(Known { conversation, at: Instant::now(), newest });
        }
    }
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// From the memory where it may be trusted, else from the store.
    pub(super) async fn find(
        &self,
        memory: &Memory,
        work: &Work,
        run: &Run<Work>,
    ) -> Result<Found, Halt> {
        match memory.trusted(work) {
            Some(conversation) => Ok(Found::Open(conversation)),
            None => self.look(work, run).await,
        }
    }

    /// From the store, for as long as it takes. A database that is away is never a verdict.
    pub(super) async fn look(&self, work: &Work, run: &Run<Work>) -> Result<Found, Halt> {
        let mut failures = 0;
        loop {
            let found = self.unless_closing(run, self.store.load(&work.key, work.turn.id)).await?;
            self.load.store_is(matches!(found, Err(StoreError::Away(_))));
            match found {
                Ok((_, Some(settled))) => return Ok(Found::Settled(settled)),
                Ok((conversation, None)) => return Ok(Found::Open(conversation)),
                Err(StoreError::Refused(why)) => return Ok(Found::Refused(why)),
                Err(error @ StoreError::Away(_)) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "a conversation cannot be loaded yet");
                    self.wait(failures, run).await?;
                }
            }
        }
    }

    /// Reads the registry anew.
    pub(super) async fn refresh(&self, run: &Run<Work>) -> Result<(), Halt> {
        self.insist(run, "the registry", || self.registry.refresh(&self.store)).await
    }

    /// Reads something, for as long as it takes. A database that is away is never a verdict.
    pub(super) async fn insist<T, E: Into<RegistryError>, F: Future<Output = Result<T, E>>>(
        &self,
        run: &Run<Work>,
        what: &str,
        read: impl Fn() -> F,
    ) -> Result<T, Halt> {
        let mut failures = 0;
        loop {
            match self.unless_closing(run, read()).await?.map_err(Into::into) {
                Ok(found) => return Ok(found),
                Err(error @ RegistryError::Store(StoreError::Away(_))) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "{what} cannot be read yet");
                    self.wait(failures, run).await?;
                }
                Err(error) => return Err(Halt(format!("{what} cannot be read: {error}"))),
            }
        }
    }
}

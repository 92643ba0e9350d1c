//! Poison: marks on redelivered runs, runs alone in the process, and when to give a turn up.
//!
//! A mark is set before such a run and taken back when it ends, however it ends. One that is left
//! tells that the process has died over it.

use futures_util::future::Either;
use shared::broker::Broker;
use shared::domain::ids::{BotId, TurnId};
use shared::lanes::Run;
use shared::lanes::permits::Permit;
use shared::registry::RegistryStore;
use shared::store::{Deaths, StoreError, Turns};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::{Halt, Memory, Work};
use crate::bots::Bot;
use crate::domain::poison::{self, Danger};
use crate::room::{REDELIVERED_OF_BOT_MAX, Room};

/// Whether a turn may run now.
#[derive(Debug)]
pub(super) enum Right<'a> {
    Run(Held<'a>),
    /// It must not run again, and why.
    Never(String),
}

/// Held while the run lasts.
#[derive(Debug)]
pub(super) struct Held<'a> {
    _room: Share<'a>,
    _slot: Slot,
}

/// The process beside others, or the whole of it.
type Share<'a> = Either<RwLockReadGuard<'a, ()>, RwLockWriteGuard<'a, ()>>;

/// One of the few places for redelivered turns; a first run needs none.
type Slot = Option<Permit<BotId>>;

impl<'a> Right<'a> {
    fn beside(guard: RwLockReadGuard<'a, ()>, slot: Slot) -> Self {
        Self::Run(Held { _room: Either::Left(guard), _slot: slot })
    }

    fn alone(guard: RwLockWriteGuard<'a, ()>, slot: Slot) -> Self {
        Self::Run(Held { _room: Either::Right(guard), _slot: slot })
    }
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// Waits until the turn may run.
    pub(super) async fn right_to_run(
        &self,
        memory: &mut Memory,
        work: &Work,
        run: &Run<Work>,
    ) -> Result<Right<'_>, Halt> {
        if !work.redelivered {
            let beside = self.unless_closing(run, self.runs.read()).await?;
            return Ok(Right::beside(beside, None));
        }
        let slot = self.redelivered.acquire(&work.turn.bot, REDELIVERED_OF_BOT_MAX);
        let slot = Some(self.unless_closing(run, slot).await?);
        let beside = self.unless_closing(run, self.runs.read()).await?;
        let deaths = self.mark(memory, work, false, run).await?;
        match poison::judge(deaths.all, deaths.solo) {
            Danger::None => return Ok(Right::beside(beside, slot)),
            Danger::Solo => drop(beside),
            Danger::Park => {
                let Deaths { all, solo } = deaths;
                let why = format!("its runs ended {all} processes, {solo} of them running alone");
                return Ok(Right::Never(why));
            }
        }
        let alone = self.unless_closing(run, self.runs.write()).await?;
        self.mark(memory, work, true, run).await?;
        self.metrics.solos.inc();
        tracing::warn!(deaths = deaths.all, "a turn whose run has ended a process runs alone");
        Ok(Right::alone(alone, slot))
    }

    /// For as long as it takes: without a mark there is no run. The memory has it from the beginning, and
    /// the write is not left when a hand-over begins: it might overtake the removal.
    async fn mark(
        &self,
        memory: &mut Memory,
        work: &Work,
        solo: bool,
        run: &Run<Work>,
    ) -> Result<Deaths, Halt> {
        let turn = work.turn.id;
        memory.mark = Some(turn);
        let mut failures = 0;
        loop {
            match self.store.mark(turn, self.process, solo).await {
                Ok(deaths) => {
                    self.metrics.marks.inc();
                    return Ok(deaths);
                }
                Err(error @ (StoreError::Away(_) | StoreError::Refused(_))) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "a run cannot be marked yet");
                    self.wait(failures, run).await?;
                }
            }
        }
    }

    /// After the turn is settled: a mark that stays means nothing any more.
    pub(super) async fn unmark(&self, memory: &mut Memory) {
        let Some(turn) = memory.mark.take() else { return };
        if let Err(error) = self.store.unmark(turn, self.process).await {
            tracing::debug!(%error, "the mark of a settled turn stays");
        }
    }

    /// After a run that ended without a result. The caller bounds how long this may take.
    pub(super) async fn unmark_for_certain(&self, turn: TurnId) {
        let mut failures = 0;
        while let Err(error) = self.store.unmark(turn, self.process).await {
            failures += 1;
            tracing::warn!(turn.id = %turn, %error, "the mark of a run that has ended cannot be removed yet");
            tokio::time::sleep(self.back_off(failures)).await;
        }
    }
}

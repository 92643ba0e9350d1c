//! Bots that stand beside the turn's own: which of them runs, and the one that is only tried out.

use std::sync::Arc;
use std::time::Duration;

use shared::broker::Broker;
use shared::domain::ids::{BotId, ConversationId};
use shared::domain::turn::Turn;
use shared::registry::{self, Channel, RegistryStore};
use shared::store::Turns;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bots::{self, Bot, Subject};
use crate::domain::overrides::Spoken;
use crate::domain::session::Session;
use crate::domain::step::Ran;
use crate::room::Room;

/// Turns that wait for their shadow. A shadow that cannot keep up misses turns; it never delays one.
pub(crate) const WAITING_MAX: usize = 256;
/// Shadows that run at once in a process.
const RUNNING_MAX: usize = 32;

/// A turn as a shadow gets it, and what the bot itself has answered.
#[derive(Debug)]
pub(crate) struct Shadowed {
    subject: Subject,
    session: Session,
    said: Vec<Spoken>,
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// The bot that runs the conversation's turns: its own, or the canary that stands in for it.
    pub(super) fn stand_in(
        &self,
        bot: &Arc<registry::Bot>,
        conversation: ConversationId,
    ) -> Arc<registry::Bot> {
        let canary = bot.beside.canary.as_ref().filter(|canary| canary.takes(conversation));
        let Some(canary) = canary.and_then(|canary| self.beside(&canary.bot)) else {
            return Arc::clone(bot);
        };
        self.metrics.canaries.inc();
        canary
    }

    /// A bot that stands beside another, when it is there.
    pub(super) fn beside(&self, bot: &BotId) -> Option<Arc<registry::Bot>> {
        let found = self.registry.get().bots.get(bot).cloned();
        if found.is_none() {
            tracing::warn!(bot.id = %bot, "a bot that stands beside another is not in the registry");
        }
        found
    }

    /// How long a bot may take: one with a fall-back leaves it a third of the time.
    pub(super) fn time_of(&self, bot: &registry::Bot) -> Duration {
        let whole = self.turn_deadline;
        if bot.beside.fallback.is_some() { whole.saturating_sub(whole / 3) } else { whole }
    }

    /// What the turn's shadow is to get, if it has one.
    pub(super) fn shadowed(
        &self,
        turn: &Arc<Turn>,
        (bot, channel): (&registry::Bot, &Arc<Channel>),
        conversation: ConversationId,
        (opened, ran): (&Session, &Ran),
    ) -> Option<Box<Shadowed>> {
        let Ran::Well { messages, .. } = ran else { return None };
        let shadow = self.beside(bot.beside.shadow.as_ref()?)?;
        let subject = Subject {
            turn: Arc::clone(turn),
            conversation,
            bot: shadow,
            channel: Arc::clone(channel),
            traceparent: None,
            wider: Vec::new(),
            is_shadow: true,
        };
        Some(Box::new(Shadowed { subject, session: opened.clone(), said: messages.clone() }))
    }

    /// Hands a committed turn to its shadow, if there is room.
    pub(super) fn show(&self, shadowed: Option<Box<Shadowed>>) {
        let Some(shadowed) = shadowed else { return };
        if self.shadows.try_send(shadowed).is_err() {
            self.metrics.shadows.with_label_values(&["skipped"]).inc();
        }
    }

    /// Runs a shadow and compares. What it would keep is dropped.
    async fn compare(&self, shadowed: Shadowed) {
        let Shadowed { mut subject, session, said } = shadowed;
        let skipped = || self.metrics.shadows.with_label_values(&["skipped"]).inc();
        // It takes no permit from a turn that waits for one, and leaves a bot that fails alone.
        let bot = &subject.bot;
        let permit = self.permits.try_acquire(&bot.id, bot.permits);
        if permit.is_none() || self.breakers.refuses(&bot.id) {
            skipped();
            return;
        }
        let (turn, bot) = (subject.turn.id, subject.bot.id.clone());
        let scopes = bots::scopes(&subject.bot, &subject.turn);
        if !scopes.is_empty() {
            let Ok(wider) = self.store.wider(&scopes).await else {
                skipped();
                return;
            };
            subject.wider = wider;
        }
        let channel = Arc::clone(&subject.channel);
        // What a reader of the channel would see is compared.
        let same = |one: &Spoken, other: &Spoken| {
            one.shown(&channel.overrides) == other.shown(&channel.overrides)
        };
        let deadline = Instant::now() + self.turn_deadline;
        let result = match self.call(subject, session, deadline).await.0 {
            Ran::Well { messages, .. } => {
                let pairs = messages.iter().zip(&said);
                let at = pairs.take_while(|(one, other)| same(one, other)).count();
                let is_same = at == messages.len().max(said.len());
                if !is_same {
                    tracing::info!(
                        turn.id = %turn,
                        bot.id = %bot,
                        message.index = at,
                        messages = messages.len(),
                        expected = said.len(),
                        "a shadow answered otherwise"
                    );
                }
                if is_same { "same" } else { "different" }
            }
            Ran::Badly { .. } => "failed",
        };
        self.metrics.shadows.with_label_values(&[result]).inc();
    }
}

/// Serves shadows until `stop`.
pub(crate) async fn serve<B, S, L>(
    room: Arc<Room<B, S, L>>,
    mut waiting_rx: mpsc::Receiver<Box<Shadowed>>,
    stop: CancellationToken,
) where
    B: Broker,
    S: Turns + RegistryStore,
    L: Bot + 'static,
{
    let mut running = JoinSet::new();
    loop {
        let next = async {
            while running.len() >= RUNNING_MAX {
                running.join_next().await;
            }
            waiting_rx.recv().await
        };
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            next = next => next,
        };
        let Some(shadowed) = next else { return };
        while running.try_join_next().is_some() {}
        let room = Arc::clone(&room);
        running.spawn(async move { room.compare(*shadowed).await });
    }
}

//! Running the bot: permit, breaker, deadline; and what comes of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use shared::broker::Broker;
use shared::domain::ids::BotId;
use shared::domain::outcome::Outcome;
use shared::domain::wider::Kept;
use shared::lanes::Run;
use shared::lanes::permits::Permit;
use shared::registry::{self, Channel, Compatibility, RegistryError, RegistryStore};
use shared::store::{Conversation, StoreError, Turns};
use shared::wire::jobs::Spent;
use tokio::time::Instant;

use super::danger::Right;
use super::{Halt, Memory, Work};
use crate::bots::{self, Bot, BotError, Out, Subject, TurnContext};
use crate::domain::render::Reader;
use crate::domain::session::{self, Session};
use crate::domain::step::{self, Ran, Step};
use crate::room::Room;

/// A step, and what is needed to make another one of the same run.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) step: Step,
    pub(super) opened: Session,
    pub(super) error_message: String,
    pub(super) compatibility: Compatibility,
    /// How long the bot took.
    pub(super) took: Duration,
    /// Between the turn's id and the start of its run.
    pub(super) queued: Duration,
    /// `None` when the bot was not called.
    pub(super) spent: Option<Spent>,
}

/// Whose turn it is.
struct Parties {
    bot: Arc<registry::Bot>,
    channel: Arc<Channel>,
}

impl Done {
    /// For whom the turn's answer is rendered.
    pub(super) fn reader(work: &Work, compatibility: Compatibility) -> Reader<'_> {
        let turn = &work.turn;
        Reader { user: &turn.user, bot: &turn.bot, mode: turn.mode, compatibility }
    }
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// Runs the turn's bot, or answers for it.
    pub(super) async fn run(
        &self,
        memory: &mut Memory,
        work: &Work,
        conversation: &Conversation,
        run: &Run<Work>,
    ) -> Result<Done, Halt> {
        let Some(parties) = self.parties(work, run).await? else {
            let why = "its bot or its channel is not in the registry";
            return Ok(self.parked(work, conversation, why));
        };
        let mut opened = session::open(
            &conversation.session.state,
            session::Rules {
                turn: work.turn.id,
                idle: conversation.idle,
                timeout: parties.bot.session_timeout,
                wants_new: work.turn.new_session,
            },
        );
        let mut took = Duration::ZERO;
        let mut spent = None;
        let mut ran = Ran::unavailable();
        let asked = Instant::now();
        if let Some(_permit) = self.permit(&parties.bot, run).await? {
            let waited = asked.elapsed();
            let _held = match self.right_to_run(memory, work, run).await? {
                Right::Run(held) => held,
                Right::Never(why) => return Ok(self.parked(work, conversation, &why)),
            };
            let wider = self.wider(work, &parties, run).await?;
            if let Some(ticket) = self.breakers.admit(&parties.bot.id) {
                let began = Instant::now();
                let ends_dialog;
                (ran, ends_dialog) =
                    self.call(work, &parties, conversation, opened.clone(), wider).await;
                if ends_dialog {
                    opened.dialog = None;
                }
                took = began.elapsed();
                spent = Some(Spent { own: work.behind + took, waited });
                self.metrics.bot_seconds.observe(took.as_secs_f64());
                if ticket.ended(matches!(ran, Ran::Well { .. })) {
                    self.metrics.breakers_opened.inc();
                    tracing::warn!(bot.id = %parties.bot.id, "a bot keeps failing: it is answered for");
                }
            }
        }
        let error_message = parties.bot.error_message.clone();
        let compatibility = parties.channel.compatibility;
        let reader = Done::reader(work, compatibility);
        let step = step::after(ran, &opened, &error_message, reader);
        let queued = self.queued(work).saturating_sub(took);
        self.metrics.queue_seconds.observe(queued.as_secs_f64());
        Ok(Done { step, opened, error_message, compatibility, took, queued, spent })
    }

    /// `None`: the bot is to be answered for.
    async fn permit(
        &self,
        bot: &registry::Bot,
        run: &Run<Work>,
    ) -> Result<Option<Permit<BotId>>, Halt> {
        if self.breakers.refuses(&bot.id) {
            return Ok(None);
        }
        let permit = async {
            tokio::select! {
                biased;
                permit = self.permits.acquire(&bot.id, bot.permits) => Some(permit),
                () = self.breakers.opens(&bot.id) => None,
            }
        };
        self.unless_closing(run, permit).await
    }

    /// Calls the bot logic: bounded in time, and a panic is the bot's failure. Also whether that ends a
    /// dialog that was open.
    async fn call(
        &self,
        work: &Work,
        parties: &Parties,
        conversation: &Conversation,
        session: Session,
        wider: Vec<Kept>,
    ) -> (Ran, bool) {
        let subject = Subject {
            turn: Arc::clone(&work.turn),
            conversation: conversation.id,
            bot: Arc::clone(&parties.bot),
            channel: Arc::clone(&parties.channel),
            traceparent: Some(work.trace.to_string()),
            wider,
        };
        let deadline = Instant::now() + self.turn_deadline;
        let context = TurnContext::new(subject, session, deadline, self.limits);
        let running = AssertUnwindSafe(self.bot.turn(&context)).catch_unwind();
        let ended = match tokio::time::timeout_at(deadline, running).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(BotError::Failed("its logic panicked".to_owned())),
            Err(_) => Err(BotError::TimedOut),
        };
        match ended {
            Ok(end) => {
                let Out { session, messages, wider } = context.into_out();
                let session = Box::new(session);
                (Ran::Well { messages, task: end.task, session, wider }, false)
            }
            Err(error) => {
                let outcome = match error {
                    BotError::TimedOut => Outcome::BotTimedOut,
                    BotError::Failed(_) | BotError::Script { .. } => Outcome::BotFailed,
                };
                tracing::warn!(bot.id = %parties.bot.id, %error, "a bot's run failed");
                let ends_dialog = error.ends_dialog();
                (Ran::Badly { outcome, detail: error.into_detail() }, ends_dialog)
            }
        }
    }

    /// What the bot wants to see beyond the conversation, as it stands now.
    async fn wider(
        &self,
        work: &Work,
        parties: &Parties,
        run: &Run<Work>,
    ) -> Result<Vec<Kept>, Halt> {
        let scopes = bots::scopes(&parties.bot, &work.turn);
        let mut failures = 0;
        while !scopes.is_empty() {
            match self.unless_closing(run, self.store.wider(&scopes)).await? {
                Ok(kept) => return Ok(kept),
                Err(error @ StoreError::Away(_)) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the wider contexts cannot be read yet");
                    self.wait(failures, run).await?;
                }
                Err(error) => return Err(Halt(format!("wider contexts cannot be read: {error}"))),
            }
        }
        Ok(Vec::new())
    }

    /// A bot or channel that is not known may be a moment old: the registry is read anew before the
    /// turn is given up.
    async fn parties(&self, work: &Work, run: &Run<Work>) -> Result<Option<Parties>, Halt> {
        let find = || {
            let registry = self.registry.get();
            let bot = registry.bots.get(&work.turn.bot).cloned()?;
            let channel = registry.channels.get(&work.turn.channel).cloned()?;
            Some(Parties { bot, channel })
        };
        let mut failures = 0;
        loop {
            if let Some(parties) = find() {
                return Ok(Some(parties));
            }
            match self.unless_closing(run, self.registry.refresh(&self.store)).await? {
                Ok(()) => return Ok(find()),
                Err(error @ RegistryError::Store(StoreError::Away(_))) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the registry cannot be read yet");
                    self.wait(failures, run).await?;
                }
                Err(error) => return Err(Halt(format!("the registry cannot be read: {error}"))),
            }
        }
    }

    fn parked(&self, work: &Work, conversation: &Conversation, why: &str) -> Done {
        tracing::error!(reason = why, "a turn is given up and parked");
        let compatibility = self.compatibility(work);
        let state = conversation.session.state.clone();
        let reader = Done::reader(work, compatibility);
        Done {
            step: step::park(why.to_owned(), state, work.sealed.clone(), reader),
            opened: Session {
                id: String::new(),
                is_new: true,
                bot_user: serde_json::Map::new(),
                dialog: None,
            },
            error_message: registry::Bot::ERROR_MESSAGE.to_owned(),
            compatibility,
            took: Duration::ZERO,
            queued: self.queued(work),
            spent: None,
        }
    }

    /// How the turn's channel wants its answers, as far as it is known.
    pub(super) fn compatibility(&self, work: &Work) -> Compatibility {
        let registry = self.registry.get();
        let channel = registry.channels.get(&work.turn.channel);
        channel.map(|channel| channel.compatibility).unwrap_or_default()
    }

    fn queued(&self, work: &Work) -> Duration {
        let ms = self.clock.unix_ms().saturating_sub(work.turn.id.unix_ms());
        Duration::from_millis(ms)
    }
}

impl Ran {
    fn unavailable() -> Self {
        let detail = "the bot kept failing and was answered for".to_owned();
        Self::Badly { outcome: Outcome::BotUnavailable, detail }
    }
}

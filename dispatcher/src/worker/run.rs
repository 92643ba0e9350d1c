//! Running the bot: permit, breaker, deadline; and what comes of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use shared::broker::Broker;
use shared::domain::ids::{BotId, ConversationId};
use shared::domain::outcome::Outcome;
use shared::domain::turn::Turn;
use shared::domain::wider::Kept;
use shared::lanes::Run;
use shared::lanes::permits::Permit;
use shared::registry::{self, Channel, Overrides, RegistryStore};
use shared::store::{Conversation, Turns};
use shared::tracer::Kind;
use shared::wire::jobs::Spent;
use tokio::time::Instant;

use super::beside::Shadowed;
use super::danger::Right;
use super::{Halt, Memory, Work};
use crate::bots::{self, Bot, BotError, Out, Subject, TurnContext};
use crate::breakers::Ticket;
use crate::domain::merge;
use crate::domain::render::Reader;
use crate::domain::session::{self, Session};
use crate::domain::step::{self, Ran, Step};
use crate::room::Room;

/// Beyond its deadline a call lasts at most so much longer in a process that runs.
const STOPPED: Duration = Duration::from_secs(1);

/// A step, and what is needed to make another one of the same run.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) step: Step,
    pub(super) opened: Session,
    pub(super) error_message: String,
    /// As far as it is known.
    pub(super) channel: Option<Arc<Channel>>,
    /// How long the bot took.
    pub(super) took: Duration,
    /// Between the turn's id and the start of its run.
    pub(super) queued: Duration,
    /// `None` when the bot was not called.
    pub(super) spent: Option<Spent>,
    /// For the bot's shadow, once it is committed.
    pub(super) shadowed: Option<Box<Shadowed>>,
}

/// Whose turn it is.
struct Parties {
    bot: Arc<registry::Bot>,
    channel: Arc<Channel>,
}

/// Who is to try, with what.
struct Try {
    /// As the bot hears it.
    turn: Arc<Turn>,
    bot: Arc<registry::Bot>,
    channel: Arc<Channel>,
    conversation: ConversationId,
    session: Session,
    /// How long the call may take.
    time: Duration,
}

/// What came of a try.
struct Tried {
    ran: Ran,
    /// Whether a dialog that was open is over.
    ends_dialog: bool,
    took: Duration,
    /// `None` when the bot was not called.
    spent: Option<Spent>,
}

enum Attempted {
    Ran(Tried),
    /// The turn must not run again, and why.
    Never(String),
}

impl Tried {
    fn unavailable() -> Self {
        Self { ran: Ran::unavailable(), ends_dialog: false, took: Duration::ZERO, spent: None }
    }

    /// Whether it failed while this process was stopped: a process that runs ends a call in time.
    fn was_stopped(&self, given: Duration) -> bool {
        matches!(self.ran, Ran::Badly { .. }) && self.took > given + STOPPED
    }

    /// The fall-back's answer, when it has one. Where the bot itself waits stays as it was.
    fn or(self, other: Self, opened: &Session, why: &str) -> Self {
        let took = self.took + other.took;
        let Ran::Well { messages, task, mut session, wider, .. } = other.ran else {
            return Self { took, ..self };
        };
        session.dialog.clone_from(&opened.dialog);
        let detail = format!("its fall-back answered: {why}");
        let ran = Ran::Well { messages, task, session, wider, detail };
        Self { ran, took, spent: self.spent.or(other.spent), ..self }
    }

    const fn as_fallback(&self) -> &'static str {
        match self.ran {
            Ran::Well { .. } => "answered",
            Ran::Badly { .. } => "failed",
        }
    }
}

impl Done {
    /// For whom the turn's answer is rendered.
    pub(super) fn reader<'a>(work: &'a Work, channel: Option<&'a Channel>) -> Reader<'a> {
        static NONE: Overrides = Overrides::NONE;
        let turn = &work.turn;
        Reader {
            user: &turn.user,
            bot: &turn.bot,
            mode: turn.mode,
            compatibility: channel.map(|channel| channel.compatibility).unwrap_or_default(),
            overrides: channel.map_or(&NONE, |channel| &channel.overrides),
        }
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
            let unreadable = self.registry.get().unreadable.contains_key(&work.turn.bot);
            let why = if unreadable {
                "this release cannot read its bot's settings"
            } else {
                "its bot or its channel is not in the registry"
            };
            return Ok(self.parked(work, conversation, why));
        };
        let mut opened = open(work, conversation, &parties.bot);
        let before = std::mem::take(&mut opened.merged);
        let turn = match before[..] {
            [] => Arc::clone(&work.turn),
            _ => Arc::new(merge::joined(&work.turn, &before)),
        };
        let conversation_id = conversation.id;
        let bot = self.stand_in(&parties.bot, conversation_id);
        let bot = self.with_script_of(&opened, bot, run).await?;
        let time = self.time_of(&parties.bot);
        let try_of = |bot, session, time| Try {
            turn: Arc::clone(&turn),
            bot,
            channel: Arc::clone(&parties.channel),
            conversation: conversation_id,
            session,
            time,
        };
        let own = || try_of(Arc::clone(&bot), opened.clone(), time);
        let mut own_try = self.attempt(memory, work, own(), run).await?;
        if matches!(&own_try, Attempted::Ran(tried) if tried.was_stopped(time)) {
            // Its answer may have come while nobody listened: it is asked once more, under the same key.
            own_try = self.attempt(memory, work, own(), run).await?;
        }
        let mut tried = match own_try {
            Attempted::Ran(tried) => tried,
            Attempted::Never(why) => return Ok(self.parked(work, conversation, &why)),
        };
        if tried.ends_dialog {
            opened.dialog = None;
        }
        let why = match &tried.ran {
            Ran::Well { .. } => None,
            Ran::Badly { detail, .. } => Some(detail.clone()),
        };
        let fallback = parties.bot.beside.fallback.as_ref().filter(|_| why.is_some());
        if let (Some(why), Some(bot)) = (why, fallback.and_then(|bot| self.beside(bot))) {
            let other = try_of(bot, opened.clone(), self.turn_deadline.saturating_sub(tried.took));
            match self.attempt(memory, work, other, run).await? {
                Attempted::Ran(other) => tried = tried.or(other, &opened, &why),
                Attempted::Never(why) => return Ok(self.parked(work, conversation, &why)),
            }
            self.metrics.fallbacks.with_label_values(&[tried.as_fallback()]).inc();
        }
        let Tried { ran, took, spent, .. } = tried;
        let parts = (&*parties.bot, &parties.channel);
        let shadowed = self.shadowed(&turn, parts, conversation_id, (&opened, &ran));
        let error_message = parties.bot.error_message.clone();
        let channel = Some(parties.channel);
        let reader = Done::reader(work, channel.as_deref());
        let mut step = step::after(ran, &opened, &error_message, reader);
        if !before.is_empty() && step.detail.is_empty() {
            step.detail = format!("answers {} messages before it, too", before.len());
        }
        let queued = self.queued(work).saturating_sub(took);
        self.metrics.queue_seconds.observe(queued.as_secs_f64());
        Ok(Done { step, opened, error_message, channel, took, queued, spent, shadowed })
    }

    /// One bot's try at the turn: permit, right to run, breaker, call.
    async fn attempt(
        &self,
        memory: &mut Memory,
        work: &Work,
        this: Try,
        run: &Run<Work>,
    ) -> Result<Attempted, Halt> {
        let asked = Instant::now();
        let mut tried = Tried::unavailable();
        let Some(_permit) = self.permit(&this.bot, run).await? else {
            return Ok(Attempted::Ran(tried));
        };
        let waited = asked.elapsed();
        let _held = match self.right_to_run(memory, work, run).await? {
            Right::Run(held) => held,
            Right::Never(why) => return Ok(Attempted::Never(why)),
        };
        let wider = self.wider(work, &this.bot, run).await?;
        let Some(ticket) = self.breakers.admit(&this.bot.id) else {
            return Ok(Attempted::Ran(tried));
        };
        let Try { turn, bot, channel, conversation, session, time } = this;
        let (trace, mut span) = self.tracer.child("bot", Kind::Client, work.trace, &self.entropy);
        span.text("switchhook.bot.id", &bot.id);
        let subject = Subject {
            turn,
            conversation,
            bot: Arc::clone(&bot),
            channel,
            traceparent: Some(trace.to_string()),
            wider,
            is_shadow: false,
        };
        let began = Instant::now();
        (tried.ran, tried.ends_dialog) = self.call(subject, session, began + time).await;
        tried.took = began.elapsed();
        if let Ran::Badly { outcome, .. } = &tried.ran {
            span.text("switchhook.outcome", outcome.as_str());
            span.fail();
        }
        drop(span);
        let own = work.behind + memory.paused + tried.took;
        tried.spent = Some(Spent { own, waited });
        self.metrics.bot_seconds.observe(tried.took.as_secs_f64());
        if matches!(tried.ran, Ran::Badly { .. }) && run.is_closing() {
            // Perhaps it failed because this process ends. Whoever is next asks it once more.
            return Err(Halt::closing());
        }
        self.judge(&bot.id, ticket, &tried, time);
        Ok(Attempted::Ran(tried))
    }

    /// What a call says of the bot: nothing, when this process was stopped meanwhile.
    fn judge(&self, bot: &BotId, ticket: Ticket, tried: &Tried, given: Duration) {
        if tried.was_stopped(given) {
            return;
        }
        if ticket.ended(matches!(tried.ran, Ran::Well { .. })) {
            self.metrics.breakers_opened.inc();
            tracing::warn!(bot.id = %bot, "a bot keeps failing: it is answered for");
        }
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
    pub(super) async fn call(
        &self,
        subject: Subject,
        session: Session,
        deadline: Instant,
    ) -> (Ran, bool) {
        let bot = subject.bot.id.clone();
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
                let detail = String::new();
                (Ran::Well { messages, task: end.task, session, wider, detail }, false)
            }
            Err(error) => {
                let outcome = match error {
                    BotError::TimedOut => Outcome::BotTimedOut,
                    BotError::Failed(_) | BotError::Script { .. } => Outcome::BotFailed,
                };
                tracing::warn!(bot.id = %bot, %error, "a bot's run failed");
                let ends_dialog = error.ends_dialog();
                (Ran::Badly { outcome, detail: error.into_detail() }, ends_dialog)
            }
        }
    }

    /// What the bot wants to see beyond the conversation, as it stands now.
    async fn wider(
        &self,
        work: &Work,
        bot: &registry::Bot,
        run: &Run<Work>,
    ) -> Result<Vec<Kept>, Halt> {
        let scopes = bots::scopes(bot, &work.turn);
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        self.insist(run, "what scripts keep for others", || self.store.wider(&scopes)).await
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
        if let Some(parties) = find() {
            return Ok(Some(parties));
        }
        self.refresh(run).await?;
        Ok(find())
    }

    /// The turn's channel, as far as it is known.
    pub(super) fn channel(&self, work: &Work) -> Option<Arc<Channel>> {
        self.registry.get().channels.get(&work.turn.channel).cloned()
    }

    pub(super) fn queued(&self, work: &Work) -> Duration {
        let ms = self.clock.unix_ms().saturating_sub(work.turn.id.unix_ms());
        Duration::from_millis(ms)
    }
}

/// The session that a turn belongs to.
pub(super) fn open(work: &Work, conversation: &Conversation, bot: &registry::Bot) -> Session {
    let rules = session::Rules {
        turn: work.turn.id,
        idle: conversation.idle,
        timeout: bot.session_timeout,
        wants_new: work.turn.new_session,
    };
    session::open(&conversation.session.state, rules)
}

impl Ran {
    fn unavailable() -> Self {
        let detail = "the bot kept failing and was answered for".to_owned();
        Self::Badly { outcome: Outcome::BotUnavailable, detail }
    }
}

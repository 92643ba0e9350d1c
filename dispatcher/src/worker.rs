//! One turn's way: load, run, commit, tell. The lanes around it see to the order.
//!
//! Nothing is told and nothing is acked before the commit. Whatever cannot be decided here ends in a
//! hand-over, after which the job comes again.

mod aside;
mod beside;
mod commit;
mod danger;
mod find;
mod run;
mod tell;
mod version;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::broker::{Broker, Job};
use shared::domain::ids::{ConversationId, ConversationKey, TurnId};
use shared::domain::trace::{Context, SpanId};
use shared::domain::turn::Turn;
use shared::fault::{self, Point};
use shared::lanes::{Fate, Handler, Run, Undecodable};
use shared::registry::RegistryStore;
use shared::store::{Conversation, Turns};
use shared::topology::{Partition, Queue};
use shared::tracer::{Kind, Span};
use shared::wire::jobs::TurnJob;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::bots::Bot;
use crate::dead;
use crate::room::Room;
use crate::saturation::Held;
pub(crate) use beside::{Shadowed, WAITING_MAX, serve as serve_shadows};
use commit::End;
use find::Found;
pub(crate) use version::Replaced;

/// Works on turns.
pub(crate) struct Worker<B, S, L>(pub(crate) Arc<Room<B, S, L>>);

/// A decoded turn.
#[derive(Debug)]
pub(crate) struct Work {
    turn: Arc<Turn>,
    key: ConversationKey,
    reply_to: Option<String>,
    /// This run's place in its trace.
    trace: Context,
    /// The span of the job.
    parent: SpanId,
    redelivered: bool,
    /// The job as it came, for parking.
    sealed: Bytes,
    arrived: Instant,
    /// How long it was behind earlier turns of its conversation.
    behind: Duration,
    _held: Held,
}

/// What a lane remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Trusted while the lane is busy, and the short while after that it lives.
    known: Option<Known>,
    /// The turn that is marked as running here.
    mark: Option<TurnId>,
    /// When the last turn that ran was done.
    busy_until: Option<Instant>,
    /// How long the turn at hand has waited for others to join it.
    paused: Duration,
}

/// A conversation as this lane's last commit has left it.
#[derive(Debug)]
struct Known {
    conversation: Conversation,
    at: Instant,
    /// The newest turn that was settled since it is known.
    newest: TurnId,
}

/// The partition is to be handed over, and why.
#[derive(Debug)]
struct Halt(String);

impl Halt {
    fn closing() -> Self {
        Self("the partition is being handed over".to_owned())
    }
}

impl<B, S, L> Handler for Worker<B, S, L>
where
    B: Broker,
    S: Turns + RegistryStore,
    L: Bot + 'static,
{
    type Work = Work;
    type State = Memory;

    fn decode(
        &self,
        partition: Partition,
        job: &Job,
    ) -> Result<(ConversationId, Work), Undecodable> {
        let TurnJob { turn, reply_to, traceparent } = TurnJob::open(&self.0.keys, &job.body)
            .map_err(|error| Undecodable(error.to_string()))?;
        let came = traceparent.as_deref().and_then(Context::parse);
        let came = came.unwrap_or_else(|| Context::of_turn(turn.id));
        let span = if job.redelivered {
            SpanId::new(self.0.entropy.u64())
        } else {
            first_run(came, turn.id)
        };
        let key = turn.conversation();
        let held = self.0.load.hold(&turn.bot, partition);
        let work = Work {
            turn: Arc::new(turn),
            key,
            reply_to,
            trace: came.with_span(span),
            parent: came.span,
            redelivered: job.redelivered,
            sealed: job.body.clone(),
            arrived: Instant::now(),
            behind: Duration::ZERO,
            _held: held,
        };
        Ok((work.key.id(), work))
    }

    async fn handle(&self, memory: &mut Memory, mut work: Work, run: &Run<Work>) -> Fate {
        fault::point(Point::TurnTaken);
        work.behind = work.arrived.elapsed();
        memory.paused = Duration::ZERO;
        let span =
            tracing::info_span!("turn", turn.id = %work.turn.id, trace.id = %work.trace.trace);
        let mut recorded = self.0.span(&work);
        match self.0.serve(memory, &work, run).instrument(span).await {
            Ok(outcome) => {
                recorded.text("switchhook.outcome", outcome);
                Fate::Ack
            }
            Err(Halt(reason)) => {
                recorded.fail();
                Fate::Close(reason)
            }
        }
    }

    async fn abandon(&self, memory: &mut Memory) {
        if let Some(turn) = memory.mark.take() {
            self.0.unmark_for_certain(turn).await;
        }
    }

    async fn stray(&self, job: Job, why: Undecodable) -> Fate {
        tracing::error!(reason = %why, "a job cannot be decoded; it is kept as a stray");
        dead::keep(&self.0.store, Queue::Turns, job.body, &why.0).await;
        self.0.metrics.strays.inc();
        Fate::Ack
    }
}

/// The span of a job's first run: who is given the job again knows it too.
fn first_run(came: Context, turn: TurnId) -> SpanId {
    SpanId::derived(came.trace, turn.uuid(), came.span.number())
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// The span of a run, from the job's arrival.
    fn span(&self, work: &Work) -> Span {
        let span = self.tracer.span("turn", Kind::Consumer, work.trace, Some(work.parent));
        let mut span = span.since(work.arrived);
        span.text("switchhook.turn.id", work.turn.id);
        span.text("switchhook.bot.id", &work.turn.bot);
        span.text("switchhook.channel.id", &work.turn.channel);
        if work.redelivered {
            let came = work.trace.with_span(work.parent);
            span.link(came.with_span(first_run(came, work.turn.id)));
        }
        span
    }

    /// Until the turn is settled. Returns its outcome, for the trace.
    async fn serve(
        &self,
        memory: &mut Memory,
        work: &Work,
        run: &Run<Work>,
    ) -> Result<&'static str, Halt> {
        let mut found = self.find(memory, work, run).await?;
        let mut misses = 0;
        let outcome = loop {
            let conversation = match found {
                Found::Open(conversation) => conversation,
                Found::Settled(settled) => {
                    self.repeat(work, &settled).await;
                    break "settled_before";
                }
                Found::Refused(why) => {
                    self.give_up(work, &why).await;
                    break "stray";
                }
            };
            fault::point(Point::TurnLoaded);
            let ran = match self.aside(memory, work, &conversation, run).await? {
                Some(aside) => aside,
                None => self.run(memory, work, &conversation, run).await?,
            };
            fault::point(Point::TurnRan);
            match self.commit(work, &conversation, ran, misses, run).await? {
                End::Committed(committed, done) => {
                    fault::point(Point::TurnCommitted);
                    self.tell(work, committed, &done).await;
                    self.show(done.shadowed);
                    fault::point(Point::TurnTold);
                    let outcome = done.step.outcome.as_str();
                    if !done.step.outcome.is_aside() {
                        memory.busy_until = Some(Instant::now());
                    }
                    memory.remember(work.turn.id, &conversation, committed, done.step);
                    break outcome;
                }
                End::Moved(now) => {
                    misses += 1;
                    found = Found::Open(now);
                }
                End::Settled(settled) => found = Found::Settled(settled),
                End::Refused(why) => found = Found::Refused(why),
            }
            // What was known did not hold.
            memory.known = None;
        };
        self.unmark(memory).await;
        Ok(outcome)
    }

    /// Waits for something, but not beyond the beginning of a hand-over.
    async fn unless_closing<T>(
        &self,
        run: &Run<Work>,
        what: impl Future<Output = T>,
    ) -> Result<T, Halt> {
        tokio::select! {
            biased;
            done = what => Ok(done),
            () = run.closing() => Err(Halt::closing()),
        }
    }

    /// Waits before the next try at the store.
    async fn wait(&self, failures: u32, run: &Run<Work>) -> Result<(), Halt> {
        self.load.store_is(true);
        self.unless_closing(run, tokio::time::sleep(self.back_off(failures))).await
    }
}

//! After the commit: whoever waits is told, and the bell is rung for the first delivery.
//!
//! All of it is best effort. The stored answer and the rows are the truth.

use bytes::Bytes;
use shared::broker::{Broker, ReplyAddress};
use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::DeliveryId;
use shared::domain::turn::Mode;
use shared::registry::{self, RegistryStore};
use shared::store::{Committed, SettledTurn, Turns};
use shared::telemetry::OUTCOME;
use shared::topology::Queue;
use shared::tracer::Kind;
use shared::wire::jobs::{DeliveryJob, Fresh, Reply, Spent};
use shared::wire::v1;

use super::Work;
use super::commit::ms;
use super::run::Done;
use crate::bots::Bot;
use crate::dead;
use crate::domain::overrides::{self, Spoken};
use crate::domain::render::render;
use crate::room::Room;

/// A larger body is read from its row: bells wait in buffers.
const FRESH_MAX: usize = 16 * 1024;

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    pub(super) async fn tell(&self, work: &Work, committed: Committed, done: &Done) {
        let step = &done.step;
        let outcome = step.outcome.as_str();
        self.metrics.outcomes.with_label_values(&[outcome]).inc();
        let took = done.queued + done.took;
        self.channels.of(&work.turn.channel, |figures| figures.settled(step.outcome, took));
        tracing::info!(
            target: OUTCOME,
            outcome, queued_ms = ms(done.queued), took_ms = ms(done.took), turn.id = %work.turn.id,
            bot.id = %work.turn.bot, channel.id = %work.turn.channel, trace.id = %work.trace.trace,
            "a turn is settled"
        );
        self.answer(work, step.reply.clone(), done.spent).await;
        if let Some(body) = step.deliveries.first().filter(|_| committed.head) {
            let place = Place { conversation: work.key.id(), number: committed.first_delivery };
            let delivery = Delivery {
                place,
                id: DeliveryId { turn: work.turn.id, index: 0 },
                channel: work.turn.channel.clone(),
                body: body.clone(),
                attempt: 0,
                failures: 0,
                deferrals: 0,
                redriven: false,
            };
            let fresh = Fresh { delivery, rung_unix_ms: self.clock.unix_ms() };
            self.ring(work, place, (body.len() <= FRESH_MAX).then_some(fresh)).await;
        }
    }

    /// A turn that was done before: the stored answer goes to whoever waits now, and the bell is rung
    /// again where it may have been lost.
    pub(super) async fn repeat(&self, work: &Work, settled: &SettledTurn) {
        self.metrics.duplicates.inc();
        tracing::debug!(outcome = %settled.outcome, "a turn was settled before");
        // Of an erased turn nothing is left to say.
        let silence = || v1::sync_body(&[], false, None);
        let reply = if settled.reply.is_empty() { silence() } else { settled.reply.clone() };
        self.answer(work, reply, None).await;
        if work.turn.mode == Mode::Async {
            match self.store.unsettled(work.key.id(), work.turn.id).await {
                Ok(unsettled) => {
                    if let Some(lowest) = unsettled.first() {
                        self.ring(work, lowest.place, None).await;
                    }
                }
                Err(error) => tracing::debug!(%error, "the sweep will ring for this turn"),
            }
        }
    }

    /// A turn of which the database takes nothing: kept as a job that nobody can work on.
    pub(super) async fn give_up(&self, work: &Work, why: &str) {
        tracing::error!(reason = why, "the database refuses a turn; it is kept as a stray");
        dead::keep(&self.store, Queue::Turns, work.sealed.clone(), why).await;
        self.metrics.strays.inc();
        let said = [Spoken::keyed(overrides::ERROR, registry::Bot::ERROR_MESSAGE)];
        let channel = self.channel(work);
        let rendered = render(&said, None, Done::reader(work, channel.as_deref()));
        self.answer(work, rendered.reply, None).await;
    }

    async fn answer(&self, work: &Work, answer: Bytes, spent: Option<Spent>) {
        if let Some(to) = &work.reply_to {
            let reply = Reply { turn: work.turn.id, answer, spent };
            self.replier.send(ReplyAddress(to.clone()), reply).await;
        }
    }

    async fn ring(&self, work: &Work, place: Place, fresh: Option<Fresh>) {
        let (trace, mut span) =
            self.tracer.child("publish delivery", Kind::Producer, work.trace, &self.entropy);
        let job = DeliveryJob {
            place,
            channel: work.turn.channel.as_str().to_owned(),
            fresh,
            traceparent: Some(trace.to_string()),
        };
        let partition = self.broker.topology().partition(&work.key);
        let rung = match job.seal(&self.keys) {
            Ok(sealed) => self
                .broker
                .publish(Queue::Deliveries, partition, work.turn.id, sealed)
                .await
                .is_ok(),
            Err(error) => {
                tracing::error!(%error, "a doorbell could not be written");
                false
            }
        };
        let result = if rung { "rung" } else { "lost" };
        span.text("switchhook.outcome", result);
        self.metrics.doorbells.with_label_values(&[result]).inc();
    }
}

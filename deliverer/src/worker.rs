//! A conversation's lane: finds its lowest unsettled delivery, attempts it, and goes on with the next.
//!
//! Doorbells may be lost, doubled or late; rows and claims decide. The one POST without a claim is the
//! dispatcher's own fresh doorbell for a row that this lane knows to be the lowest.

use std::sync::Arc;
use std::time::Duration;

use shared::broker::{Broker, Job};
use shared::domain::delivery::Delivery;
use shared::domain::ids::{ChannelId, ConversationId};
use shared::domain::trace::Context;
use shared::fault::{self, Point};
use shared::lanes::permits::Permit;
use shared::lanes::{Fate, Handler, Run, Undecodable};
use shared::registry::Endpoint;
use shared::store::{Claim, Claimed, Deliveries, Settlement, Turns, Verdict};
use shared::topology::{Partition, Queue};
use shared::wire::jobs::{DeliveryJob, Fresh};

use crate::attempt::{Attempt, Outcome};
use crate::gates::Pass;
use crate::memory::{Memory, Open, Recall, Seen};
use crate::ringer::{Due, Owed};
use crate::room::Room;
use crate::{drain, timers};

/// A claim outlives its attempt's deadline by this much.
const LEASE_MORE: Duration = Duration::from_secs(5);
/// A doorbell older than this is not fresh.
const FRESH_MAX: Duration = Duration::from_secs(10);
/// A POST without a claim must be over before the sweep looks at its row, half a minute after the commit.
const UNCLAIMED_MAX: Duration = Duration::from_secs(26);
/// How often a lane looks again when another is found at work on its conversation.
const LOOKS_MAX: u32 = 4;
/// When a claim is given back by a lane that was handed over.
const GIVEN_BACK: Duration = Duration::from_millis(500);

/// What tells a lane to look at its conversation.
#[derive(Debug)]
pub(crate) struct Bell {
    pub(crate) conversation: ConversationId,
    /// The delivery that a doorbell was rung for; `None` for a bell of this process's own.
    pub(crate) number: Option<i64>,
    /// The row, from the one who wrote it, and never from a job that was given before.
    pub(crate) fresh: Option<Fresh>,
    /// Its place in the turn's trace, where that is known.
    pub(crate) trace: Option<Context>,
    /// A permit that was waited for.
    pub(crate) permit: Option<Permit<ChannelId>>,
    /// Who else would ring, when nobody serves this one.
    pub(crate) owed: Option<Owed>,
}

impl Bell {
    /// A bell of this process's own.
    pub(crate) const fn local(conversation: ConversationId) -> Self {
        Self { conversation, number: None, fresh: None, trace: None, permit: None, owed: None }
    }
}

/// Handles doorbells.
pub(crate) struct Worker<B, S>(pub(crate) Arc<Room<B, S>>);

/// What an attempt at the lowest delivery leads to.
enum Step {
    /// Look at the conversation again, now: what was known is not so.
    Again,
    /// The bell is served.
    Done,
}

impl<B: Broker, S: Deliveries + Turns> Handler for Worker<B, S> {
    type Work = Bell;
    type State = Memory;

    /// Another may be given the same doorbells by then, but a POST that ends well is not made twice.
    const LOST_GRACE: Duration = Duration::from_secs(2);

    fn decode(&self, _: Partition, job: &Job) -> Result<(ConversationId, Bell), Undecodable> {
        let decoded = DeliveryJob::open(&self.0.keys, &job.body)
            .map_err(|error| Undecodable(error.to_string()))?;
        let conversation = decoded.place.conversation;
        let bell = Bell {
            number: Some(decoded.place.number),
            fresh: decoded.fresh.filter(|_| !job.redelivered),
            trace: decoded.traceparent.as_deref().and_then(Context::parse),
            ..Bell::local(conversation)
        };
        Ok((conversation, bell))
    }

    async fn handle(&self, memory: &mut Memory, mut bell: Bell, run: &Run<Bell>) -> Fate {
        fault::point(Point::DeliveryTaken);
        self.0.runs.note(run);
        if bell.number.is_none() {
            memory.again = false;
        }
        if run.is_closing() {
            return Fate::Close("the partition is handed over".to_owned());
        }
        self.serve(memory, &mut bell, run).await;
        fault::point(Point::DeliverySettled);
        if let Some(owed) = bell.owed.take() {
            owed.served();
        }
        Fate::Ack
    }

    /// Writes what is known of an attempt whose lane was dropped, so that the next owner need not wait
    /// for the end of the claim.
    async fn abandon(&self, memory: &mut Memory) {
        let Some(Open { place, seen, outcome }) = memory.open.take() else { return };
        let (record, verdict) = outcome.unwrap_or((None, Verdict::Ours(GIVEN_BACK)));
        let write = || self.0.store.settle(place, seen, record.clone(), verdict.clone());
        let _settlement = self.0.patiently(write).await;
    }

    /// A doorbell is no loss: it is kept to be looked at, if that is possible at once.
    async fn stray(&self, job: Job, why: Undecodable) -> Fate {
        self.0.metrics.strays.inc();
        let kept = self.0.store.keep_stray(Queue::Deliveries, job.body, &why.0).await;
        tracing::error!(reason = %why, kept = kept.is_ok(), "a delivery job cannot be read");
        Fate::Ack
    }
}

impl<B: Broker, S: Deliveries + Turns> Worker<B, S> {
    /// Attempts the conversation's lowest delivery, if that may be done now. Whatever is left is looked
    /// after when this returns: by another, a timer, a drain, or a bell at the end of the lane.
    async fn serve(&self, memory: &mut Memory, bell: &mut Bell, run: &Run<Bell>) {
        for _ in 0..LOOKS_MAX {
            let Some(seen) = self.look(memory, bell).await else { return };
            if bell.number.is_some_and(|number| number < seen.delivery.place.number) {
                return;
            }
            if seen.wait().is_some() {
                timers::set(&self.0, run.partition, bell.conversation, seen.at());
                return;
            }
            let Some(pass) = self.enter(&seen, bell, run.partition) else { return };
            match self.attempt(memory, seen, bell, pass, run).await {
                Step::Done => return,
                Step::Again => {
                    memory.forget();
                    (bell.number, bell.fresh) = (None, None);
                }
            }
        }
        tracing::warn!(
            partition = %run.partition,
            "a conversation's deliveries are worked on elsewhere too; they are left to the sweep"
        );
    }

    /// The lowest unsettled delivery; `None` when there is none, or the bell is for what is settled.
    async fn look(&self, memory: &mut Memory, bell: &Bell) -> Option<Seen> {
        match memory.recall(bell) {
            Recall::Lowest(seen) => Some(seen),
            Recall::Stale => None,
            Recall::Unknown => {
                let read = || self.0.store.lowest(bell.conversation);
                self.0.patiently(read).await.map(|lowest| memory.saw(lowest))
            }
        }
    }

    /// The right to call the endpoint now; else the conversation waits for it elsewhere.
    fn enter(&self, seen: &Seen, bell: &mut Bell, partition: Partition) -> Option<Pass> {
        let delivery = &seen.delivery;
        let (room, channel) = (&self.0, &delivery.channel);
        let permit = bell.permit.take();
        match room.gates.enter(channel, bell.conversation, room.limit(channel), permit) {
            Ok(pass) => Some(pass),
            Err(shut) => {
                room.metrics.put_off.with_label_values(&[shut.as_str()]).inc();
                drain::wait(room, due(delivery, partition), bell.fresh.is_none());
                None
            }
        }
    }

    async fn attempt(
        &self,
        memory: &mut Memory,
        seen: Seen,
        bell: &Bell,
        pass: Pass,
        run: &Run<Bell>,
    ) -> Step {
        let room = &self.0;
        let channel = room.channel(&seen.delivery.channel).await;
        let endpoint = channel.as_deref().and_then(|channel| channel.endpoint.as_ref());
        let trace = bell.trace;
        let (delivery, outcome) = if self.is_first(&seen, bell, endpoint) {
            room.metrics.unclaimed.inc();
            let delivery = seen.delivery;
            let first = Attempt { delivery: &delivery, number: 1, seen: 0, endpoint, trace };
            let outcome = room.attempt(memory, first, pass).await;
            (delivery, outcome)
        } else {
            match self.claim(&seen.delivery, endpoint).await {
                Claimed::No => return Step::Again,
                Claimed::Disabled(delivery) => {
                    drop(pass);
                    let outcome = room.park_disabled(&delivery).await;
                    (delivery, outcome)
                }
                Claimed::Yes(Claim { delivery }) => {
                    fault::point(Point::DeliveryClaimed);
                    let number = delivery.attempt;
                    let place = delivery.place;
                    memory.open = Some(Open { place, seen: number, outcome: None });
                    let claimed =
                        Attempt { delivery: &delivery, number, seen: number, endpoint, trace };
                    let outcome = room.attempt(memory, claimed, pass).await;
                    (delivery, outcome)
                }
            }
        };
        self.after(memory, &delivery, outcome, run)
    }

    /// Whether this is the dispatcher's own fresh doorbell for a row that nobody can have claimed yet: the
    /// lane knows it to be the lowest, and the POST will be over before the sweep looks at the row.
    fn is_first(&self, seen: &Seen, bell: &Bell, endpoint: Option<&Endpoint>) -> bool {
        let (Some(fresh), Some(endpoint)) = (&bell.fresh, endpoint) else { return false };
        let now = self.0.clock.unix_ms();
        let Some(age) = now.checked_sub(fresh.rung_unix_ms).map(Duration::from_millis) else {
            return false;
        };
        let in_time = age < FRESH_MAX && age + endpoint.deadline <= UNCLAIMED_MAX;
        let this = bell.number == Some(seen.delivery.place.number) && seen.delivery.attempt == 0;
        this && in_time && !seen.disabled && !endpoint.disabled
    }

    async fn claim(&self, delivery: &Delivery, endpoint: Option<&Endpoint>) -> Claimed {
        let lease = endpoint.map_or(Endpoint::DEADLINE, |endpoint| endpoint.deadline) + LEASE_MORE;
        let ask = || self.0.store.claim(delivery.place, delivery.attempt, lease);
        let claimed = self.0.patiently(ask).await;
        let word = match &claimed {
            Claimed::Yes(_) => "won",
            Claimed::No => "lost",
            Claimed::Disabled(_) => "disabled",
        };
        self.0.metrics.claims.with_label_values(&[word]).inc();
        claimed
    }

    /// Sees to it that the conversation goes on.
    fn after(
        &self,
        memory: &mut Memory,
        delivery: &Delivery,
        (verdict, settlement): Outcome,
        run: &Run<Bell>,
    ) -> Step {
        let next = match settlement {
            Settlement::Missed => return Step::Again,
            Settlement::Written { next: None } if verdict == Verdict::Delivered => {
                memory.settled(delivery.place.number);
                return Step::Done;
            }
            // Parked: those behind it went with it, and are not to be taken for new ones.
            Settlement::Written { next: None } => {
                memory.forget();
                return Step::Done;
            }
            Settlement::Written { next: Some(next) } => memory.saw(next),
        };
        let conversation = next.delivery.place.conversation;
        if next.wait().is_some() {
            timers::set(&self.0, run.partition, conversation, next.at());
        } else if !memory.again {
            // Behind the doorbells that wait in the lane: one of them may be for this row, and fresh.
            let owed = self.0.ringer.owe(due(&next.delivery, run.partition));
            let bell = Bell { owed: Some(owed), ..Bell::local(conversation) };
            memory.again = run.push(conversation, bell);
        }
        Step::Done
    }
}

fn due(delivery: &Delivery, partition: Partition) -> Due {
    Due {
        place: delivery.place,
        channel: delivery.channel.clone(),
        turn: delivery.id.turn,
        partition,
    }
}

//! Publishing with confirms: one task with an AMQP channel of its own, since the confirms of one channel
//! can only be told apart when a single task publishes on it. A second channel would halve the number of
//! publishes that one confirm answers.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, poll};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::courier::{self, Courier, Parcel};
use super::link::{Error, Link};
use super::metrics::Dropped;
use super::ring::Ring;
use super::{Shared, declare};
use crate::broker::{Health, PUBLISH_DEADLINE, PublishError};
use crate::domain::ids::TurnId;
use crate::fault::{self, Point};
use crate::topology::Partition;

/// Publishes that wait to be written.
const WAITING_MAX: usize = 2_048;
/// Publishes that are written and not yet confirmed.
const UNCONFIRMED_MAX: usize = 512;
/// Doorbells that wait to be written.
const DOORBELLS_MAX: usize = 4_096;
/// How often the broker is asked whether it still takes jobs.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Leaves the caller a little of the deadline to hear of its end.
const DEADLINE: Duration = PUBLISH_DEADLINE.saturating_sub(Duration::from_millis(100));

/// One publish and its caller.
#[derive(Debug)]
struct Ask {
    target: Target,
    body: Bytes,
    /// The one deadline over queueing, writing and the confirm.
    deadline: Instant,
    done: oneshot::Sender<Result<(), PublishError>>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Partition(Partition, TurnId),
    /// Goes to no queue. Its confirm tells that the broker is there, and a broker with an alarm
    /// only blocks a connection that publishes.
    Probe,
}

/// The publishing end of one incarnation.
#[derive(Debug)]
pub(super) struct Publishers {
    asks: mpsc::Sender<Ask>,
    doorbells: Courier,
}

impl Publishers {
    /// Publishes a turn and waits for the confirm.
    pub(super) async fn publish(
        &self,
        partition: Partition,
        turn: TurnId,
        body: Bytes,
    ) -> Result<(), PublishError> {
        self.ask(Target::Partition(partition, turn), body).await
    }

    /// Hands a doorbell on; says whether there was room.
    pub(super) fn ring(&self, parcel: Parcel) -> bool {
        self.doorbells.send_now(parcel)
    }

    async fn ask(&self, target: Target, body: Bytes) -> Result<(), PublishError> {
        let (done, answer) = oneshot::channel();
        let ask = Ask { target, body, deadline: Instant::now() + DEADLINE, done };
        self.asks.try_send(ask).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PublishError::Unavailable("too many wait"),
            mpsc::error::TrySendError::Closed(_) => PublishError::Unavailable("no connection"),
        })?;
        // A task that ends without an answer may have written the job.
        answer.await.unwrap_or(Err(PublishError::Unknown))
    }
}

/// Publishes on this connection until it is over.
pub(super) async fn run(shared: &Arc<Shared>, link: &Arc<Link>) -> Result<(), Error> {
    declare::all(shared, link).await?;
    let mut running = JoinSet::new();
    let channel = link.open_channel().await?;
    link.call(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let (asks, ask_rx) = mpsc::channel(WAITING_MAX);
    running.spawn(publish_all(Arc::clone(shared), Arc::clone(link), channel, ask_rx));
    let channel = link.open_channel().await?;
    let (doorbells, work) = courier::open(
        Arc::clone(link),
        channel,
        DOORBELLS_MAX,
        (shared.metrics.clone(), Dropped::Doorbell),
    );
    running.spawn(work);
    let publishers = Arc::new(Publishers { asks, doorbells });
    let first = publishers.ask(Target::Probe, Bytes::new()).await;
    if first.is_ok() {
        shared.publishers.store(Some(Arc::clone(&publishers)));
        shared.set_health(if link.blocked() { Health::Blocked } else { Health::Up });
        probe(&publishers, link).await;
    }
    shared.publishers.store(None);
    shared.set_health(Health::Down);
    link.fail();
    drop(publishers);
    while running.join_next().await.is_some() {}
    Ok(())
}

/// Asks the broker now and then, until the connection is over. An answer that does not come ends
/// the connection as every publish's would.
async fn probe(publishers: &Publishers, link: &Link) {
    loop {
        tokio::select! {
            biased;
            () = link.ended.cancelled() => return,
            () = tokio::time::sleep(PROBE_EVERY) => {}
        }
        // A refusal has been dealt with where it arose.
        let _ = publishers.ask(Target::Probe, Bytes::new()).await;
    }
}

/// Writes in the order of asking, and answers as the confirms come.
async fn publish_all(
    shared: Arc<Shared>,
    link: Arc<Link>,
    channel: Channel,
    mut asks: mpsc::Receiver<Ask>,
) {
    let mut ring = Ring::default();
    let mut confirms = FuturesUnordered::new();
    let mut ended = std::pin::pin!(link.ended.cancelled());
    let mut overdue = std::pin::pin!(tokio::time::sleep(DEADLINE));
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            Some((number, confirmed)) = confirms.next(), if !confirms.is_empty() => {
                if !settle(&mut ring, number, confirmed) {
                    break;
                }
            }
            () = &mut overdue, if !ring.is_empty() => match ring.oldest() {
                Some(oldest) if oldest > Instant::now() => overdue.as_mut().reset(oldest),
                _ => break,
            },
            ask = asks.recv(), if ring.len() < UNCONFIRMED_MAX => {
                let Some(ask) = ask else { break };
                if link.blocked() {
                    refuse(ask, "blocked");
                    continue;
                }
                if ring.is_empty() {
                    overdue.as_mut().reset(ask.deadline);
                }
                let number = ring.push(ask.deadline, ask.done);
                let mut confirm =
                    Box::pin(publish(&shared, &channel, ask.target, ask.body, number));
                // The first poll takes the confirm's number and queues the frames: in this order.
                match poll!(confirm.as_mut()) {
                    Poll::Pending => confirms.push(confirm),
                    Poll::Ready((number, confirmed)) => {
                        if !settle(&mut ring, number, confirmed) {
                            break;
                        }
                    }
                }
            }
        }
    }
    // First the cut, so that what could not be confirmed is not sent later on.
    link.fail();
    for done in ring.drain() {
        let _ = done.send(Err(PublishError::Unknown));
    }
    asks.close();
    while let Some(ask) = asks.recv().await {
        refuse(ask, "no connection");
    }
}

/// Writes one job and awaits its confirm.
async fn publish(
    shared: &Shared,
    channel: &Channel,
    target: Target,
    body: Bytes,
    number: u64,
) -> (u64, lapin::Result<Confirmation>) {
    let (exchange, key, properties) = match target {
        Target::Partition(partition, turn) => {
            let key = shared.names.routing_key(partition);
            (shared.names.turns.clone(), key, properties(2, Some(turn)))
        }
        Target::Probe => (shared.names.replies.clone(), "probe".into(), properties(1, None)),
    };
    let is_turn = matches!(target, Target::Partition(..));
    if is_turn {
        fault::point(Point::AcceptWriting);
    }
    let options = BasicPublishOptions::default();
    let written = channel.basic_publish(exchange, key, options, &body, properties).await;
    let confirmed = match written {
        Ok(confirm) => {
            if is_turn {
                fault::point(Point::AcceptWritten);
            }
            confirm.await
        }
        Err(error) => Err(error),
    };
    (number, confirmed)
}

/// The whole set of properties: nothing of a user, and no headers.
pub(super) fn properties(delivery_mode: u8, turn: Option<TurnId>) -> BasicProperties {
    let properties = BasicProperties::default().with_delivery_mode(delivery_mode);
    match turn {
        Some(turn) => properties.with_correlation_id(turn.to_string().into()),
        None => properties,
    }
}

/// Tells the caller what became of its job; says whether the channel still works.
fn settle(ring: &mut Ring, number: u64, confirmed: lapin::Result<Confirmation>) -> bool {
    let (answer, works) = match confirmed {
        Ok(Confirmation::Ack(_)) => (Ok(()), true),
        Ok(Confirmation::Nack(_)) => (Err(PublishError::Full), true),
        // No confirm was asked for: the channel is not what it was opened as.
        Ok(Confirmation::NotRequested) => (Err(PublishError::Unknown), false),
        Err(error) => {
            tracing::warn!(%error, "a publish failed");
            (Err(PublishError::Unknown), false)
        }
    };
    if let Some(done) = ring.settle(number) {
        // A caller that went away needs no answer.
        let _ = done.send(answer);
    }
    works
}

fn refuse(ask: Ask, why: &'static str) {
    let _ = ask.done.send(Err(PublishError::Unavailable(why)));
}

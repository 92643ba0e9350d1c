//! A message comes in: prove, read, admit, hand to the broker, and answer with what is known.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use shared::broker::{Broker, PublishError, ReplyAddress};
use shared::domain::ids::{BotId, ChannelId, TurnId};
use shared::domain::turn::{Mode, Turn};
use shared::registry::Channel;
use shared::store::{KeyUse, Store};
use shared::topology::Queue;
use shared::wire::jobs::TurnJob;
use tokio::time::{Instant, timeout_at};

use super::{body, door};
use crate::domain::admit::admit;
use crate::domain::refusal::{Refusal, Why};
use crate::domain::trace::Trace;
use crate::error;
use crate::metrics::outcome;
use crate::room::Room;

/// What was admitted, on its way.
struct Admitted {
    turn: Turn,
    /// Whether the turn may have been handed over before, by an earlier request with its key.
    repeat: bool,
    traceparent: String,
}

/// Answers `POST …/hooks/…`.
pub(super) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    place: (BotId, Option<ChannelId>),
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let (head, incoming) = request.into_parts();
    let principal = door::enter(room, peer, &place, &head.headers)?;
    let channel = &principal.channel;
    body::check_media_type(&head.headers)?;
    let key = body::key(&head.headers)?;
    let config = &room.config;
    let body = body::read(incoming, config.body_max, config.body_timeout).await?;
    let ground = &room.ground;
    let id = TurnId::new(ground.entropy.uuid_v7(ground.clock.unix_ms()));
    let turn = admit(&principal, &body, id).map_err(Refusal::Invalid)?;

    room.conversations.take(turn.conversation().id(), channel.rate).map_err(Refusal::TooFast)?;
    if room.saturation.refuses(&channel.bot) {
        return Err(Refusal::Saturated);
    }
    if channel.mode() == Mode::Sync || key.is_some() {
        store_works(room)?;
    }
    let _place = room.in_flight.try_acquire().map_err(|_| Refusal::Busy)?;
    room.metrics.in_flight.inc();
    let _counted = Counted(&room.metrics.in_flight);
    let accept_by = Instant::now() + config.accept_deadline;
    let admitted = Admitted { repeat: false, traceparent: traceparent(room, &head.headers), turn };
    let admitted = match key {
        Some(key) => claim(room, admitted, key, &body, accept_by).await?,
        None => admitted,
    };
    match admitted.turn.mode {
        Mode::Async => accept(room, admitted, accept_by).await,
        Mode::Sync => converse(room, admitted, channel, accept_by).await,
    }
}

/// An answer and a key both need the store; a message that needs neither is queued without it.
fn store_works<B, S>(room: &Room<B, S>) -> Result<(), Refusal> {
    let up = room.store_up.load(Ordering::Relaxed);
    if up { Ok(()) } else { Err(Refusal::NotAccepted(Why::DatabaseAway)) }
}

/// Takes itself off a gauge when the request ends, however it ends.
struct Counted<'m>(&'m prometheus::IntGauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn traceparent<B: Broker, S: Store>(room: &Room<B, S>, headers: &HeaderMap) -> String {
    let entropy = &room.ground.entropy;
    let mut given = headers.get_all("traceparent").iter();
    let trace = match (given.next(), given.next()) {
        (Some(one), None) => Trace::parse(one.as_bytes()),
        _ => None,
    };
    let fresh = || Trace::new(u128::from(entropy.u64()) << 64 | u128::from(entropy.u64()));
    trace.unwrap_or_else(fresh).child(entropy.u64())
}

/// Lets the key name the turn: its first use keeps the new id, a repeat gets the old one.
async fn claim<B: Broker, S: Store>(
    room: &Room<B, S>,
    mut admitted: Admitted,
    key: &str,
    body: &[u8],
    accept_by: Instant,
) -> Result<Admitted, Refusal> {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    let turn = &mut admitted.turn;
    let used = room.ground.store.use_key(&turn.channel, key, fingerprint, turn.id);
    match timeout_at(accept_by, used).await {
        Ok(Ok(KeyUse::New)) => {}
        Ok(Ok(KeyUse::Repeat(first))) => {
            turn.id = first;
            admitted.repeat = true;
        }
        Ok(Ok(KeyUse::Mismatch)) => return Err(Refusal::KeyMismatch),
        // Nothing was published: certainly not accepted, whatever became of the key.
        Ok(Err(error)) => {
            tracing::warn!(%error, "an Idempotency-Key cannot be looked up");
            return Err(Refusal::NotAccepted(Why::DatabaseAway));
        }
        Err(_) => return Err(Refusal::NotAccepted(Why::DatabaseAway)),
    }
    Ok(admitted)
}

/// Asynchronous: 200 once the broker has confirmed, and not before.
async fn accept<B: Broker, S: Store>(
    room: &Room<B, S>,
    admitted: Admitted,
    accept_by: Instant,
) -> Result<Response<Body>, Refusal> {
    let turn = admitted.turn.id;
    publish(room, admitted, None, accept_by).await?;
    Ok(error::ok(Bytes::new(), Some(turn)))
}

/// Synchronous: confirm and reply are watched together.
async fn converse<B: Broker, S: Store>(
    room: &Room<B, S>,
    admitted: Admitted,
    channel: &Channel,
    accept_by: Instant,
) -> Result<Response<Body>, Refusal> {
    let answer_by = Instant::now() + channel.deadline;
    let turn = admitted.turn.id;
    let address = room.ground.broker.reply_address().borrow().clone();
    let address = address.ok_or(Refusal::NotAccepted(Why::NoReplies))?;
    let client = admitted.turn.client.clone();
    let mut waiter = room.waiters.register(turn, client, address.clone());
    let published = publish(room, admitted, Some(address), accept_by);
    let answered = |reply: Bytes| Ok(error::ok(reply, Some(turn)));
    tokio::select! {
        biased;
        reply = waiter.reply() => return answered(reply),
        published = published => published?,
    }
    match timeout_at(answer_by, waiter.reply()).await {
        Ok(reply) => answered(reply),
        Err(_) => Err(Refusal::TimedOut { turn, poll_url: poll_url(room, channel, turn) }),
    }
}

fn poll_url<B: Broker, S: Store>(room: &Room<B, S>, channel: &Channel, turn: TurnId) -> String {
    let base = &room.config.public_url;
    if channel.ordinal == 1 {
        format!("{base}/chatbot/v2/webhook/{}/poll/{turn}", channel.bot)
    } else {
        format!("{base}/chatbot/v2/webhook/{}/hookInstance/{}/poll/{turn}", channel.bot, channel.id)
    }
}

/// Hands the turn to the broker. What is refused is certainly not accepted, unless an earlier request
/// may have handed over the same turn.
async fn publish<B: Broker, S: Store>(
    room: &Room<B, S>,
    admitted: Admitted,
    reply_to: Option<ReplyAddress>,
    accept_by: Instant,
) -> Result<(), Refusal> {
    let Admitted { turn, repeat, traceparent } = admitted;
    let id = turn.id;
    let partition = room.ground.broker.topology().partition(&turn.conversation());
    let reply_to = reply_to.map(|ReplyAddress(address)| address);
    let job = TurnJob { turn, reply_to, traceparent: Some(traceparent) };
    let body = job.seal(&room.ground.keys).map_err(|error| {
        tracing::error!(%error, turn.id = %id, "a turn cannot be sealed");
        Refusal::NotAccepted(Why::Internal)
    })?;
    let begun = Instant::now();
    let confirmed = room.ground.broker.publish(Queue::Turns, partition, id, body);
    let confirmed = timeout_at(accept_by, confirmed).await.unwrap_or(Err(PublishError::Unknown));
    room.metrics.publish_seconds.observe(begun.elapsed().as_secs_f64());
    let label = outcome(confirmed.as_ref());
    room.metrics.publishes.with_label_values(&[label]).inc();
    let why = match confirmed {
        Ok(()) => return Ok(()),
        Err(PublishError::Unknown) => return Err(Refusal::Unknown(id)),
        Err(PublishError::Full) => Why::QueueFull,
        Err(PublishError::Unavailable(why)) => {
            tracing::debug!(why, "the broker does not take turns");
            Why::BrokerAway
        }
    };
    Err(if repeat { Refusal::Unknown(id) } else { Refusal::NotAccepted(why) })
}

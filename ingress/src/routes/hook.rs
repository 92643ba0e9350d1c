//! A message comes in: prove, read, admit, hand to the broker, and answer with what is known.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use shared::broker::{Broker, PublishError, ReplyAddress};
use shared::domain::ids::{BotId, ChannelId, TurnId};
use shared::domain::trace::{Context, SpanId};
use shared::domain::turn::{Mode, Turn};
use shared::fault::{self, Defect, Point};
use shared::registry::{Bot, Channel};
use shared::store::Store;
use shared::topology::Queue;
use shared::tracer::Kind;
use shared::wire::jobs::TurnJob;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::door::{self, Meant};
use super::{body, repeat};
use crate::domain::admit::admit;
use crate::domain::auth::Principal;
use crate::domain::refusal::{Refusal, Why};
use crate::error;
use crate::limits::UnderWay;
use crate::metrics::outcome;
use crate::room::Room;
use crate::shares::Shares;

/// What was admitted, on its way.
pub(super) struct Admitted {
    pub(super) turn: Turn,
    /// Whether the turn may have been handed over before, by an earlier request with its key.
    pub(super) repeat: bool,
    /// The request's place in its trace.
    trace: Context,
}

/// Answers `POST …/hooks/…`.
pub(super) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    place: (BotId, Option<ChannelId>),
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Response<Body>, Refusal> {
    let began = Instant::now();
    let principal = door::enter(room, peer, &place, Meant::One, headers)?;
    let answered = hear(room, (peer, began), &principal, headers, incoming).await;
    room.channels.of(&principal.channel.id, |figures| figures.answered(&answered));
    answered
}

/// Reads what somebody who has proved himself says, and answers.
async fn hear<B: Broker, S: Store>(
    room: &Room<B, S>,
    (peer, began): (IpAddr, Instant),
    principal: &Principal,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Response<Body>, Refusal> {
    let channel = &principal.channel;
    if room.ground.registry.get().unreadable.contains_key(&channel.bot) {
        return Err(Refusal::NotAccepted(Why::BotUnreadable));
    }
    body::check_media_type(headers)?;
    let key = body::key(headers)?;
    let config = &room.config;
    let _memory = memory(room, incoming)?;
    let body = body::read(incoming, config.body_max, config.body_timeout).await?;
    let ground = &room.ground;
    let id = TurnId::new(ground.entropy.uuid_v7(ground.clock.unix_ms()));
    let turn = admit(principal, &body, id).map_err(Refusal::Invalid)?;

    // Only what is proved and can be read leaves a span: nobody else may fill the collector.
    let (trace, parent) = trace(room, headers, id);
    let mut span = ground.tracer.span("accept", Kind::Server, trace, parent).since(began);
    span.text("switchhook.turn.id", id);
    span.text("switchhook.bot.id", &channel.bot);
    span.text("switchhook.channel.id", &channel.id);
    let admitted = Admitted { repeat: false, trace, turn };
    let answered = hand_over(room, peer, principal, admitted, (key, &body)).await;
    if let Err(refusal) = &answered {
        span.text("switchhook.refusal", refusal.reason());
        span.fail();
    }
    answered
}

/// Hands an admitted turn over, if there is room for it, and answers.
async fn hand_over<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    principal: &Principal,
    admitted: Admitted,
    (key, body): (Option<&str>, &[u8]),
) -> Result<Response<Body>, Refusal> {
    let (channel, turn) = (&principal.channel, &admitted.turn);
    room.conversations.take(turn.conversation().id(), channel.rate).map_err(Refusal::TooFast)?;
    if room.saturation.refuses(&channel.bot) {
        return Err(Refusal::Saturated);
    }
    if channel.mode() == Mode::Sync || key.is_some() || principal.once.is_some() {
        store_works(room)?;
    }
    let _place = room.in_flight.try_acquire().map_err(|_| Refusal::Busy)?;
    let share = Shares::take(&room.app_shares, principal.client.clone());
    let _share = share.ok_or(Refusal::Busy)?;
    let under_way = match channel.mode() {
        Mode::Sync => Some(under_way(room, channel)?),
        Mode::Async => None,
    };
    room.metrics.in_flight.inc();
    let _counted = Counted(&room.metrics.in_flight);
    let accept_by = Instant::now() + room.config.accept_deadline;
    let used = timeout_at(accept_by, door::use_up(room, peer, principal, turn.id)).await;
    used.unwrap_or(Err(Refusal::NotAccepted(Why::DatabaseAway)))?;
    let admitted = match key {
        Some(key) => repeat::claim(room, admitted, key, body, accept_by).await?,
        None => admitted,
    };
    if admitted.repeat
        && let Some(settled) = repeat::settled(room, &admitted.turn, accept_by).await?
    {
        return repeat::told_again(&admitted.turn, settled.reply);
    }
    match under_way {
        None => accept(room, admitted, accept_by).await,
        Some(under_way) => converse(room, admitted, channel, accept_by, under_way).await,
    }
}

/// A place among the turns that the bot answers without letting them wait.
fn under_way<'r, B: Broker, S: Store>(
    room: &'r Room<B, S>,
    channel: &Channel,
) -> Result<UnderWay<'r>, Refusal> {
    let registry = room.ground.registry.get();
    let permits = registry.bots.get(&channel.bot).map_or(Bot::PERMITS, |bot| bot.permits);
    room.limits
        .enter((channel.bot.clone(), channel.client.clone()), permits)
        .ok_or(Refusal::Saturated)
}

/// Room for the body, until its request is answered.
pub(super) fn memory<'r, B, S>(
    room: &'r Room<B, S>,
    incoming: &Incoming,
) -> Result<SemaphorePermit<'r>, Refusal> {
    let config = &room.config;
    let max = config.body_max as u64;
    let kib = body::length(incoming).unwrap_or(max).min(max) / 1_024 + 1;
    let kib = usize::try_from(kib).unwrap_or(usize::MAX).min(config.bodies_max_kib);
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    room.bodies.try_acquire_many(kib).map_err(|_| Refusal::Busy)
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

/// The request's place in its trace, and the client's span above it. A trace that begins here has the
/// turn's id.
fn trace<B: Broker, S: Store>(
    room: &Room<B, S>,
    headers: &HeaderMap,
    turn: TurnId,
) -> (Context, Option<SpanId>) {
    let ground = &room.ground;
    let mut given = headers.get_all("traceparent").iter();
    let client = match (given.next(), given.next()) {
        (Some(one), None) => one.to_str().ok().and_then(Context::parse),
        _ => None,
    };
    let context = client.unwrap_or_else(|| ground.tracer.begin(Context::of_turn(turn)));
    let own = context.with_span(SpanId::new(ground.entropy.u64()));
    (own, client.map(|client| client.span))
}

/// Asynchronous: 200 once the broker has confirmed, and not before.
async fn accept<B: Broker, S: Store>(
    room: &Room<B, S>,
    admitted: Admitted,
    accept_by: Instant,
) -> Result<Response<Body>, Refusal> {
    let turn = admitted.turn.id;
    let published = publish(room, admitted, None, accept_by);
    if fault::has(Defect::AnswerBeforeConfirm) {
        let _ = published.now_or_never();
    } else {
        published.await?;
    }
    Ok(error::ok(Bytes::new(), Some(turn)))
}

/// Synchronous: confirm and reply are watched together.
async fn converse<B: Broker, S: Store>(
    room: &Room<B, S>,
    admitted: Admitted,
    channel: &Channel,
    accept_by: Instant,
    mut under_way: UnderWay<'_>,
) -> Result<Response<Body>, Refusal> {
    let answer_by = Instant::now() + channel.deadline;
    let turn = admitted.turn.id;
    let address = room.ground.broker.reply_address().borrow().clone();
    let address = address.ok_or(refused(turn, admitted.repeat, Why::NoReplies))?;
    let client = admitted.turn.client.clone();
    let mut waiter = room.waiters.register(turn, client, address.clone());
    let published = publish(room, admitted, Some(address), accept_by);
    let mut answered = |(reply, spent)| {
        under_way.spent = spent;
        Ok(error::ok(reply, Some(turn)))
    };
    tokio::select! {
        biased;
        answer = waiter.reply() => return answered(answer),
        published = published => published?,
    }
    match timeout_at(answer_by, waiter.reply()).await {
        Ok(answer) => answered(answer),
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
    let Admitted { turn, repeat, trace } = admitted;
    let id = turn.id;
    let partition = room.ground.broker.topology().partition(&turn.conversation());
    let reply_to = reply_to.map(|ReplyAddress(address)| address);
    let ground = &room.ground;
    let (trace, mut span) =
        ground.tracer.child("publish turn", Kind::Producer, trace, &ground.entropy);
    span.number("switchhook.partition", partition.0);
    let job = TurnJob { turn, reply_to, traceparent: Some(trace.to_string()) };
    let body = job.seal(&room.ground.keys).map_err(|error| {
        tracing::error!(%error, turn.id = %id, "a turn cannot be sealed");
        refused(id, repeat, Why::Internal)
    })?;
    fault::point(Point::AcceptBegun);
    let begun = Instant::now();
    let confirmed = room.ground.broker.publish(Queue::Turns, partition, id, body);
    let confirmed = timeout_at(accept_by, confirmed).await.unwrap_or(Err(PublishError::Unknown));
    room.metrics.publish_seconds.observe(begun.elapsed().as_secs_f64());
    let label = outcome(confirmed.as_ref());
    room.metrics.publishes.with_label_values(&[label]).inc();
    span.text("switchhook.outcome", label);
    let why = match confirmed {
        // A process that was stopped for long may have published where nobody looks any more.
        Ok(()) if !room.ground.lease.holds() => return Err(Refusal::Unknown(id)),
        Ok(()) => {
            fault::point(Point::AcceptConfirmed);
            return Ok(());
        }
        Err(PublishError::Unknown) => return Err(Refusal::Unknown(id)),
        Err(PublishError::Full) => Why::QueueFull,
        Err(PublishError::Unavailable(why)) => {
            tracing::debug!(reason = why, "the broker does not take turns");
            Why::BrokerAway
        }
    };
    Err(refused(id, repeat, why))
}

/// Nothing was handed over by this request; but a repeat cannot know of those before it.
const fn refused(turn: TurnId, repeat: bool, why: Why) -> Refusal {
    if repeat { Refusal::Unknown(turn) } else { Refusal::NotAccepted(why) }
}

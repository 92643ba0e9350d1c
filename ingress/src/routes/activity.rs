//! A bot of the Bot Framework calls: what it says in a turn is passed to the process that runs the turn, which
//! nobody waits for here. The ticket in the path is all that it has to show. A bot that calls when its turn is
//! settled is told so.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::broker::{Broker, ReplyAddress};
use shared::store::Store;
use shared::wire::activity::{Activity, Change, Ticket};
use uuid::Uuid;

use super::{body, hook};
use crate::domain::refusal::{Refusal, Why};
use crate::error;
use crate::room::Room;

/// Answers `…/v3/conversations/{conversation}/…`; `below` is what follows. Which conversation that is says the
/// ticket.
pub(super) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    ticket: &str,
    below: &[String],
    head: &Parts,
    incoming: &mut Incoming,
) -> Result<Response<Body>, Refusal> {
    let ground = &room.ground;
    let ticket = Ticket::open(&ground.keys, ticket, ground.clock.unix_ms());
    let ticket = ticket.ok_or(Refusal::NoTicket)?;
    if head.method != Method::GET && is_over(room, &ticket).await {
        return Err(Refusal::TurnEnded);
    }
    let below: Vec<&str> = below.iter().map(String::as_str).collect();
    match (&head.method, &below[..]) {
        // The activity that is replied to stands in the reply as well.
        (&Method::POST, ["activities"] | ["activities", _]) => {
            let sent = read(room, head, incoming).await?;
            let id = ground.entropy.uuid_v7(ground.clock.unix_ms());
            pass(room, ticket, id, Change::Sent(sent)).await?;
            Ok(told(&json!({"id": id.simple().to_string()})))
        }
        (&Method::PUT, ["activities", id]) => {
            let id = Uuid::try_parse(id).map_err(|_| Refusal::NoPath)?;
            let updated = read(room, head, incoming).await?;
            pass(room, ticket, id, Change::Updated(updated)).await?;
            Ok(told(&json!({"id": id.simple().to_string()})))
        }
        (&Method::DELETE, ["activities", id]) => {
            let id = Uuid::try_parse(id).map_err(|_| Refusal::NoPath)?;
            pass(room, ticket, id, Change::Deleted).await?;
            Ok(error::ok(Bytes::new(), None))
        }
        // Who takes part is told with each activity, and not known here.
        (&Method::GET, ["members"] | ["activities", _, "members"]) => Ok(told(&json!([]))),
        (&Method::GET, ["pagedmembers"]) => Ok(told(&json!({"members": []}))),
        (&Method::GET, ["members", id]) => Ok(told(&json!({"id": unescaped(id)?}))),
        _ => Err(Refusal::NoPath),
    }
}

/// Whether the run is known to be over. Where that cannot be looked up in time the call is passed on: the
/// process that runs the turn drops what comes too late.
async fn is_over<B: Broker, S: Store>(room: &Room<B, S>, ticket: &Ticket) -> bool {
    let Some(turn) = ticket.settled_by() else { return false };
    let Ok(_place) = room.polls.try_acquire() else { return false };
    let asked = [turn];
    let asked = room.ground.store.outcomes(&asked);
    match tokio::time::timeout(room.config.store_deadline, asked).await {
        Ok(Ok(settled)) => !settled.is_empty(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "whether a turn has ended cannot be looked up");
            false
        }
        Err(_) => false,
    }
}

fn told(body: &Value) -> Response<Body> {
    error::ok(body.to_string().into(), None)
}

/// An id as it was before it became a part of a path.
fn unescaped(id: &str) -> Result<String, Refusal> {
    let id = percent_encoding::percent_decode_str(id).decode_utf8();
    id.map(std::borrow::Cow::into_owned).map_err(|_| Refusal::NoPath)
}

/// The activity, as it came. What it says is for the process that knows the turn.
async fn read<B: Broker, S: Store>(
    room: &Room<B, S>,
    head: &Parts,
    incoming: &mut Incoming,
) -> Result<Box<RawValue>, Refusal> {
    body::check_media_type(&head.headers)?;
    let config = &room.config;
    let _memory = hook::memory(room, incoming)?;
    let body = body::read(incoming, config.body_max, config.body_timeout).await?;
    let activity = serde_json::from_slice::<Box<RawValue>>(&body).ok();
    activity
        .filter(|activity| activity.get().starts_with('{'))
        .ok_or_else(|| Refusal::Invalid("an activity is a JSON object".to_owned()))
}

/// Best effort, as an answer's way back: a turn that misses something ends by its own deadline.
async fn pass<B: Broker, S: Store>(
    room: &Room<B, S>,
    ticket: Ticket,
    id: Uuid,
    change: Change,
) -> Result<(), Refusal> {
    let broker = &room.ground.broker;
    if broker.reply_address().borrow().is_none() {
        return Err(Refusal::NotAccepted(Why::NoReplies));
    }
    let call = Activity { turn: ticket.turn(), run: ticket.run, id, change };
    broker.reply(&ReplyAddress(ticket.to), call.seal(&room.ground.keys)).await;
    Ok(())
}

//! The answer of a turn, fetched later: the same bytes every time, for 24 hours.

use std::net::IpAddr;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Serialize;
use shared::broker::Broker;
use shared::domain::ids::{BotId, ChannelId, TurnId};
use shared::store::Store;

use super::door::{self, Meant};
use crate::domain::refusal::Refusal;
use crate::error;
use crate::room::Room;

/// How long after its id was made a turn without an outcome counts as running.
const RUNNING_MS: u64 = 24 * 60 * 60 * 1_000;
/// How far an id's maker's clock may be ahead of ours.
const AHEAD_MS: u64 = 60_000;

#[derive(Serialize)]
struct InProgress {
    status: &'static str,
    #[serde(rename = "pollId")]
    poll_id: String,
    #[serde(rename = "_v")]
    version: &'static str,
}

/// Answers `GET …/poll/…`.
pub(super) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    place: (BotId, Option<ChannelId>),
    turn: Option<TurnId>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Refusal> {
    let principal = door::enter(room, peer, &place, Meant::AnyOfTheApp, headers)?;
    let turn = turn.ok_or(Refusal::NoData)?;
    let now = room.ground.clock.unix_ms();
    let made = turn.unix_ms();
    if made > now + AHEAD_MS {
        return Err(Refusal::NoData);
    }
    let _place = room.polls.try_acquire().map_err(|_| Refusal::PollAway)?;
    let asked = [(principal.client, turn)];
    let asked = room.ground.store.outcomes(&asked);
    let found = match tokio::time::timeout(room.config.store_deadline, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a poll cannot be answered");
            return Err(Refusal::PollAway);
        }
        Err(_) => return Err(Refusal::PollAway),
    };
    match found.into_iter().next() {
        // What was erased is as if it had never been.
        Some((_, settled)) if settled.reply.is_empty() => Err(Refusal::NoData),
        Some((_, settled)) => Ok(error::ok(settled.reply, Some(turn))),
        // An answer is kept for a day from its commit, and a turn may have waited for long.
        None if now.saturating_sub(made) > RUNNING_MS => Err(Refusal::NoData),
        None => Ok(error::ok(in_progress(turn), Some(turn))),
    }
}

fn in_progress(turn: TurnId) -> Bytes {
    let body = InProgress { status: "Inprogress", poll_id: turn.to_string(), version: "v2" };
    serde_json::to_vec(&body).expect("invariant: strings are JSON").into()
}

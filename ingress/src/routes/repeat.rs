//! The same message again, as its `Idempotency-Key` says: it is the same turn, and has the same answer.

use aws_lc_rs::digest;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use shared::broker::Broker;
use shared::domain::ids::ChannelId;
use shared::domain::turn::{Mode, Turn};
use shared::fault::{self, Defect};
use shared::store::{KeyUse, SettledTurn, Store};
use tokio::time::{Instant, timeout_at};

use super::hook::Admitted;
use crate::domain::refusal::{Refusal, Why};
use crate::error;
use crate::room::Room;

/// Lets the key name the turn: its first use keeps the new id, a repeat gets the old one.
pub(super) async fn claim<B: Broker, S: Store>(
    room: &Room<B, S>,
    mut admitted: Admitted,
    key: &str,
    body: &[u8],
    accept_by: Instant,
) -> Result<Admitted, Refusal> {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    let turn = &mut admitted.turn;
    let mut scope = turn.channel.clone();
    if fault::has(Defect::KeyWithoutChannel) {
        scope = ChannelId::from("every channel");
    }
    let used = room.ground.store.use_key(&scope, key, fingerprint, turn.id);
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

/// What has become of a turn that an earlier request with its key may have handed over.
pub(super) async fn settled<B: Broker, S: Store>(
    room: &Room<B, S>,
    turn: &Turn,
    accept_by: Instant,
) -> Result<Option<SettledTurn>, Refusal> {
    let asked = [(turn.client.clone(), turn.id)];
    match timeout_at(accept_by, room.ground.store.outcomes(&asked)).await {
        Ok(Ok(found)) => Ok(found.into_iter().next().map(|(_, settled)| settled)),
        Ok(Err(error)) => {
            tracing::warn!(%error, turn.id = %turn.id, "a repeat cannot be looked up");
            Err(Refusal::Unknown(turn.id))
        }
        Err(_) => Err(Refusal::Unknown(turn.id)),
    }
}

/// The answer of a turn that is done. One that was erased is as if it had never been.
pub(super) fn told_again(turn: &Turn, reply: Bytes) -> Result<Response<Body>, Refusal> {
    match turn.mode {
        Mode::Async => Ok(error::ok(Bytes::new(), Some(turn.id))),
        Mode::Sync if reply.is_empty() => Err(Refusal::NoData),
        Mode::Sync => Ok(error::ok(reply, Some(turn.id))),
    }
}

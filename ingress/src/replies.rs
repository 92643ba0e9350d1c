//! Replies on their way to those who wait: from the broker, and, when the way back was lost, from the
//! store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::broker::Broker;
use shared::domain::ids::{ClientId, TurnId};
use shared::store::Store;
use shared::wire::jobs::{Replies, Reply};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::room::Room;

/// How often the store is asked for turns whose replies can no longer come.
const RESCUE_EVERY: Duration = Duration::from_millis(500);
/// A reply is sent once and may get lost on its way, by the death of who sent it or of a connection.
/// Whoever has waited so long is looked up too, now and then, rather than told that there is no answer.
const OVERDUE_AFTER: Duration = Duration::from_secs(2);
const OVERDUE_EVERY: Duration = Duration::from_secs(2);
/// As many as the store answers for at once.
const RESCUE_MAX: usize = 1_000;

/// Hands every reply to whoever waits for it.
pub(crate) async fn take<B: Broker, S: Store>(
    room: Arc<Room<B, S>>,
    mut replies: mpsc::Receiver<Bytes>,
) {
    loop {
        let body = tokio::select! {
            biased;
            () = room.answered.cancelled() => return,
            body = replies.recv() => body,
        };
        let Some(body) = body else { return };
        match Replies::open(&room.ground.keys, &body) {
            Ok(Replies(replies)) => {
                for Reply { turn, answer, spent } in replies {
                    if !room.waiters.answer(turn, &(answer, spent)) {
                        room.metrics.late_replies.inc();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "a reply cannot be read"),
        }
    }
}

/// Looks for turns that wait at an address that is gone: at once, and then again and again; and, less
/// often, for turns that wait for long.
pub(crate) async fn rescue<B: Broker, S: Store>(room: Arc<Room<B, S>>) {
    let mut address = room.ground.broker.reply_address();
    let mut overdue_at = Instant::now();
    loop {
        let current = address.borrow_and_update().clone();
        let now = Instant::now();
        let patience = if now >= overdue_at { OVERDUE_AFTER } else { Duration::MAX };
        if now >= overdue_at {
            overdue_at = now + OVERDUE_EVERY;
        }
        let stranded = room.waiters.stranded(current.as_ref(), patience);
        for turns in stranded.chunks(RESCUE_MAX) {
            look_up(&room, turns).await;
        }
        let pause = tokio::time::sleep(RESCUE_EVERY);
        tokio::select! {
            biased;
            changed = address.changed() => if changed.is_err() { return },
            () = pause => {}
            () = room.answered.cancelled() => return,
        }
    }
}

async fn look_up<B: Broker, S: Store>(room: &Room<B, S>, turns: &[(ClientId, TurnId)]) {
    let asked = room.ground.store.outcomes(turns);
    match tokio::time::timeout(room.config.store_deadline, asked).await {
        Ok(Ok(settled)) => {
            for (turn, settled) in settled {
                if room.waiters.answer(turn, &(settled.reply, None)) {
                    room.metrics.rescued_replies.inc();
                }
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "lost replies cannot be looked up"),
        Err(_) => tracing::warn!("lost replies cannot be looked up in time"),
    }
}

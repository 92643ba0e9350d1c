//! Carries replays out: settled deliveries that an operator has sent again, a conversation at a time. Any
//! number of processes may do so at once; who dies in the middle leaves the rest to the others.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::entropy::Entropy;
use crate::ground::Ground;
use crate::store::replay::Stepped;
use crate::store::{ReplayStore, Store, StoreError};

/// The wait until it is looked for work again, and between two rounds of it: messages come first.
const CALM: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_millis(100);
/// Conversations of a round.
const ROUND: u32 = 50;

/// Works until the process stops.
pub fn start<B: Broker, S: Store>(ground: &Ground<B, S>) {
    let (store, entropy) = (ground.store.clone(), ground.entropy.clone());
    ground.lifecycle.spawn(run(store, entropy, ground.lifecycle.stop()));
}

async fn run<S: ReplayStore>(store: S, entropy: Entropy, stop: CancellationToken) {
    // Processes that started together do not look together.
    let mut wait = CALM.mul_f64(entropy.chance());
    let mut well = true;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let done = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            done = round(&store) => done,
        };
        wait = if matches!(done, Ok(true)) { BUSY } else { CALM };
        match &done {
            Err(error) if well => tracing::warn!(%error, "replays cannot go on"),
            Ok(_) if !well => tracing::info!("replays can go on again"),
            Ok(_) | Err(_) => {}
        }
        well = done.is_ok();
    }
}

/// Whether there may be more to do.
async fn round<S: ReplayStore>(store: &S) -> Result<bool, StoreError> {
    for _ in 0..ROUND {
        match store.step_replay().await? {
            Stepped::Idle => return Ok(false),
            Stepped::Appended(_) => {}
            Stepped::Ended(replay) => {
                let (id, channel) = (replay.id.simple(), &replay.channel);
                let (sent, passed) = (replay.sent, replay.passed);
                tracing::info!(
                    replay.id = %id, channel.id = %channel, sent, passed, "a replay is done"
                );
            }
        }
    }
    Ok(true)
}

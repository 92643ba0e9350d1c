//! Removes what has outlived its retention, in bounded rounds. Any number of processes may do so at
//! once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use crate::broker::Broker;
use crate::config::Settings;
use crate::entropy::Entropy;
use crate::ground::Ground;
use crate::store::{Retention, Store};

/// The wait between two rounds when nothing was left to do, and between rounds when more is.
const CALM: Duration = Duration::from_mins(1);
const BUSY: Duration = Duration::from_millis(200);

/// The retention of the settings.
pub fn retention(settings: &Settings) -> Retention {
    let kept = &settings.retention;
    Retention {
        turns: kept.turns,
        deliveries: kept.deliveries,
        parked: kept.parked,
        conversations: kept.conversations,
    }
}

/// Cleans until the process stops.
pub fn start<B: Broker, S: Store>(ground: &Ground<B, S>, settings: &Settings, metrics: Metrics) {
    let work = run(
        ground.store.clone(),
        retention(settings),
        ground.entropy.clone(),
        metrics,
        ground.lifecycle.stop(),
    );
    ground.lifecycle.spawn(work);
}

async fn run<S: Store>(
    store: S,
    retention: Retention,
    entropy: Entropy,
    metrics: Metrics,
    stop: CancellationToken,
) {
    // Processes that started together do not clean together.
    let mut wait = CALM.mul_f64(entropy.chance());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match store.clean(retention).await {
            Ok(cleaned) => {
                metrics.cleaned_rows.inc_by(cleaned.rows);
                if cleaned.more { BUSY } else { CALM }
            }
            Err(error) => {
                metrics.clean_failures.inc();
                tracing::warn!(%error, "old rows could not be removed");
                CALM
            }
        };
    }
}

//! What a deliverer counts and measures of single channels.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use shared::channels::{ByWord, Places};
use shared::registry::cache::Cache;

use crate::metrics::{ATTEMPTS, SETTLED};

/// Few: there is a series of each for every channel.
const SECONDS: [f64; 6] = [0.25, 1.0, 5.0, 30.0, 300.0, 3_600.0];

/// The figures of one channel.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Attempts by what came of them.
    pub(crate) attempts: ByWord<{ ATTEMPTS.len() }>,
    settled: ByWord<{ SETTLED.len() }>,
    seconds: Histogram,
}

impl Figures {
    /// A delivery has arrived, so long after its turn was accepted.
    pub(crate) fn delivered(&self, took: Duration) {
        self.settled.inc("delivered");
        self.seconds.observe(took.as_secs_f64());
    }

    /// A delivery is given up.
    pub(crate) fn parked(&self, why: &str) {
        self.settled.inc(why);
    }
}

/// Registers the families. The names are in `docs/metrics.md`.
pub(crate) fn register(
    metrics: &Registry,
    channels: (&Cache, u32),
) -> prometheus::Result<Places<Figures>> {
    let counters = |name, help, word| IntCounterVec::new(Opts::new(name, help), &["channel", word]);
    let attempts = counters(
        "switchhook_channel_attempts_total",
        "Attempts of a channel by what came of them.",
        "result",
    )?;
    let settled = counters(
        "switchhook_channel_deliveries_total",
        "Deliveries of a channel by their final fate; those parked behind another are not counted.",
        "outcome",
    )?;
    let seconds = HistogramVec::new(
        HistogramOpts::new(
            "switchhook_channel_delivery_seconds",
            "Seconds from the acceptance of a turn to the delivery of one of its messages, by channel.",
        )
        .buckets(SECONDS.to_vec()),
        &["channel"],
    )?;
    let families: Vec<Box<dyn prometheus::core::Collector>> =
        vec![Box::new(attempts.clone()), Box::new(settled.clone()), Box::new(seconds.clone())];
    let make = move |channel: &str| Figures {
        attempts: ByWord::new(&attempts, channel, ATTEMPTS),
        settled: ByWord::new(&settled, channel, SETTLED),
        seconds: seconds.with_label_values(&[channel]),
    };
    Places::register(metrics, families, make, channels)
}

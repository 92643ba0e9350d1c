//! What a dispatcher counts and measures of single channels.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use shared::channels::{ByWord, Places};
use shared::domain::outcome::Outcome;
use shared::registry::cache::Cache;

/// Few: there is a series of each for every channel.
const SECONDS: [f64; 6] = [0.05, 0.25, 1.0, 2.5, 5.0, 15.0];

/// The figures of one channel.
#[derive(Debug)]
pub(crate) struct Figures {
    turns: ByWord<{ Outcome::ALL.len() }>,
    seconds: Histogram,
}

impl Figures {
    /// A turn is settled, so long after its id was given.
    pub(crate) fn settled(&self, outcome: Outcome, took: Duration) {
        self.turns.inc(outcome.as_str());
        if !outcome.is_aside() {
            self.seconds.observe(took.as_secs_f64());
        }
    }
}

/// Registers the families. The names are in `docs/metrics.md`.
pub(crate) fn register(
    metrics: &Registry,
    channels: (&Cache, u32),
) -> prometheus::Result<Places<Figures>> {
    let turns = IntCounterVec::new(
        Opts::new("switchhook_channel_turns_total", "Turns of a channel by their final fate."),
        &["channel", "outcome"],
    )?;
    let seconds = HistogramVec::new(
        HistogramOpts::new(
            "switchhook_channel_turn_seconds",
            "Seconds from a turn's id to the end of its run, by channel (two clocks: an indication).",
        )
        .buckets(SECONDS.to_vec()),
        &["channel"],
    )?;
    let families: Vec<Box<dyn prometheus::core::Collector>> =
        vec![Box::new(turns.clone()), Box::new(seconds.clone())];
    let make = move |channel: &str| Figures {
        turns: ByWord::new(&turns, channel, Outcome::ALL.map(Outcome::as_str)),
        seconds: seconds.with_label_values(&[channel]),
    };
    Places::register(metrics, families, make, channels)
}

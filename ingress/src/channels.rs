//! What ingress counts of single channels, and what the channels are called.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use http::Response;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use shared::channels::{ByWord, OTHER, Places};
use shared::registry::cache::Cache;

use crate::domain::refusal::Refusal;
use crate::error;

const RESULTS: [&str; 3] = ["accepted", "refused", "failed"];

/// The figures of one channel.
#[derive(Debug)]
pub(crate) struct Figures(ByWord<3>);

impl Figures {
    /// A request with a good token has been answered.
    pub(crate) fn answered(&self, answer: &Result<Response<Body>, Refusal>) {
        self.0.inc(match answer {
            Ok(_) => "accepted",
            Err(refusal) if error::is_ours(refusal) => "failed",
            Err(_) => "refused",
        });
    }
}

/// Registers the families. The names are in `docs/metrics.md`.
pub(crate) fn register(
    metrics: &Registry,
    channels: (&Cache, u32),
) -> prometheus::Result<Places<Figures>> {
    let requests = IntCounterVec::new(
        Opts::new(
            "switchhook_channel_requests_total",
            "Messages to a live channel with a good token, by whether they were accepted, refused (4xx) or not answered (5xx).",
        ),
        &["channel", "result"],
    )?;
    let families: Vec<Box<dyn Collector>> = vec![Box::new(requests.clone())];
    let make = move |channel: &str| Figures(ByWord::new(&requests, channel, RESULTS));
    let places = Places::register(metrics, families, make, channels)?;
    metrics.register(Box::new(Names::new(places.clone(), channels.0.clone())?))?;
    Ok(places)
}

/// Tells whoever scrapes what the channels with figures of their own are called now.
struct Names {
    places: Places<Figures>,
    registry: Cache,
    /// One scrape at a time fills it.
    family: Mutex<IntGaugeVec>,
    descriptions: Vec<Desc>,
}

impl Names {
    fn new(places: Places<Figures>, registry: Cache) -> prometheus::Result<Self> {
        let family = IntGaugeVec::new(
            Opts::new(
                "switchhook_channel_info",
                "Always 1; the labels tell what a channel with figures of its own is called: its bot and its name.",
            ),
            &["channel", "name"],
        )?;
        let descriptions = family.desc().into_iter().cloned().collect();
        Ok(Self { places, registry, family: Mutex::new(family), descriptions })
    }
}

impl Collector for Names {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.places.take();
        let registry = self.registry.get();
        let family = self.family.lock().unwrap_or_else(PoisonError::into_inner);
        family.reset();
        family.with_label_values(&[OTHER, OTHER]).set(1);
        for channel in registry.channels.values().filter(|channel| self.places.has(&channel.id)) {
            let bot = registry.bots.get(&channel.bot).map_or("", |bot| bot.name.as_str());
            let name = format!("{bot}/{}", channel.name);
            family.with_label_values(&[channel.id.as_str(), &name]).set(1);
        }
        family.collect()
    }
}

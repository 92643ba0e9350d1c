//! What a deliverer counts and measures.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Registered once per process. The names are in `docs/metrics.md`.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Attempts by what came of them.
    pub(crate) attempts: IntCounterVec,
    /// Seconds that a POST took, until its answer was complete or its deadline had passed.
    pub(crate) attempt_seconds: Histogram,
    /// Deliveries by their final fate; those parked behind another are not counted.
    pub(crate) settled: IntCounterVec,
    /// Seconds from the acceptance of a turn to the delivery of one of its messages (two clocks).
    pub(crate) delivery_seconds: Histogram,
    /// Claims by what the store said.
    pub(crate) claims: IntCounterVec,
    /// First attempts that needed no claim.
    pub(crate) unclaimed: IntCounter,
    /// Outcomes that were not written, because another had taken the delivery on.
    pub(crate) missed: IntCounter,
    /// Deliveries put off because their endpoint could not be called at once, by the reason.
    pub(crate) put_off: IntCounterVec,
    /// Times that the store was asked what else is due for an endpoint.
    pub(crate) asked: IntCounter,
    /// Attempts that run now.
    pub(crate) in_flight: IntGauge,
    /// Conversations that wait here for their endpoint.
    pub(crate) waiting: IntGauge,
    /// Retries that have a timer in this process; later ones are left to the sweep.
    pub(crate) timers: IntGauge,
    /// Endpoints whose breaker is open now.
    pub(crate) breakers_open: IntGauge,
    /// Times that an endpoint's breaker opened.
    pub(crate) breakers_opened: IntCounter,
    /// Doorbells that this process rang for the next owner of a partition.
    pub(crate) rung: IntCounter,
    /// Jobs that could not be decoded.
    pub(crate) strays: IntCounter,
}

pub(crate) const SETTLED: [&str; 4] = ["delivered", "exhausted", "gone", "disabled"];
pub(crate) const ATTEMPTS: [&str; 7] =
    ["delivered", "failed", "deferred", "ours", "exhausted", "gone", "disabled"];
const POST_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0];
const DELIVERY_SECONDS: [f64; 14] = [
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0, 3_600.0, 21_600.0, 86_400.0,
];

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let into = Into(registry);
        Ok(Self {
            attempts: into.counters(
                "switchhook_deliverer_attempts_total",
                "Attempts by what came of them.",
                "result",
                &ATTEMPTS,
            )?,
            attempt_seconds: into.seconds(
                "switchhook_deliverer_attempt_seconds",
                "Seconds that a POST took, until its answer was complete or its deadline had passed.",
                &POST_SECONDS,
            )?,
            settled: into.counters(
                "switchhook_deliverer_settled_total",
                "Deliveries by their final fate; those parked behind another are not counted.",
                "outcome",
                &SETTLED,
            )?,
            delivery_seconds: into.seconds(
                "switchhook_deliverer_delivery_seconds",
                "Seconds from the acceptance of a turn to the delivery of one of its messages.",
                &DELIVERY_SECONDS,
            )?,
            claims: into.counters("switchhook_deliverer_claims_total", "Claims by what the store said.", "result", &["won", "lost", "disabled"])?,
            unclaimed: into
                .counter("switchhook_deliverer_unclaimed_total", "First attempts that needed no claim.")?,
            missed: into.counter(
                "switchhook_deliverer_missed_total",
                "Outcomes that were not written, because another had taken the delivery on.",
            )?,
            put_off: into.counters(
                "switchhook_deliverer_put_off_total",
                "Deliveries put off because their endpoint could not be called at once.",
                "reason",
                &["breaker", "permits"],
            )?,
            asked: into.counter(
                "switchhook_deliverer_asked_total",
                "Times that the store was asked what else is due for an endpoint.",
            )?,
            in_flight: into.gauge("switchhook_deliverer_in_flight", "Attempts that run now.")?,
            waiting: into.gauge("switchhook_deliverer_waiting", "Conversations that wait for their endpoint.")?,
            timers: into.gauge("switchhook_deliverer_timers", "Retries that have a timer in this process.")?,
            breakers_open: into
                .gauge("switchhook_deliverer_breakers_open", "Endpoints whose breaker is open now.")?,
            breakers_opened: into
                .counter("switchhook_deliverer_breakers_opened_total", "Times that an endpoint's breaker opened.")?,
            rung: into.counter(
                "switchhook_deliverer_rung_total",
                "Doorbells that this process rang for the next owner of a partition.",
            )?,
            strays: into.counter("switchhook_deliverer_strays_total", "Jobs that could not be decoded.")?,
        })
    }
}

/// Names stand in full above, so that they can be searched for.
struct Into<'a>(&'a Registry);

impl Into<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        collector: C,
    ) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::with_opts(Opts::new(name, help))?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let counters = self.add(IntCounterVec::new(Opts::new(name, help), &[label])?)?;
        // What has not happened yet is shown as 0: its first time is then seen as an increase.
        for value in values {
            counters.with_label_values(&[value]);
        }
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::with_opts(Opts::new(name, help))?)
    }

    fn seconds(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::from(Opts::new(name, help)).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(opts)?)
    }
}

//! What a dispatcher counts and measures.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use shared::domain::outcome::Outcome;

/// Registered once per process. The names are in `docs/metrics.md`.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Turns by their final fate.
    pub(crate) outcomes: IntCounterVec,
    /// Seconds that a bot's run took.
    pub(crate) bot_seconds: Histogram,
    /// Seconds from a turn's id to the start of its run (two clocks: an indication).
    pub(crate) queue_seconds: Histogram,
    /// Seconds that a turn's commit took, its wait for a group included.
    pub(crate) commit_seconds: Histogram,
    /// Commits by what came of them.
    pub(crate) commits: IntCounterVec,
    /// Turns that were in the inbox already.
    pub(crate) duplicates: IntCounter,
    /// Runs of redelivered turns that were marked.
    pub(crate) marks: IntCounter,
    /// Runs that had the process to themselves after a death.
    pub(crate) solos: IntCounter,
    /// Jobs kept for an operator: not decodable, dead-lettered, or refused by the database.
    pub(crate) strays: IntCounter,
    /// Turns whose bot runs now.
    pub(crate) permits: IntGauge,
    /// Bots announced as saturated.
    pub(crate) saturated: IntGauge,
    /// Times that a bot's breaker opened.
    pub(crate) breakers_opened: IntCounter,
    /// Answers sent to waiting callers.
    pub(crate) replies: IntCounter,
    /// Messages on the broker that carried those answers.
    pub(crate) reply_batches: IntCounter,
    /// Turns that a fall-back was asked to answer, by what came of it.
    pub(crate) fallbacks: IntCounterVec,
    /// Turns that a shadow was to get, by how its answer compared.
    pub(crate) shadows: IntCounterVec,
    /// Runs of turns by a canary.
    pub(crate) canaries: IntCounter,
    /// Calls of bots that reply by calls, by what became of them.
    pub(crate) activities: IntCounterVec,
    /// Doorbells of fresh deliveries by what came of them; the sweep rings for those that failed.
    pub(crate) doorbells: IntCounterVec,
}

const COMMITS: [&str; 4] = ["committed", "missed", "unknown", "refused"];
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0];

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let into = Into(registry);
        Ok(Self {
            outcomes: into.counters("switchhook_dispatcher_turns_total", "Turns by their final fate.", "outcome", &Outcome::ALL.map(Outcome::as_str))?,
            bot_seconds: into.seconds("switchhook_dispatcher_bot_seconds", "Seconds that a bot's run took.")?,
            queue_seconds: into.seconds(
                "switchhook_dispatcher_queue_seconds",
                "Seconds from a turn's id to the start of its run (two clocks: an indication).",
            )?,
            commit_seconds: into.seconds(
                "switchhook_dispatcher_commit_seconds",
                "Seconds that a turn's commit took, its wait for a group included.",
            )?,
            commits: into.counters("switchhook_dispatcher_commits_total", "Commits by what came of them.", "result", &COMMITS)?,
            duplicates: into
                .counter("switchhook_dispatcher_duplicates_total", "Turns that were in the inbox already.")?,
            marks: into.counter("switchhook_dispatcher_marks_total", "Runs of redelivered turns that were marked.")?,
            solos: into.counter(
                "switchhook_dispatcher_solo_runs_total",
                "Runs that had the process to themselves after a death.",
            )?,
            strays: into.counter(
                "switchhook_dispatcher_strays_total",
                "Jobs kept for an operator: not decodable, dead-lettered, or refused by the database.",
            )?,
            permits: into.gauge("switchhook_dispatcher_permits_in_use", "Turns whose bot runs now.")?,
            saturated: into.gauge("switchhook_dispatcher_saturated_bots", "Bots announced as saturated.")?,
            breakers_opened: into
                .counter("switchhook_dispatcher_breakers_opened_total", "Times that a bot's breaker opened.")?,
            replies: into.counter("switchhook_dispatcher_replies_total", "Answers sent to waiting callers.")?,
            reply_batches: into.counter(
                "switchhook_dispatcher_reply_batches_total",
                "Messages on the broker that carried answers to waiting callers.",
            )?,
            fallbacks: into.counters(
                "switchhook_dispatcher_fallbacks_total",
                "Turns that a fall-back was asked to answer, by what came of it.",
                "result",
                &["answered", "failed"],
            )?,
            shadows: into.counters(
                "switchhook_dispatcher_shadows_total",
                "Turns that a shadow was to get, by how its answer compared.",
                "result",
                &["same", "different", "failed", "skipped"],
            )?,
            canaries: into.counter("switchhook_dispatcher_canary_runs_total", "Runs of turns by a canary.")?,
            activities: into.counters(
                "switchhook_dispatcher_activities_total",
                "Calls of bots that reply by calls, by what became of them; what is late came when its run was over.",
                "result",
                &["taken", "late", "dropped"],
            )?,
            doorbells: into.counters(
                "switchhook_dispatcher_doorbells_total",
                "Doorbells of fresh deliveries by what came of them; the sweep rings for those that failed.",
                "result",
                &["rung", "lost"],
            )?,
        })
    }
}

/// Names stand in full above, so that they can be searched for.
struct Into<'a>(&'a Registry);

impl Into<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }
    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
        // What has not happened yet is shown as 0: its first time is then seen as an increase.
        for value in values {
            counters.with_label_values(&[value]);
        }
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }
    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }
    fn seconds(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let histogram = Histogram::with_opts(opts)?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

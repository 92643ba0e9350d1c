//! What the connection to RabbitMQ counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::broker::PublishError;

/// The metrics of one process's connections to RabbitMQ.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Connections to the broker that were lost and had to be made again, by connection.
    reconnects: IntCounterVec,
    /// 1 while the broker has asked this process to stop publishing.
    pub blocked: IntGauge,
    /// Publishes of turns by how they ended: confirmed, full, unavailable or unknown.
    publishes: IntCounterVec,
    /// Turns that were found without a partition and published again.
    pub unrouted: IntCounter,
    /// Acknowledgements that came after their consumer had ended.
    pub stale_acks: IntCounter,
    /// Best-effort messages that were dropped, by kind.
    dropped: IntCounterVec,
}

/// What may be dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dropped {
    Doorbell,
    Reply,
    Announcement,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.reconnects.clone()))?;
        registry.register(Box::new(metrics.blocked.clone()))?;
        registry.register(Box::new(metrics.publishes.clone()))?;
        registry.register(Box::new(metrics.unrouted.clone()))?;
        registry.register(Box::new(metrics.stale_acks.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        Ok(metrics)
    }

    fn new() -> prometheus::Result<Self> {
        // What has not happened yet is shown as 0.
        let by = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            for value in values {
                counter.with_label_values(&[value]);
            }
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            reconnects: by(
                "switchhook_broker_reconnects_total",
                "Connections to the broker that were lost and had to be made again, by connection.",
                "connection",
                &["publish", "consume", "reply"],
            )?,
            blocked: IntGauge::new(
                "switchhook_broker_blocked",
                "1 while the broker has asked this process to stop publishing.",
            )?,
            publishes: by(
                "switchhook_broker_publishes_total",
                "Publishes of turns by how they ended: confirmed, full, unavailable or unknown.",
                "end",
                &["confirmed", "full", "unavailable", "unknown"],
            )?,
            unrouted: IntCounter::new(
                "switchhook_broker_unrouted_total",
                "Turns that were found without a partition and published again.",
            )?,
            stale_acks: IntCounter::new(
                "switchhook_broker_stale_acks_total",
                "Acknowledgements that came after their consumer had ended.",
            )?,
            dropped: by(
                "switchhook_broker_dropped_total",
                "Best-effort messages that were dropped, by kind.",
                "kind",
                &["doorbell", "reply", "announcement"],
            )?,
        })
    }

    pub(super) fn reconnected(&self, connection: &'static str) {
        self.reconnects.with_label_values(&[connection]).inc();
    }

    pub(super) fn published(&self, error: Option<&PublishError>) {
        let end = match error {
            None => "confirmed",
            Some(PublishError::Full) => "full",
            Some(PublishError::Unavailable(_)) => "unavailable",
            Some(PublishError::Unknown) => "unknown",
        };
        self.publishes.with_label_values(&[end]).inc();
    }

    pub(super) fn dropped(&self, kind: Dropped) {
        let kind = match kind {
            Dropped::Doorbell => "doorbell",
            Dropped::Reply => "reply",
            Dropped::Announcement => "announcement",
        };
        self.dropped.with_label_values(&[kind]).inc();
    }
}

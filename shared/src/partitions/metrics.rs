//! What the subscribers of one queue count. Two queues in one process differ by the label `queue`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::Ended;
use crate::broker::Job;
use crate::topology::{Partition, Queue};

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    /// Jobs that the broker gave.
    jobs: IntCounter,
    /// Jobs among them that may have been given to somebody before.
    redelivered: IntCounter,
    /// Subscriptions that ended, by how.
    ended: IntCounterVec,
    /// Lanes with work or with a memory of it, by partition.
    lanes: IntGaugeVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry, queue: Queue) -> Result<Self, prometheus::Error> {
        let opts =
            |name: &str, help: &str| Opts::new(name, help).const_label("queue", queue.as_str());
        let metrics = Self {
            jobs: IntCounter::with_opts(opts(
                "switchhook_lanes_jobs_total",
                "Jobs that the broker gave.",
            ))?,
            redelivered: IntCounter::with_opts(opts(
                "switchhook_lanes_redelivered_total",
                "Jobs that may have been given to somebody before.",
            ))?,
            ended: IntCounterVec::new(
                opts(
                    "switchhook_lanes_subscriptions_ended_total",
                    "Subscriptions to a partition that ended, by how.",
                ),
                &["reason"],
            )?,
            lanes: IntGaugeVec::new(
                opts(
                    "switchhook_lanes_active",
                    "Lanes with work or with a memory of it, by partition.",
                ),
                &["partition"],
            )?,
        };
        registry.register(Box::new(metrics.jobs.clone()))?;
        registry.register(Box::new(metrics.redelivered.clone()))?;
        registry.register(Box::new(metrics.ended.clone()))?;
        registry.register(Box::new(metrics.lanes.clone()))?;
        Ok(metrics)
    }

    pub(super) fn took(&self, job: &Job) {
        self.jobs.inc();
        if job.redelivered {
            self.redelivered.inc();
        }
    }

    pub(super) fn ended(&self, ended: &Ended) {
        self.ended.with_label_values(&[ended.as_str()]).inc();
    }

    pub(super) fn lanes(&self, partition: Partition) -> IntGauge {
        self.lanes.with_label_values(&[&partition.to_string()])
    }
}

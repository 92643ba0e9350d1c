//! What a process tells of its ground, whichever rooms it runs.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use crate::registry::cache::Cache;

/// The metrics of the ground.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// 1 while the broker takes jobs.
    pub broker_up: IntGauge,
    /// Rows removed because they had outlived their retention.
    pub cleaned_rows: IntCounter,
    /// Rounds of cleaning that failed.
    pub clean_failures: IntCounter,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &Registry, cache: &Cache) -> prometheus::Result<Self> {
        let metrics = Self {
            broker_up: IntGauge::new("switchhook_broker_up", "1 while the broker takes jobs.")?,
            cleaned_rows: IntCounter::new(
                "switchhook_cleaned_rows_total",
                "Rows removed because they had outlived their retention.",
            )?,
            clean_failures: IntCounter::new(
                "switchhook_clean_failures_total",
                "Rounds of cleaning that failed.",
            )?,
        };
        registry.register(Box::new(metrics.broker_up.clone()))?;
        registry.register(Box::new(metrics.cleaned_rows.clone()))?;
        registry.register(Box::new(metrics.clean_failures.clone()))?;
        registry.register(Box::new(RegistryCopy::new(cache.clone())?))?;
        let opts = Opts::new("switchhook_build_info", "Always 1; the label tells the version.");
        let build = IntGaugeVec::new(opts, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        Ok(metrics)
    }
}

/// What is known of the copy is read when it is asked for.
struct RegistryCopy {
    cache: Cache,
    age: Gauge,
    revision: IntGauge,
    unreadable: IntGauge,
}

impl RegistryCopy {
    fn new(cache: Cache) -> prometheus::Result<Self> {
        let age = Gauge::new(
            "switchhook_registry_age_seconds",
            "Age of this process's copy of the registry.",
        )?;
        let revision = IntGauge::new(
            "switchhook_registry_revision",
            "Changes of the registry that this process's copy has; every process shows the same, but for a moment.",
        )?;
        let unreadable = IntGauge::new(
            "switchhook_registry_unreadable_bots",
            "Bots whose settings this release cannot read; their channels refuse.",
        )?;
        Ok(Self { cache, age, revision, unreadable })
    }
}

impl Collector for RegistryCopy {
    fn desc(&self) -> Vec<&Desc> {
        [self.age.desc(), self.revision.desc(), self.unreadable.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.age.set(self.cache.age().as_secs_f64());
        let registry = self.cache.get();
        self.revision.set(registry.revision);
        self.unreadable.set(i64::try_from(registry.unreadable.len()).unwrap_or(i64::MAX));
        [self.age.collect(), self.revision.collect(), self.unreadable.collect()].concat()
    }
}

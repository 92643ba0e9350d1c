//! What ingress counts. A field's documentation is its help text; labels are closed sets.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
use shared::broker::PublishError;

const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0];

macro_rules! metrics {
    ($(#[doc = $of:literal])* $Name:ident { $(
        $(#[doc = $doc:literal])+ $field:ident: $T:ident = $name:literal $labels:tt,
    )+ }) => {
        $(#[doc = $of])*
        #[derive(Clone, Debug)]
        pub(crate) struct $Name { $( $(#[doc = $doc])+ pub $field: $T, )+ }

        impl $Name {
            /// Registers everything; fails when something of the same name is there.
            pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
                $(
                    let help = concat!($($doc),+).trim();
                    let $field: $T = Make::make($name, help, &$labels)?;
                    registry.register(Box::new($field.clone()))?;
                )+
                let metrics = Self { $($field),+ };
                metrics.begin();
                Ok(metrics)
            }
        }
    };
}

metrics! {
    /// The room's metrics.
    Metrics {
        /// Time from a request's head to its answer, by route and status class.
        request_seconds: HistogramVec = "switchhook_ingress_request_duration_seconds" ["route", "status"],
        /// Requests that did not get what they asked for, by reason.
        refusals: IntCounterVec = "switchhook_ingress_refusals_total" ["reason"],
        /// Tokens that proved nothing, by reason; callers see one 401 for all of them.
        auth_failures: IntCounterVec = "switchhook_ingress_auth_failures_total" ["reason"],
        /// Turns published, by what the broker said.
        publishes: IntCounterVec = "switchhook_ingress_publishes_total" ["outcome"],
        /// Time from handing a turn to the broker to its confirm.
        publish_seconds: Histogram = "switchhook_ingress_publish_duration_seconds" [],
        /// Turns that wait for a confirm or a reply now.
        in_flight: IntGauge = "switchhook_ingress_in_flight" [],
        /// Requests that wait for a reply now.
        waiters: IntGauge = "switchhook_ingress_waiters" [],
        /// Replies for which nobody waited any more; they can be polled.
        late_replies: IntCounter = "switchhook_ingress_late_replies_total" [],
        /// Replies that were read from the store because none had come on its own way.
        rescued_replies: IntCounter = "switchhook_ingress_rescued_replies_total" [],
        /// Open connections.
        connections: IntGauge = "switchhook_ingress_connections" [],
        /// Connections closed at once because their address had too many.
        connections_refused: IntCounter = "switchhook_ingress_connections_refused_total" [],
        /// Bots that are refused because a dispatcher announced them as saturated.
        saturated_bots: IntGauge = "switchhook_ingress_saturated_bots" [],
    }
}

impl Metrics {
    /// What has not happened yet is shown as 0: its first time is then seen as an increase.
    fn begin(&self) {
        for outcome in ["confirmed", "full", "unavailable", "unknown"] {
            self.publishes.with_label_values(&[outcome]);
        }
    }
}

/// The routes as labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Hook,
    Instance,
    Poll,
    Activity,
    Other,
}

impl Route {
    const ALL: [Self; 5] = [Self::Hook, Self::Instance, Self::Poll, Self::Activity, Self::Other];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Instance => "instance",
            Self::Poll => "poll",
            Self::Activity => "activity",
            Self::Other => "other",
        }
    }
}

/// Histograms found once, not by name for every request.
#[derive(Clone, Debug)]
pub(crate) struct Timings(Vec<[Histogram; 4]>);

impl Timings {
    const CLASSES: [&'static str; 4] = ["2xx", "3xx", "4xx", "5xx"];

    pub(crate) fn new(metrics: &Metrics) -> Self {
        let of = |route: Route| {
            Self::CLASSES
                .map(|class| metrics.request_seconds.with_label_values(&[route.as_str(), class]))
        };
        Self(Route::ALL.map(of).into())
    }

    pub(crate) fn observe(&self, route: Route, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        self.0[route as usize][class].observe(took.as_secs_f64());
    }
}

/// The label of a publish.
pub(crate) const fn outcome(result: Result<&(), &PublishError>) -> &'static str {
    match result {
        Ok(&()) => "confirmed",
        Err(PublishError::Full) => "full",
        Err(PublishError::Unavailable(_)) => "unavailable",
        Err(PublishError::Unknown) => "unknown",
    }
}

trait Make: Sized {
    fn make(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self>;
}
impl Make for IntGauge {
    fn make(name: &str, help: &str, _: &[&str]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }
}
impl Make for IntCounter {
    fn make(name: &str, help: &str, _: &[&str]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }
}
impl Make for IntCounterVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}
impl Make for Histogram {
    fn make(name: &str, help: &str, _: &[&str]) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))
    }
}
impl Make for HistogramVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)
    }
}

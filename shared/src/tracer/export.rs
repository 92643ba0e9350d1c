//! Sends spans to the collector, in batches. What it does not take is lost, and counted.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::otlp::{self, Resource};
use super::{Finished, Recorder, Tracer, threshold};
use crate::clock::Clock;
use crate::config;
use crate::config::value::{AllowedTarget, Value as _};
use crate::egress::{Client, Request};
use crate::entropy::Entropy;

/// Spans that wait to be sent; some five megabytes.
const WAITING_MAX: usize = 8_192;
/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long a batch that is not full waits for more.
const COMPANY: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(10);
/// Waits before a batch that was not taken is sent again; then it is lost.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long what still waits may take when the process ends.
const LAST: Duration = Duration::from_secs(2);
const RESPONSE_MAX: usize = 16 * 1024;
/// The wall clock is read again when it has moved this far from where it should be.
const DRIFT_MS: u64 = 50;

/// Why there is no tracing.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("tracing.endpoint: {0}")]
    Endpoint(String),
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Sends what tracers record, until it is told to finish.
#[derive(Debug)]
pub struct Exporter {
    task: JoinSet<()>,
    stop: CancellationToken,
}

/// Starts tracing as the settings say. Called inside a runtime.
pub fn start(
    settings: &config::Tracing,
    service: &'static str,
    metrics: &Registry,
) -> Result<(Tracer, Exporter), StartError> {
    let opts = Opts::new(
        "switchhook_tracing_spans_total",
        "Spans by what became of them: sent, refused by the collector or without an answer, or dropped because too many waited.",
    );
    let spans = IntCounterVec::new(opts, &["result"])?;
    let [sent, failed, dropped] =
        ["sent", "failed", "dropped"].map(|result| spans.with_label_values(&[result]));
    metrics.register(Box::new(spans))?;
    let (mut task, stop) = (JoinSet::new(), CancellationToken::new());
    let Some(endpoint) = &settings.endpoint else {
        return Ok((Tracer::off(), Exporter { task, stop }));
    };
    let (spans_tx, spans_rx) = mpsc::channel(WAITING_MAX);
    let process = Entropy::Real.uuid_v7(Clock::Real.unix_ms()).to_string();
    let sender = Sender {
        spans: spans_rx,
        client: client()?,
        url: traces(endpoint)?,
        resource: Resource { service, instance: process },
        anchor: Anchor::new(Clock::Real),
        sent,
        failed,
        well: true,
    };
    task.spawn(sender.run(stop.clone()));
    let threshold = threshold(settings.sample);
    let tracer = Tracer(Some(Recorder { spans: spans_tx, dropped, threshold }.into()));
    Ok((tracer, Exporter { task, stop }))
}

impl Exporter {
    /// Sends what still waits, as far as that is possible within two seconds.
    pub async fn finish(mut self) {
        self.stop.cancel();
        let ended = async { while self.task.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST, ended).await.is_err() {
            tracing::warn!("the last spans were not sent");
        }
    }
}

/// The operator's own collector may be anywhere.
fn client() -> Result<Client, StartError> {
    let wrong = |error: &dyn std::fmt::Display| StartError::Endpoint(error.to_string());
    let anywhere = ["0.0.0.0/0", "::/0"].map(AllowedTarget::parse);
    let allow = anywhere.into_iter().collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    Client::new(&config::Egress { allow, allow_http: true }, Vec::new())
        .map_err(|error| wrong(&error))
}

/// Where a collector takes traces (OTLP/HTTP §"request path").
fn traces(endpoint: &Url) -> Result<Url, StartError> {
    let base = endpoint.as_str().trim_end_matches('/');
    format!("{base}/v1/traces")
        .parse()
        .map_err(|error: url::ParseError| StartError::Endpoint(error.to_string()))
}

struct Sender {
    spans: mpsc::Receiver<Finished>,
    client: Client,
    url: Url,
    resource: Resource,
    anchor: Anchor,
    sent: prometheus::IntCounter,
    failed: prometheus::IntCounter,
    /// Whether the collector took the last batch.
    well: bool,
}

impl Sender {
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.fill(&mut batch, &stop).await {
            self.send(&batch, &stop).await;
            batch.clear();
        }
    }

    /// Waits for a batch: a full one, or what has come within a second. `false`: nothing will come any more.
    async fn fill(&mut self, batch: &mut Vec<Finished>, stop: &CancellationToken) -> bool {
        let filling = async {
            let first = self.spans.recv_many(batch, BATCH_MAX).await;
            let until = Instant::now() + COMPANY;
            while first > 0 && batch.len() < BATCH_MAX {
                let more = self.spans.recv_many(batch, BATCH_MAX - batch.len());
                if !matches!(tokio::time::timeout_at(until, more).await, Ok(1..)) {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = filling => return !batch.is_empty(),
        }
        // Only what is there already.
        self.spans.close();
        while batch.len() < BATCH_MAX
            && let Some(finished) = self.spans.recv().await
        {
            batch.push(finished);
        }
        !batch.is_empty()
    }

    async fn send(&mut self, batch: &[Finished], stop: &CancellationToken) {
        self.anchor.renew();
        let body = otlp::request(&self.resource, batch, |moment| self.anchor.unix_ns(moment));
        let body = Bytes::from(body);
        let mut why = self.post(&body).await;
        for wait in AGAIN {
            let again = async {
                tokio::time::sleep(wait).await;
                self.post(&body).await
            };
            if why.is_none() {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                ended = again => why = ended,
            }
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let counter = if why.is_none() { &self.sent } else { &self.failed };
        counter.inc_by(count);
        match &why {
            Some(error) if self.well => tracing::warn!(error, "the collector takes no spans"),
            None if !self.well => tracing::info!("the collector takes spans again"),
            Some(_) | None => {}
        }
        self.well = why.is_none();
    }

    /// `None`: the collector has taken it. Else why not.
    async fn post(&self, body: &Bytes) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: body.clone(),
            deadline: DEADLINE,
            response_max: RESPONSE_MAX,
        };
        match self.client.send(request).await {
            Ok(response) if response.status.is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status.as_u16())),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// A moment by both clocks: spans are timed by the monotonic one and told by the wall's.
struct Anchor {
    clock: Clock,
    moment: Instant,
    unix_ms: u64,
}

impl Anchor {
    fn new(clock: Clock) -> Self {
        let unix_ms = clock.unix_ms();
        Self { clock, moment: Instant::now(), unix_ms }
    }

    fn renew(&mut self) {
        let now = self.clock.unix_ms();
        let should_be = self.unix_ns(Instant::now()) / 1_000_000;
        if now.abs_diff(should_be) > DRIFT_MS {
            *self = Self::new(self.clock.clone());
        }
    }

    fn unix_ns(&self, moment: Instant) -> u64 {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let anchor = self.unix_ms.saturating_mul(1_000_000);
        let after = nanos(moment.saturating_duration_since(self.moment));
        let before = nanos(self.moment.saturating_duration_since(moment));
        anchor.saturating_add(after).saturating_sub(before)
    }
}

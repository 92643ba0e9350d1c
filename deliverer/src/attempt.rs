//! One attempt: the POST, what is said of it, and its outcome in the store.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, header};
use shared::broker::Broker;
use shared::domain::delivery::{Delivery, ParkReason};
use shared::domain::retry::Policy;
use shared::domain::trace::{Context, SpanId};
use shared::egress;
use shared::fault::{self, Defect, Point};
use shared::registry::Endpoint;
use shared::store::{AttemptRecord, Deliveries, Settlement, Turns, Verdict};
use shared::telemetry::OUTCOME;
use shared::tracer;
use tokio::time::Instant;

use crate::domain::judge::{Answer, judge};
use crate::domain::retry_after;
use crate::domain::target::{Moment, Unusable, headers};
use crate::gates::Pass;
use crate::memory::{Memory, Open};
use crate::room::Room;

/// The head of a response that the attempt log keeps.
const LOGGED_MAX: usize = 1_024;

/// What an attempt is made with.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) delivery: &'a Delivery,
    /// The attempt's number.
    pub(crate) number: u32,
    /// The attempt number that the row shows: one less for the POST that needs no claim.
    pub(crate) seen: u32,
    /// `None` when the channel has none, or is gone.
    pub(crate) endpoint: Option<&'a Endpoint>,
    /// Where the doorbell was in the turn's trace, when one came.
    pub(crate) trace: Option<Context>,
}

/// What was to be written of an attempt, and whether it was.
pub(crate) type Outcome = (Verdict, Settlement);

/// What came of a POST, before it is judged.
struct Posted {
    answer: Answer,
    status: u16,
    error: Option<&'static str>,
    body: Bytes,
}

impl Posted {
    fn ours(error: &'static str) -> Self {
        Self { answer: Answer::Ours, status: 0, error: Some(error), body: Bytes::new() }
    }
}

impl<B: Broker, S: Deliveries + Turns> Room<B, S> {
    /// Makes an attempt and writes its outcome. The pass ends with the POST; the outcome is written until
    /// it is known.
    pub(crate) async fn attempt(
        &self,
        memory: &mut Memory,
        attempt: Attempt<'_>,
        pass: Pass,
    ) -> Outcome {
        let Attempt { delivery, number, seen, endpoint, trace } = attempt;
        let (trace, mut span) = self.span(delivery, number, trace);
        let begun = Instant::now();
        fault::point(Point::DeliveryPosting);
        let posted = self.post(delivery, endpoint, trace).await;
        fault::point(Point::DeliveryPosted);
        let took = begun.elapsed();
        let default = Policy::default();
        let policy = endpoint.map_or(&default, |endpoint| &endpoint.retry);
        let verdict = judge(delivery, posted.answer, policy, self.entropy.chance());
        tell_health(pass, &verdict, delivery);
        if posted.answer != Answer::Ours {
            self.metrics.attempt_seconds.observe(took.as_secs_f64());
        }
        let record = AttemptRecord {
            attempt: number,
            status: posted.status,
            error: posted.error.map(str::to_owned),
            took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            response: posted.body.slice(..posted.body.len().min(LOGGED_MAX)),
        };
        tracing::info!(
            target: OUTCOME,
            outcome = word(&verdict), attempt = number, status = record.status, error = posted.error,
            took_ms = record.took_ms, delivery.id = %delivery.id, channel.id = %delivery.channel,
            trace.id = %trace.trace, "an attempt has ended"
        );
        tell(&mut span, &record, &verdict);
        drop(span);
        memory.open = Some(Open {
            place: delivery.place,
            seen,
            outcome: Some((Some(record.clone()), verdict.clone())),
        });
        let settlement = self.settle(delivery, seen, Some(record), &verdict).await;
        memory.open = None;
        (verdict, settlement)
    }

    /// The attempt's span: under the doorbell's for as long as that is known here. A retry goes back to the
    /// attempt before it, whoever made that.
    fn span(
        &self,
        delivery: &Delivery,
        number: u32,
        bell: Option<Context>,
    ) -> (Context, tracer::Span) {
        let turn = delivery.id.turn;
        let known = self.traces.of(turn, bell);
        let trace = known.unwrap_or_else(|| self.tracer.begin(Context::of_turn(turn)));
        let of = |number: u32| {
            let number = u64::from(delivery.id.index) << u32::BITS | u64::from(number);
            trace.with_span(SpanId::derived(trace.trace, turn.uuid(), number))
        };
        let parent = known.map(|known| known.span);
        let mut span = self.tracer.span("attempt", tracer::Kind::Client, of(number), parent);
        if number > 1 {
            span.link(of(number - 1));
        }
        span.text("switchhook.delivery.id", delivery.id);
        span.text("switchhook.channel.id", &delivery.channel);
        span.number("switchhook.attempt", number);
        (of(number), span)
    }

    /// Parks a delivery whose endpoint is disabled, without a POST.
    pub(crate) async fn park_disabled(&self, delivery: &Delivery) -> Outcome {
        let verdict = Verdict::Park(ParkReason::Disabled);
        let settlement = self.settle(delivery, delivery.attempt, None, &verdict).await;
        (verdict, settlement)
    }

    /// Writes an outcome until it is known whether it was.
    async fn settle(
        &self,
        delivery: &Delivery,
        seen: u32,
        record: Option<AttemptRecord>,
        verdict: &Verdict,
    ) -> Settlement {
        let write = || self.store.settle(delivery.place, seen, record.clone(), verdict.clone());
        let settlement = self.patiently(write).await;
        match &settlement {
            Settlement::Written { .. } => self.written(delivery, verdict).await,
            Settlement::Missed => {
                self.metrics.missed.inc();
                tracing::info!(delivery.id = %delivery.id, "another has taken a delivery on");
            }
        }
        settlement
    }

    async fn written(&self, delivery: &Delivery, verdict: &Verdict) {
        let channel = &delivery.channel;
        self.metrics.attempts.with_label_values(&[word(verdict)]).inc();
        self.channels.of(channel, |figures| figures.attempts.inc(word(verdict)));
        match verdict {
            Verdict::Delivered => {
                self.metrics.settled.with_label_values(&["delivered"]).inc();
                let accepted = delivery.id.turn.unix_ms();
                let took = Duration::from_millis(self.clock.unix_ms().saturating_sub(accepted));
                self.metrics.delivery_seconds.observe(took.as_secs_f64());
                self.channels.of(channel, |figures| figures.delivered(took));
            }
            Verdict::Park(reason) => {
                self.metrics.settled.with_label_values(&[reason.as_str()]).inc();
                self.channels.of(channel, |figures| figures.parked(reason.as_str()));
                tracing::warn!(
                    delivery.id = %delivery.id, channel.id = %delivery.channel, reason = %reason,
                    "a delivery is parked, and those behind it"
                );
                if *reason == ParkReason::Gone {
                    tracing::warn!(
                        channel.id = %delivery.channel,
                        "an endpoint answered 410 Gone and is disabled; an approval brings it back"
                    );
                    self.registry_changed().await;
                }
            }
            Verdict::Retry(_) | Verdict::Defer(_) | Verdict::Ours(_) => {}
        }
    }

    /// One POST. An address that is refused, or an endpoint that is not configured, is our own doing.
    async fn post(
        &self,
        delivery: &Delivery,
        endpoint: Option<&Endpoint>,
        trace: Context,
    ) -> Posted {
        let Some(endpoint) = endpoint else {
            return unusable(delivery, Unusable::NoEndpoint);
        };
        let traceparent = trace.to_string();
        let unix_secs = self.clock.unix_ms() / 1_000;
        let moment = Moment { unix_secs, traceparent: &traceparent };
        let mut headers = match headers(endpoint, delivery, moment) {
            Ok(headers) => headers,
            Err(why) => return unusable(delivery, why),
        };
        if fault::has(Defect::FreshWebhookId) {
            headers.insert("webhook-id", self.entropy.u64().into());
        }
        let request = egress::Request {
            method: Method::POST,
            url: endpoint.post_url.clone(),
            headers,
            body: delivery.body.clone(),
            deadline: endpoint.deadline,
            response_max: self.response_max,
        };
        match self.client.send(request).await {
            Ok(response) => self.answered(response),
            Err(error) => {
                let ours = matches!(error, egress::Error::Refused(_));
                if ours {
                    tracing::warn!(channel.id = %delivery.channel, %error, "an endpoint is not called");
                }
                let answer = if ours { Answer::Ours } else { Answer::None };
                Posted { answer, status: 0, error: Some(error.as_str()), body: Bytes::new() }
            }
        }
    }

    fn answered(&self, response: egress::Response) -> Posted {
        let status = response.status.as_u16();
        let asked = response.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|value| retry_after::parse(value, self.clock.unix_ms()));
        let answer = Answer::Status { status, retry_after };
        Posted { answer, status, error: None, body: response.body }
    }
}

fn unusable(delivery: &Delivery, why: Unusable) -> Posted {
    tracing::warn!(channel.id = %delivery.channel, reason = %why, "an endpoint cannot be called");
    Posted::ours(why.as_str())
}

/// What an attempt says of its endpoint's health. Our own faults say nothing, and neither does an
/// endpoint that says goodbye.
fn tell_health(pass: Pass, verdict: &Verdict, delivery: &Delivery) {
    let well = match verdict {
        Verdict::Delivered => true,
        Verdict::Retry(_) | Verdict::Defer(_) | Verdict::Park(ParkReason::Exhausted) => false,
        Verdict::Ours(_)
        | Verdict::Park(ParkReason::Gone | ParkReason::Behind | ParkReason::Disabled) => return,
    };
    if pass.ended(well) {
        tracing::warn!(
            channel.id = %delivery.channel,
            "an endpoint fails again and again: it is left alone for a while"
        );
    }
}

/// Ends an attempt's span.
fn tell(span: &mut tracer::Span, record: &AttemptRecord, verdict: &Verdict) {
    span.text("switchhook.outcome", word(verdict));
    if record.status != 0 {
        span.number("http.response.status_code", record.status);
    }
    if let Some(error) = &record.error {
        span.text("error.type", error);
    }
    if *verdict != Verdict::Delivered {
        span.fail();
    }
}

/// A closed set of words, for metrics and logs.
const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry(_) => "failed",
        Verdict::Defer(_) => "deferred",
        Verdict::Ours(_) => "ours",
        Verdict::Park(reason) => reason.as_str(),
    }
}

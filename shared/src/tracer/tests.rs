use serde_json::json;
use tokio::time::Duration;
use url::Url;
use uuid::Uuid;

use super::*;
use crate::config;
use crate::domain::ids::TurnId;

fn context(n: u128) -> Context {
    Context { sampled: true, ..Context::of_turn(TurnId::new(Uuid::from_u128(n))) }
}

fn settings(endpoint: &str, sample: f64) -> config::Tracing {
    config::Tracing {
        endpoint: (!endpoint.is_empty()).then(|| Url::parse(endpoint).unwrap()),
        sample,
    }
}

/// The counter's value.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
fn spans(metrics: &prometheus::Registry, result: &str) -> u64 {
    let families = metrics.gather();
    let of = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
    let mut of = of.filter(|metric| metric.get_label()[0].value() == result);
    of.next().unwrap().get_counter().get_value() as u64
}

#[test]
fn as_many_traces_are_recorded_as_the_share_says_and_everybody_chooses_the_same() {
    for (share, expected) in [(0.0, 0_usize), (0.25, 1_000), (1.0, 4_000)] {
        let (spans, _) = mpsc::channel(1);
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let threshold = threshold(share);
        let tracer = Tracer(Some(Recorder { spans, dropped, threshold }.into()));
        let entropy = crate::entropy::Entropy::seeded(5);
        let ids: Vec<_> =
            (0..4_000).map(|ms| TurnId::new(entropy.uuid_v7(1_700_000_000_000 + ms))).collect();
        let chosen = |tracer: &Tracer| -> Vec<bool> {
            ids.iter().map(|id| tracer.begin(Context::of_turn(*id)).sampled).collect()
        };
        let (first, second) = (chosen(&tracer), chosen(&tracer.clone()));
        assert_eq!(first, second);
        let count = first.iter().filter(|sampled| **sampled).count();
        assert!(count.abs_diff(expected) <= 150, "{count} of {expected}");
    }
    assert!(!Tracer::off().begin(context(1)).sampled);
}

#[test]
fn what_is_not_recorded_keeps_nothing_and_passes_its_parent_on() {
    let tracer = Tracer::off();
    let (passed, span) = tracer.child("x", Kind::Client, context(1), &Entropy::seeded(1));
    assert_eq!(passed, context(1));
    assert_eq!(format!("{span:?}"), "Span(none)");
}

#[test]
fn spans_are_told_in_the_words_of_otlp() {
    let parent = context(0xabc);
    let began = Instant::now();
    let finished = Finished {
        name: "attempt",
        kind: Kind::Client,
        context: parent.with_span(SpanId::new(7)),
        parent: Some(parent.span),
        link: Some(parent.with_span(SpanId::new(6))),
        began,
        ended: began + Duration::from_millis(2),
        attributes: vec![("a", Value::Text("b".into())), ("n", Value::Number(-5))],
        failed: true,
    };
    let resource = otlp::Resource { service: "deliverer", instance: "i".to_owned() };
    let told = otlp::request(&resource, &[finished], |moment| {
        1_000 + u64::try_from(moment.duration_since(began).as_nanos()).unwrap()
    });
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(
        told.pointer("/resourceSpans/0/scopeSpans/0/spans/0").unwrap(),
        &json!({
            "traceId": "00000000000000000000000000000abc", "spanId": "0000000000000007",
            "parentSpanId": "0000000000000001", "name": "attempt", "kind": 3,
            "startTimeUnixNano": "1000", "endTimeUnixNano": "2001000",
            "attributes": [{"key": "a", "value": {"stringValue": "b"}},
                           {"key": "n", "value": {"intValue": "-5"}}],
            "links": [{"traceId": "00000000000000000000000000000abc", "spanId": "0000000000000006"}],
            "status": {"code": 2},
        })
    );
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_bounded_queue_and_a_counter() {
    let metrics = prometheus::Registry::new();
    let (tracer, exporter) = start(&settings("http://127.0.0.1:1", 1.0), "test", &metrics).unwrap();
    // More than may wait, before the exporter is given a moment to run.
    for n in 0..20_000 {
        drop(tracer.span("x", Kind::Internal, context(n + 1), None));
    }
    assert!(spans(&metrics, "dropped") >= 10_000);
    exporter.finish().await;
    let [sent, failed, dropped] =
        ["sent", "failed", "dropped"].map(|result| spans(&metrics, result));
    assert_eq!((sent, failed + dropped), (0, 20_000));
    // Nobody takes spans any more: they are dropped, and nothing waits.
    drop(tracer.span("x", Kind::Internal, context(1), None));
    assert_eq!(spans(&metrics, "dropped"), dropped + 1);
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_recorded() {
    let metrics = prometheus::Registry::new();
    let (tracer, exporter) = start(&settings("", 1.0), "test", &metrics).unwrap();
    drop(tracer.span("x", Kind::Internal, context(1), None));
    exporter.finish().await;
    for result in ["sent", "failed", "dropped"] {
        assert_eq!(spans(&metrics, result), 0, "{result}");
    }
}

//! Spans as OTLP says them in JSON (OpenTelemetry protocol 1.x, `ExportTraceServiceRequest`): ids as hex,
//! 64-bit numbers as strings, enums as numbers. PURE.

use serde_json::{Value as Json, json};

use super::{Finished, Value};

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// Who sends spans.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// The room.
    pub(super) service: &'static str,
    /// This incarnation of the process.
    pub(super) instance: String,
}

/// One request of these spans. `unix_ns` tells the wall clock of a moment.
pub(super) fn request(
    resource: &Resource,
    spans: &[Finished],
    unix_ns: impl Fn(tokio::time::Instant) -> u64,
) -> Vec<u8> {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let spans: Vec<_> = spans.iter().map(|finished| span(finished, &unix_ns)).collect();
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.namespace", "switchhook"),
            text("service.name", &format!("switchhook-{}", resource.service)),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", &resource.instance),
        ]},
        "scopeSpans": [{"scope": {"name": "switchhook"}, "spans": spans}],
    }]});
    serde_json::to_vec(&body).expect("invariant: maps of strings are JSON")
}

fn span(finished: &Finished, unix_ns: impl Fn(tokio::time::Instant) -> u64) -> Json {
    let context = finished.context;
    let mut span = json!({
        "traceId": context.trace.to_string(),
        "spanId": context.span.to_string(),
        "name": finished.name,
        "kind": finished.kind as u8,
        "startTimeUnixNano": unix_ns(finished.began).to_string(),
        "endTimeUnixNano": unix_ns(finished.ended).to_string(),
        "attributes": finished.attributes.iter().map(attribute).collect::<Vec<_>>(),
    });
    if let Some(parent) = finished.parent {
        span["parentSpanId"] = json!(parent.to_string());
    }
    if let Some(link) = finished.link {
        let link = json!({"traceId": link.trace.to_string(), "spanId": link.span.to_string()});
        span["links"] = json!([link]);
    }
    if finished.failed {
        span["status"] = json!({"code": ERROR});
    }
    span
}

fn attribute((key, value): &(&'static str, Value)) -> Json {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": key, "value": value})
}

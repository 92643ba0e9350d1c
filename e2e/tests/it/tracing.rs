//! One trace from the client's `traceparent` to the last attempt, as OpenTelemetry's own types read it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use e2e::rig;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use testkit::system::{Process, Shape, System};
use tokio::task::JoinSet;

use crate::support::http::{Request, send};
use crate::support::mint::minimal;

const CLIENT: &str = "cs-00000000-0000-5000-8000-0000000000f1";
const BOT: &str = "st-00000000-0000-5000-8000-0000000000f1";
const ASYNCHRONOUS: &str = "ivrInst-00000000-0000-5000-8000-0000000000f2";
const SECRET: &str = "tracing-tests-only-never-a-real-secret-0123456789";
const PATIENCE: Duration = Duration::from_secs(90);
const CALLER: &str = "b7ad6b7169203331";

/// What the collector, the bot and the endpoint got.
#[derive(Default)]
struct Got {
    /// Spans with the service that sent them.
    spans: Vec<(String, Span)>,
    bot: Vec<HeaderMap>,
    posts: Vec<HeaderMap>,
    /// Fields that the protocol does not have.
    unknown: Vec<String>,
}

type Shared = Arc<Mutex<Got>>;

/// A collector, a bot, and an endpoint whose first answer of each turn is an error.
struct Outside {
    address: SocketAddr,
    got: Shared,
    _server: JoinSet<()>,
}

impl Outside {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Shared::default();
        let app = Router::new()
            .route("/v1/traces", post(collect))
            .route("/bot", post(bot))
            .route("/hook", post(hook))
            .with_state(Arc::clone(&got));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It ends with the set.
            let _ = axum::serve(listener, app).await;
        });
        Self { address, got, _server: server }
    }

    fn got<T>(&self, read: impl FnOnce(&Got) -> T) -> T {
        read(&self.got.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The spans of a trace, when there are so many of them.
    async fn trace(&self, system: &System, trace: &str, spans: usize) -> Vec<(String, Span)> {
        let of = |got: &Got| -> Vec<(String, Span)> {
            let own = got.spans.iter().filter(|(_, span)| hex(&span.trace_id) == trace);
            own.cloned().collect()
        };
        let what = format!("{spans} spans");
        let found = testkit::wait(&what, PATIENCE, || async {
            let found = self.got(of);
            if found.len() >= spans {
                return Ok(found);
            }
            let names: Vec<_> = found.iter().map(|(_, span)| span.name.as_str()).collect();
            Err(format!("{names:?}"))
        });
        let late = match found.await {
            Ok(found) => return found,
            Err(late) => late,
        };
        let mut logs: Vec<_> = system.processes().iter().map(Process::log).collect();
        for process in system.processes() {
            let metrics = process.admin("/metrics").await.unwrap().1;
            let counted = metrics.lines().filter(|line| line.contains("tracing_spans"));
            logs.extend(counted.map(str::to_owned));
        }
        panic!("{late}\n{}", logs.join("\n--\n"));
    }
}

async fn collect(State(got): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/json");
    let Ok((request, unknown)) = read(&body) else { return StatusCode::BAD_REQUEST };
    let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
    got.unknown.extend(unknown);
    for of_resource in request.resource_spans {
        let attributes = of_resource.resource.unwrap().attributes;
        let name = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
        let service = text(name.value.clone());
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            got.spans.push((service.clone(), span));
        }
    }
    StatusCode::OK
}

/// What OpenTelemetry's types read, and the fields that they read over.
fn read(body: &[u8]) -> serde_json::Result<(ExportTraceServiceRequest, Vec<String>)> {
    let request = serde_json::from_slice(body)?;
    let mut unknown = Vec::new();
    passed_over(&serde_json::from_slice(body)?, &serde_json::to_value(&request)?, "", &mut unknown);
    Ok((request, unknown))
}

fn passed_over(sent: &Value, known: &Value, path: &str, found: &mut Vec<String>) {
    match (sent, known) {
        (Value::Object(sent), Value::Object(known)) => {
            for (key, value) in sent {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(known) => passed_over(value, known, &path, found),
                    None => found.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(known)) => {
            for (sent, known) in sent.iter().zip(known) {
                passed_over(sent, known, path, found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_field_that_the_protocol_does_not_have_is_seen() {
    let span =
        json!({"spanId": "b7ad6b7169203331", "parentSpanID": "b7ad6b7169203331", "name": "turn"});
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
    let (request, unknown) = read(body.as_bytes()).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, "turn");
    assert_eq!(unknown, [".resourceSpans.scopeSpans.spans.parentSpanID"]);
}

async fn bot(State(got): State<Shared>, headers: HeaderMap) -> String {
    got.lock().unwrap_or_else(PoisonError::into_inner).bot.push(headers);
    json!({"messages": ["hello"]}).to_string()
}

async fn hook(State(got): State<Shared>, headers: HeaderMap) -> StatusCode {
    let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
    let again = got.posts.iter().any(|post| post["webhook-id"] == headers["webhook-id"]);
    got.posts.push(headers);
    if again { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn text(value: Option<opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    text(found.unwrap_or_else(|| panic!("no {key} in {span:?}")).value.clone())
}

fn registry(outside: SocketAddr) -> String {
    format!(
        r#"
[[apps]]
name = "app"
id = "{CLIENT}"
secret = "{SECRET}"

[[bots]]
name = "bot"
id = "{BOT}"
http = "http://{outside}/bot"

[[channels]]
name = "sync"
bot = "bot"
app = "app"
approve = true

[[channels]]
name = "async"
bot = "bot"
app = "app"
id = "{ASYNCHRONOUS}"
post_url = "http://{outside}/hook"
retry = "200ms,200ms,200ms"
approve = true
"#
    )
}

/// Says something, and returns the turn's id.
async fn say(system: &System, path: &str, traceparent: Option<&str>) -> String {
    let address = system.hosts()[0].trim_start_matches("http://").parse().unwrap();
    let body = json!({"message": {"text": "hi"}, "from": {"id": "ann"}}).to_string();
    let mut request = Request::post(path, body).bearer(&minimal(CLIENT, SECRET));
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent).header("tracestate", "vendor=secret");
    }
    let answer = send(address, &request.bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.header("switchhook-turn-id").unwrap().to_owned()
}

/// The one span of this name, and that its parent is the one of that name.
fn under<'s>(spans: &'s [(String, Span)], name: &str, parent: &str) -> &'s (String, Span) {
    let found: Vec<_> = spans.iter().filter(|(_, span)| span.name == name).collect();
    let [span] = found[..] else { panic!("{} spans of {name}", found.len()) };
    assert_eq!(hex(&span.1.parent_span_id), parent, "{name}");
    assert!(span.1.start_time_unix_nano <= span.1.end_time_unix_nano, "{name}");
    span
}

/// The paths of the synchronous and of the asynchronous channel.
fn paths() -> [String; 2] {
    let synchronous = format!("/chatbot/hooks/{BOT}");
    let asynchronous = format!("{synchronous}/hookInstance/{ASYNCHRONOUS}");
    [synchronous, asynchronous]
}

fn traceparent(trace: &str, sampled: bool) -> String {
    format!("00-{trace}-{CALLER}-0{}", u8::from(sampled))
}

/// A system, and the names of the services of its three rooms.
async fn one_trace_from_end_to_end(shape: Shape, services: [&str; 3]) {
    let outside = Outside::start().await;
    let endpoint = format!("http://{}/", outside.address);
    let settings = [("egress.allow", "127.0.0.0/8"), ("tracing.endpoint", endpoint.as_str())];
    let binary = rig::binary().unwrap();
    let system =
        System::start(&binary, shape, &registry(outside.address), &settings).await.unwrap();
    synchronous(&system, &outside, services).await;
    asynchronous(&system, &outside, services[2]).await;
    chosen(&system, &outside).await;
}

async fn synchronous(system: &System, outside: &Outside, services: [&str; 3]) {
    let [path, _] = paths();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let turn = say(system, &path, Some(&traceparent(trace, true))).await;
    let spans = outside.trace(system, trace, 5).await;
    let (service, accept) = under(&spans, "accept", CALLER);
    assert_eq!(service, services[0]);
    assert_eq!(attribute(accept, "switchhook.turn.id"), turn);
    let (_, publish) = under(&spans, "publish turn", &hex(&accept.span_id));
    let (service, run) = under(&spans, "turn", &hex(&publish.span_id));
    assert_eq!(service, services[1]);
    assert_eq!(attribute(run, "switchhook.outcome"), "answered");
    let (_, bot) = under(&spans, "bot", &hex(&run.span_id));
    under(&spans, "commit", &hex(&run.span_id));
    let headers = outside.got(|got| got.bot[0].clone());
    assert_eq!(headers["traceparent"], format!("00-{trace}-{}-01", hex(&bot.span_id)));
    assert!(!headers.contains_key("tracestate"));
}

/// The endpoint refuses the first attempt.
async fn asynchronous(system: &System, outside: &Outside, deliverer: &str) {
    let [_, path] = paths();
    let trace = "1af7651916cd43dd8448eb211c80319c";
    say(system, &path, Some(&traceparent(trace, true))).await;
    let spans = outside.trace(system, trace, 8).await;
    let (_, accept) = under(&spans, "accept", CALLER);
    let (_, publish) = under(&spans, "publish turn", &hex(&accept.span_id));
    let (_, run) = under(&spans, "turn", &hex(&publish.span_id));
    let (_, bell) = under(&spans, "publish delivery", &hex(&run.span_id));
    let attempts: BTreeMap<_, _> = spans
        .iter()
        .filter(|(_, span)| span.name == "attempt")
        .map(|(service, span)| (attribute(span, "switchhook.attempt"), (service, span)))
        .collect();
    let [(service, first), (_, second)] = [attempts["1"], attempts["2"]];
    assert_eq!(service, deliverer);
    for attempt in [first, second] {
        assert_eq!(hex(&attempt.parent_span_id), hex(&bell.span_id));
    }
    assert_eq!(attribute(first, "http.response.status_code"), "500");
    assert_eq!(first.status.as_ref().unwrap().code, 2);
    assert_eq!(attribute(second, "switchhook.outcome"), "delivered");
    assert!(first.links.is_empty());
    assert_eq!(second.links.len(), 1);
    assert_eq!(second.links[0].span_id, first.span_id, "a retry goes back to the first");
    assert_eq!(hex(&second.links[0].trace_id), trace);
    let told = outside.got(|got| -> Vec<_> {
        got.posts.iter().map(|post| post["traceparent"].to_str().unwrap().to_owned()).collect()
    });
    let of = |span: &Span| format!("00-{trace}-{}-01", hex(&span.span_id));
    assert_eq!(told, [of(first), of(second)]);
}

/// A client that brings no trace has one of the turn's id; one that does not want to be recorded is not.
async fn chosen(system: &System, outside: &Outside) {
    let [path, _] = paths();
    let turn = say(system, &path, None).await;
    let spans = outside.trace(system, &turn, 5).await;
    under(&spans, "accept", "");
    let silent = "2af7651916cd43dd8448eb211c80319c";
    say(system, &path, Some(&traceparent(silent, false))).await;
    let headers = outside.got(|got| got.bot.last().unwrap().clone());
    let told = headers["traceparent"].to_str().unwrap();
    assert!(told.starts_with(&format!("00-{silent}-")) && told.ends_with("-00"), "{told}");
    let after = say(system, &path, None).await;
    outside.trace(system, &after, 5).await;
    let heard = outside.got(|got| got.spans.iter().any(|(_, span)| hex(&span.trace_id) == silent));
    assert!(!heard, "it was not to be recorded");
    assert_eq!(outside.got(|got| got.unknown.clone()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_trace_goes_from_the_client_to_the_last_attempt_in_one_process() {
    one_trace_from_end_to_end(Shape::Whole, ["switchhook-up"; 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_trace_goes_from_the_client_to_the_last_attempt_through_rooms() {
    let amqp = testkit::rabbitmq::shared().await.unwrap().url();
    let postgres = testkit::postgres::shared().await.unwrap().create_database().await.unwrap();
    let shape = Shape::Rooms { amqp, postgres, ingresses: 1, dispatchers: 1, deliverers: 1 };
    let services = ["switchhook-ingress", "switchhook-dispatcher", "switchhook-deliverer"];
    one_trace_from_end_to_end(shape, services).await;
}

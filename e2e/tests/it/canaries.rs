//! What nobody may read in a log, a metric, an error or an export: words that stand for secrets and for what
//! people say are sent through a whole system by every way in, and looked for at every way out.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use e2e::rig;
use serde_json::json;
use testkit::system::{Process, Shape, System};
use tokio::task::JoinSet;

use crate::support::http::{Answer, Request, send};
use crate::support::mint::{HS256, signed};

const CLIENT: &str = "cs-00000000-0000-5000-8000-0000000000d1";
const BOT: &str = "st-00000000-0000-5000-8000-0000000000d1";
const SCRIPT_BOT: &str = "st-00000000-0000-5000-8000-0000000000d2";
const ASYNCHRONOUS: &str = "ivrInst-00000000-0000-5000-8000-0000000000d3";
const NOWHERE: &str = "ivrInst-00000000-0000-5000-8000-0000000000d4";
const SECRET: &str = "CANARY-client-secret-of-more-than-thirty-two-bytes";
/// The word as it is, and as it looks in the shapes that bytes are printed in.
const SHAPES: [&str; 5] =
    ["canary", "q0foqvjz", "43414e415259", "67, 65, 78, 65, 82, 89", "dgvzdc1vbmx5lw"];
const FINEST: &str = "debug,shared=trace,ingress=trace,dispatcher=trace,deliverer=trace,\
                      console=trace,switchhook=trace,script=trace";

/// The bot's server and the receiving endpoint. It answers as the message asks for.
struct Outside {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Outside {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/bot", post(bot))
            .route("/hook", post(|| async { (StatusCode::BAD_REQUEST, "CANARY-response") }));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It ends with the set.
            let _ = axum::serve(listener, app).await;
        });
        Self { address, _server: server }
    }
}

async fn bot(body: Bytes) -> axum::response::Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let answers = [
        ("fails", (StatusCode::BAD_REQUEST, r#""CANARY-bot-error""#.to_owned())),
        ("mistypes", (StatusCode::OK, r#"{"messages":"CANARY-mistyped"}"#.to_owned())),
        ("mumbles", (StatusCode::OK, "CANARY-no-json".to_owned())),
    ];
    let found = answers.into_iter().find(|(word, _)| body.contains(word));
    let well = json!({"messages": ["CANARY-answer"], "session": {"CANARY-key": "CANARY-kept"}});
    found.map_or((StatusCode::OK, well.to_string()), |(_, answer)| answer).into_response()
}

/// In JSON and in TOML it is written as it stands here.
const SCRIPT: &str = "print('CANARY-printed'); console.log('CANARY-logged', env.word); \
    if (context.message.text.includes('throws')) throw new Error('CANARY-thrown ' + context.message.text); \
    if (context.message.text.includes('spins')) for (;;) {}";

fn registry(outside: SocketAddr) -> String {
    format!(
        r#"
[[apps]]
name = "app"
id = "{CLIENT}"
secret = "{SECRET}"

[[bots]]
name = "http"
id = "{BOT}"
http = "http://{outside}/bot"
http_attempts = 1
authorization = "CANARY-authorization"
error_message = "sorry"

[[bots]]
name = "script"
id = "{SCRIPT_BOT}"
source = "{SCRIPT}"
env = {{ word = "CANARY-env" }}

[[channels]]
name = "sync"
bot = "http"
app = "app"
approve = true

[[channels]]
name = "async"
bot = "http"
app = "app"
id = "{ASYNCHRONOUS}"
post_url = "http://{outside}/hook?key=CANARY-in-url"
access_token = "CANARY-access-token"
signing_secret = "whsec_Q0FOQVJZLXNpZ25pbmctc2VjcmV0LTAxMjM0NTY3ODk="
retry = "100ms,100ms"
approve = true

[[channels]]
name = "nowhere"
bot = "http"
app = "app"
id = "{NOWHERE}"
post_url = "http://127.0.0.1:1/hook?key=CANARY-in-url"
access_token = "CANARY-access-token"
retry = "100ms"
approve = true

[[channels]]
name = "script"
bot = "script"
app = "app"
approve = true
"#
    )
}

fn message(text: &str) -> String {
    json!({
        "session": {"new": false},
        "message": {"text": format!("CANARY-said {text}"), "attachments": [{"url": "https://CANARY.example/"}]},
        "from": {"id": "CANARY-user@example.com", "userInfo": {
            "firstName": "CANARY-first", "lastName": "CANARY-last", "email": "CANARY@example.com"}},
        "customData": {"CANARY-custom-key": "CANARY-custom"},
        "metaTags": {"messageLevelTags": [{"name": "CANARY-tag", "value": "CANARY-value"}]},
    })
    .to_string()
}

/// What clients send, good and bad, and what they are told.
async fn talk(to: SocketAddr) -> Vec<Answer> {
    let claims = format!(r#"{{"appId":"{CLIENT}","sub":"CANARY-sub","jti":"CANARY-jti"}}"#);
    let token = signed(HS256, claims, SECRET);
    let short = format!("/chatbot/hooks/{BOT}");
    let script = format!("/chatbot/hooks/{SCRIPT_BOT}");
    let of = |instance: &str| format!("{short}/hookInstance/{instance}");
    let say = |path: &str, text: &str| {
        Request::post(path, message(text))
            .bearer(&token)
            .header("Idempotency-Key", format!("CANARY-{path}-{text}"))
    };
    let mut requests: Vec<_> =
        ["well", "fails", "mistypes", "mumbles"].map(|text| say(&short, text)).into();
    requests.extend(["well", "throws", "spins"].map(|text| say(&script, text)));
    requests.extend([ASYNCHRONOUS, NOWHERE].map(|instance| say(&of(instance), "well")));
    // Everything that is refused.
    let post = |path: &str, body: &str| Request::post(path, body);
    requests.extend([
        say(&short, "well").header("traceparent", "CANARY-traceparent"),
        Request::post(&short, message("another"))
            .bearer(&token)
            .header("Idempotency-Key", format!("CANARY-{short}-well")),
        post(&short, &message("x")).bearer("CANARY.token.bad"),
        post(&short, &message("x")).bearer(&signed(HS256, r#"{"appId":"CANARY"}"#, SECRET)),
        post(&short, &message("x")).bearer(&format!("{token}CANARY")),
        post(&format!("/chatbot/hooks/CANARY?CANARY={token}"), "{}").bearer(&token),
        post(&of("CANARY"), "{}").bearer(&token),
        post("/CANARY", "CANARY"),
        post(&short, r#"{"message":{"text":["CANARY"]},"from":{"id":"CANARY"}}"#).bearer(&token),
        post(&short, r#"{"CANARY":CANARY}"#).bearer(&token),
        post(&short, r#"{"message":{"text":"x"},"from":"CANARY"}"#).bearer(&token),
        Request::new("CANARY", &short).bearer(&token),
        Request::new("GET", &format!("/chatbot/v2/webhook/{BOT}/poll/CANARY")).bearer(&token),
        Request::new("GET", &format!("/chatbot/v2/webhook/{BOT}/poll/CANARY")).bearer("CANARY"),
    ]);
    let mut answers = Vec::new();
    for request in requests {
        answers.push(send(to, &request.bytes()).await.unwrap());
    }
    answers
}

/// Waits until every process together has logged something.
async fn until_logged(system: &System, words: &str) {
    let logged = |process: &Process| process.whole_log().contains(words);
    testkit::until(words, || async { system.processes().iter().any(logged) }).await;
}

/// A bot that is tried out on a share of the conversations is called by that word too.
const OURS: [&str; 2] = ["switchhook_dispatcher_canary_runs_total", "runs of turns by a canary."];

fn clean(what: &str, text: &str) {
    let small = OURS.iter().fold(text.to_lowercase(), |text, ours| text.replace(ours, ""));
    for shape in SHAPES {
        let Some(at) = small.find(shape) else { continue };
        let from = small.floor_char_boundary(at.saturating_sub(400));
        let to = small.floor_char_boundary((at + 200).min(small.len()));
        panic!("{what} tells what it must not ({shape}):\n…{}…", &small[from..to]);
    }
}

async fn nothing_leaks(shape: Shape) {
    let outside = Outside::start().await;
    let settings = [
        ("egress.allow", "127.0.0.0/8"),
        ("log.format", "json"),
        ("log.level", FINEST),
        ("script.jail", "best-effort"),
    ];
    let binary = rig::binary().unwrap();
    let system =
        System::start(&binary, shape, &registry(outside.address), &settings).await.unwrap();
    let address = system.hosts()[0].trim_start_matches("http://").parse().unwrap();
    let answers = talk(address).await;
    let count = |wanted| answers.iter().filter(|answer| answer.status == wanted).count();
    assert!(count(200) >= 9 && count(401) >= 4 && count(400) >= 4, "{answers:#?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        clean("a refusal", &format!("{answer:?}"));
    }
    // A positive control, and all that there was to tell has been told.
    for words in [
        "a turn is settled",
        "a bot's run failed",
        "a request was refused",
        "an attempt has ended",
        "a delivery is parked",
    ] {
        until_logged(&system, words).await;
    }
    for process in system.processes() {
        clean(&process.name(), &process.whole_log());
        clean("a metric", &process.admin("/metrics").await.unwrap().1);
        clean("readiness", &process.admin("/readyz").await.unwrap().1);
    }
    // Where answers go, and what a script says, is the operator's to read; nothing else of it is.
    for command in [&["bot", "export", "http"][..], &["channel", "list", "--json"], &["audit"]] {
        let told = system.run(command).await.unwrap();
        let told = told.replace("CANARY-in-url", "").replace(SCRIPT, "");
        clean("a command", &told);
    }
}

/// The positive control: what leaks would be seen.
#[test]
fn a_canary_is_found_in_every_shape() {
    for text in ["a CaNaRy", "x Q0FOQVJZ", "43414E4152594142", "[67, 65, 78, 65, 82, 89, 1]"] {
        assert!(std::panic::catch_unwind(|| clean("a line", text)).is_err(), "{text}");
    }
    clean("a line", "nothing of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_and_nothing_that_is_said_is_logged_counted_or_exported_in_one_process() {
    nothing_leaks(Shape::Whole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_and_nothing_that_is_said_is_logged_counted_or_exported_by_rooms() {
    let amqp = testkit::rabbitmq::shared().await.unwrap().url();
    let postgres = testkit::postgres::shared().await.unwrap().create_database().await.unwrap();
    let shape = Shape::Rooms { amqp, postgres, ingresses: 1, dispatchers: 1, deliverers: 1 };
    nothing_leaks(shape).await;
}

//! Bots that others have written, or that run on what others have written: botbuilder (npm, and `PyPI`, which
//! can only reply by calls), Microsoft's Botkit (npm), a Rasa action server and an OpenAI-compatible model (`PyPI`), a plain HTTP bot in
//! Python. One dialogue, one transcript.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use e2e::rig;
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::system::{Shape, System};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::clients::clients;
use crate::support::http::{Request, send};
use crate::support::mint::minimal;
use crate::support::receiver::Receiver;

pub(crate) const CLIENT_ID: &str = "cs-00000000-0000-5000-8000-00000000bee5";
pub(crate) const SECRET: &str = "peers-of-the-tests-only-never-a-real-secret-0123";

/// Bots that count, whoever has written them; the last two are models that were told what to say.
const COUNTING: [&str; 6] =
    ["counter.py", "actions.py", "activities.mjs", "activities.py", "botkit.mjs", "by calls"];
const MODELS: [&str; 2] = ["whole", "streaming"];

/// A peer at work, and its port.
pub(crate) struct Peer {
    _child: Child,
    pub(crate) port: u16,
}

pub(crate) async fn start(script: &str) -> Peer {
    let (prepared, scripts) = clients();
    let prepared = std::path::absolute(prepared).unwrap();
    let program = match script.split_once('.') {
        Some((_, "mjs")) => PathBuf::from("node"),
        Some(_) | None => prepared.join("python/bin/python"),
    };
    let mut command = Command::new(program);
    command.arg(scripts.join("peers").join(script)).env("SWITCHHOOK_TEST_CLIENTS", prepared);
    // The version of a peer that it compares itself with is nobody's here.
    command.env("PYTHONWARNINGS", "ignore").kill_on_drop(true).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("{script} has ended"));
    Peer { _child: child, port: port.parse().unwrap() }
}

/// An endpoint that tells a model a balance, and what it was asked.
async fn bank() -> (JoinSet<()>, String, Arc<Mutex<Value>>) {
    let asked = Arc::new(Mutex::new(Value::Null));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/balance", listener.local_addr().unwrap());
    let kept = Arc::clone(&asked);
    let answer = move |body: Bytes| async move {
        *kept.lock().await = serde_json::from_slice(&body).unwrap();
        r#"{"balance":31439}"#
    };
    let app = Router::new().route("/balance", axum::routing::post(answer));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (serving, url, asked)
}

fn bot_id(n: usize) -> String {
    format!("st-00000000-0000-5000-8000-00000000b0{n:02}")
}

fn instance_id(n: usize) -> String {
    format!("ivrInst-00000000-0000-5000-8000-00000000b0{n:02}")
}

/// The peers, and a system whose bots they are.
struct Stage {
    _peers: Vec<Peer>,
    _bank: JoinSet<()>,
    asked_of_bank: Arc<Mutex<Value>>,
    receiver: Receiver,
    system: System,
    names: Vec<String>,
}

impl Stage {
    async fn start() -> Self {
        let scripts = [
            "counter.py",
            "actions.py",
            "activities.mjs",
            "model.py",
            "activities.py",
            "botkit.mjs",
        ];
        let peers = join_all(scripts.map(start));
        let (peers, receiver, (bank, tool, asked_of_bank)) =
            tokio::join!(peers, Receiver::start(), bank());
        let url = |n: usize| format!("http://127.0.0.1:{}", peers[n].port);
        let model = |more: &str| {
            let url = url(3);
            format!(
                "connector = {{ kind = \"openai\", url = \"{url}/v1\", model = \"m\", {more} }}"
            )
        };
        let activities = |n: usize, more: &str| {
            let url = url(n);
            format!(
                "connector = {{ kind = \"bot-framework\", url = \"{url}/api/messages\"{more} }}"
            )
        };
        let tools = format!(
            "tools = [{{ name = \"balance\", description = \"Reads a balance.\", url = \"{tool}\" }}]"
        );
        let bots = [
            ("counter.py", format!("http = \"{}/\"", url(0))),
            (
                "actions.py",
                format!(
                    "connector = {{ kind = \"rasa-actions\", url = \"{}\", action = \"action_count\" }}",
                    url(1)
                ),
            ),
            ("activities.mjs", activities(2, "")),
            ("activities.py", activities(4, "")),
            ("botkit.mjs", activities(5, "")),
            ("by calls", activities(2, ", replies = \"normal\"")),
            ("whole", model("stream = false")),
            ("streaming", model("stream = true")),
            ("calling", model(&tools)),
        ];
        let mut registry =
            format!("[[apps]]\nname = \"app\"\nid = \"{CLIENT_ID}\"\nsecret = \"{SECRET}\"\n");
        for (n, (name, logic)) in bots.iter().enumerate() {
            let (bot, instance, post_url) = (bot_id(n), instance_id(n), receiver.url());
            let _ = write!(
                registry,
                "[[bots]]\nname = \"{name}\"\nid = \"{bot}\"\n{logic}\n\
                 [[channels]]\nname = \"sync\"\nbot = \"{bot}\"\napp = \"app\"\napprove = true\nescape_templates = false\n\
                 [[channels]]\nname = \"async\"\nbot = \"{bot}\"\napp = \"app\"\napprove = true\nid = \"{instance}\"\n\
                 post_url = \"{post_url}\"\n"
            );
        }
        let settings = [("egress.allow", "127.0.0.0/8")];
        let binary = rig::binary().unwrap();
        let system = System::start(&binary, Shape::Whole, &registry, &settings).await.unwrap();
        let names = bots.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { _peers: peers, _bank: bank, asked_of_bank, receiver, system, names }
    }

    fn number(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap()
    }

    async fn post(&self, path: &str, user: &str, text: &str) -> (u16, String) {
        let host = &self.system.hosts()[0];
        let address = host.strip_prefix("http://").unwrap().parse().unwrap();
        let body =
            json!({"message": {"text": text}, "from": {"id": user}, "customData": {"k": "v"}});
        let token = minimal(CLIENT_ID, SECRET);
        let request = Request::post(path, body.to_string()).bearer(&token);
        let answer = send(address, &request.bytes()).await.unwrap();
        (answer.status, answer.body)
    }

    /// Says something to a bot; what it answers, a template as an object.
    async fn ask(&self, name: &str, user: &str, text: &str) -> Value {
        let path = format!("/chatbot/hooks/{}", bot_id(self.number(name)));
        let (status, body) = self.post(&path, user, text).await;
        assert_eq!(status, 200, "{name}: {body}");
        let mut body: Value = serde_json::from_str(&body).unwrap();
        let said = body["text"].take();
        match said.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            Some(template @ Value::Object(_)) => template,
            Some(_) | None => said,
        }
    }

    async fn transcript(&self, name: &str, said: &[&str]) -> Vec<Value> {
        let mut transcript = Vec::new();
        for text in said {
            transcript.push(self.ask(name, "ann", text).await);
        }
        transcript
    }

    /// Twenty messages at once on the asynchronous channel; what was delivered, in order.
    async fn twenty(&self, name: &str) -> Vec<String> {
        let number = self.number(name);
        let path =
            format!("/chatbot/hooks/{}/hookInstance/{}", bot_id(number), instance_id(number));
        let user = format!("twenty-{number}");
        let texts: Vec<_> = (0..20).map(|n| format!("m{n}")).collect();
        let sent = texts.iter().map(|text| self.post(&path, &user, text));
        for (status, body) in join_all(sent).await {
            assert_eq!((status, body.as_str()), (200, ""), "{name}");
        }
        self.receiver.texts(&user, 20).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dialogue_has_one_transcript_over_every_peer() {
    let stage = Stage::start().await;
    let button = |title: &str, payload: &str| json!({"type": "postback", "title": title, "payload": payload});
    let menu = json!({"type": "template", "payload": {"template_type": "button", "text": "Colour?",
        "buttons": [button("Red", "red"), button("Blue", "blue")]}});
    let expected = [json!("1: hi"), json!("2: there"), menu, json!("4: red")];
    for name in COUNTING {
        let got = stage.transcript(name, &["hi", "there", "menu", "red"]).await;
        assert_eq!(got, expected, "{name}");
        // Another user begins anew.
        assert_eq!(stage.ask(name, "bob", "hi").await, "1: hi", "{name}");
    }
    // A model knows its turn by the history that it is told; its peer tells conversations by their first
    // message, so each has its own.
    for (name, first) in MODELS.into_iter().zip(["hi", "hi, again"]) {
        let got = stage.transcript(name, &[first, "there", "bye"]).await;
        assert_eq!(got, [json!("1: hi"), json!("2: there"), json!("3: bye")], "{name}");
    }
    assert_eq!(stage.ask("calling", "ann", "How much have I?").await, "You have 31439.");
    let asked = stage.asked_of_bank.lock().await.clone();
    assert_eq!(asked["arguments"]["account"], "1");
    assert_eq!((&asked["user"]["id"], &asked["customData"]["k"]), (&json!("ann"), &json!("v")));
    // Too much at once is tried again, and then the user is told kindly.
    let sorry = stage.ask("whole", "eve", "too much").await;
    assert_eq!(sorry, "Something went wrong. Please try again later.");

    for name in COUNTING {
        let texts = stage.twenty(name).await;
        let (counts, said): (Vec<_>, Vec<_>) =
            texts.iter().map(|text| text.split_once(": ").unwrap()).unzip();
        let expected: Vec<_> = (1..=20).map(|n| n.to_string()).collect();
        assert_eq!(counts, expected, "{name}");
        let mut said: Vec<_> = said.iter().map(|text| text[1..].parse::<u8>().unwrap()).collect();
        said.sort_unstable();
        assert_eq!(said, (0..20).collect::<Vec<_>>(), "{name}");
    }
}

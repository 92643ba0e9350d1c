//! The admin API by its own document: a program that knows nothing but OpenAPI makes requests of it, good
//! ones and bad ones, and holds the answers against what it says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::rig;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::system::{Shape, System};
use tokio::process::Command;

use crate::clients::clients;
use crate::support::mint::minimal;
use crate::support::receiver::Receiver;

const MOST: Duration = Duration::from_mins(6);
const CLIENT: &str = "cs-00000000-0000-5000-8000-0000000000a1";
const BOT: &str = "st-00000000-0000-5000-8000-0000000000a1";
const CHANNEL: &str = "ivrInst-00000000-0000-5000-8000-0000000000a1";
/// In no path of the requests: what was said on it stays.
const HOOK: &str = "ivrInst-00000000-0000-5000-8000-0000000000a2";

fn registry(post_url: &str) -> String {
    let channel = |name: &str, id: &str| {
        format!(
            "[[channels]]\nname = \"{name}\"\nbot = \"bot\"\napp = \"app\"\nid = \"{id}\"\n\
             approve = true\n"
        )
    };
    [
        format!("[[apps]]\nname = \"app\"\nid = \"{CLIENT}\"\nsecret = \"{}\"\n", rig::SECRET),
        format!("[[bots]]\nname = \"bot\"\nid = \"{BOT}\"\n"),
        channel("web", CHANNEL),
        channel("hook", HOOK),
        format!("post_url = \"{post_url}\"\n"),
    ]
    .concat()
}

/// The API, as an operator asks it.
struct Api {
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Api {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let mut request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// One thing of each kind whose id is made: a turn whose message was delivered, a replay, a request, a
    /// placeholder and a token. What stands for them in paths.
    async fn furnish(&self, system: &System, receiver: &Receiver) -> Vec<(&'static str, String)> {
        let url = format!("{}/chatbot/hooks/{BOT}/hookInstance/{HOOK}", system.hosts()[0]);
        let said = json!({"message": {"text": "hello"}, "from": {"id": "ann"}}).to_string();
        let said = self.http.post(url).bearer_auth(minimal(CLIENT, rig::SECRET)).body(said);
        let said = said.header("content-type", "application/json").send().await.unwrap();
        assert_eq!(said.status(), 200);
        assert_eq!(receiver.texts("ann", 1).await, ["hello"]);
        let settled = || async {
            let path = format!("/deliveries?state=delivered&channel={HOOK}");
            let page = self.ask(Method::GET, &path, None).await;
            page["items"][0]["turn_id"].as_str().map(str::to_owned)
        };
        let turn = testkit::until("the delivery is settled", settled).await;
        let resend = format!("/turns/{turn}/deliveries/0/resend");
        let replay = self.ask(Method::POST, &resend, None).await;
        let ask = Some(json!({"channels": ["web", "hook"]}));
        let request = self.ask(Method::POST, "/bots/bot/publish-requests", ask).await;
        let document = self.ask(Method::GET, "/bots/bot/export", None).await;
        let imported = self.ask(Method::POST, "/bots/import?name=twin", Some(document)).await;
        let token = Some(json!({"name": "spare", "scopes": ["read"]}));
        let token = self.ask(Method::POST, "/tokens", token).await;
        let id = |of: &Value, word: &str| of[word].as_str().unwrap().to_owned();
        vec![
            ("turn", turn),
            ("message", "0".to_owned()),
            ("replay", id(&replay, "replay_id")),
            ("request", id(&request, "request_id")),
            ("placeholder", id(&imported["placeholders"][0], "placeholder_id")),
            ("token", id(&token, "token_id")),
        ]
    }

    async fn count(&self, path: &str) -> usize {
        self.ask(Method::GET, path, None).await["items"].as_array().unwrap().len()
    }
}

/// The configuration, with these ids in it.
fn configuration(scripts: &Path, folder: &Path, made: &[(&str, String)]) -> PathBuf {
    let text = std::fs::read_to_string(scripts.join("schemathesis.toml")).unwrap();
    let words: Vec<_> =
        made.iter().map(|(word, id)| format!("\"path.{word}\" = \"{id}\"\n")).collect();
    let start = "[parameters]\n";
    assert!(text.contains(start), "{text}");
    let path = folder.join("schemathesis.toml");
    std::fs::write(&path, text.replace(start, &[start, &words.concat()].concat())).unwrap();
    path
}

/// How many operations a served document has, without that which serves it.
async fn operations(url: &str) -> usize {
    let document = reqwest::get(url).await.unwrap().text().await.unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let all: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
    all - 1
}

/// Left out: that every request which fits the schema is taken (names that are taken and states that do not
/// allow it are no matter of schemas), and that a missing `If-Match` is told otherwise than by 428 (RFC 6585).
async fn schemathesis(
    prepared: &Path,
    configuration: &Path,
    url: &str,
    token: &str,
) -> (bool, String) {
    let output = Command::new(prepared.join("python/bin/schemathesis"))
        .arg("--config-file")
        .arg(configuration)
        .args(["run", url, "-H"])
        .arg(format!("Authorization: Bearer {token}"))
        // What stands in paths is given, so that no request leads to another.
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--exclude-checks", "positive_data_acceptance,missing_required_header"])
        .args(["--max-examples", "8", "--seed", "1", "--request-timeout", "30", "--no-color"])
        // It keeps what it has seen where it runs.
        .current_dir(configuration.parent().unwrap())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(MOST, output).await.unwrap().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_does_what_its_document_says_and_nothing_else() {
    let (prepared, scripts) = clients();
    let listen = format!("127.0.0.1:{}", testkit::free_port());
    let settings = [("console.listen", listen.as_str()), ("egress.allow", "127.0.0.0/8")];
    let binary = rig::binary().unwrap();
    let receiver = Receiver::start().await;
    let registry = registry(&receiver.url());
    let system = System::start(&binary, Shape::Whole, &registry, &settings).await.unwrap();
    for (name, role) in [("ann", "admin"), ("bob", "developer")] {
        system.run(&["operator", "add", "--name", name, "--role", role]).await.unwrap();
    }
    let scopes = "read,configure,approve,operate,administer";
    let token =
        ["api-token", "add", "--name", "st", "--operator", "ann", "--scopes", scopes, "--json"];
    let token: Value = serde_json::from_str(&system.run(&token).await.unwrap()).unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let api = Api { url: format!("http://{listen}/api/admin/v1"), token, http };
    let made = api.furnish(&system, &receiver).await;
    let replays = api.count("/replays?limit=200").await;
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(&scripts, folder.path(), &made);
    let url = format!("{}/openapi.json", api.url);
    let (passed, report) = schemathesis(&prepared, &configuration, &url, &api.token).await;
    assert!(passed, "{report}");
    let tested = format!("Tested: {}", operations(&url).await);
    assert!(report.contains(&tested), "{tested} was expected:\n{report}");
    // What it was told to look at was there, and was sent again, decided and removed by its requests.
    assert!(api.count("/replays?limit=200").await > replays, "{report}");
    assert!(api.count("/publish-requests?state=decided").await > 0, "{report}");
    let spare = &made[5].1;
    assert!(!system.run(&["api-token", "list", "--json"]).await.unwrap().contains(spare));
    let found = system.run(&["channel", "list", "--json"]).await.unwrap();
    // Its requests may remove what they name, and nothing beside it.
    assert!(found.contains(HOOK), "{found}");
}

//! The admin API by its own document: a program that knows nothing but OpenAPI makes requests of it, good
//! ones and bad ones, and holds the answers against what it says.

use std::path::Path;
use std::time::Duration;

use e2e::rig;
use serde_json::Value;
use testkit::system::{Shape, System};
use tokio::process::Command;

use crate::clients::clients;

const MOST: Duration = Duration::from_mins(6);
const CHANNEL: &str = "ivrInst-00000000-0000-5000-8000-0000000000a1";

fn registry() -> String {
    format!(
        "[[apps]]\nname = \"app\"\nsecret = \"{}\"\n[[bots]]\nname = \"bot\"\n\
         [[channels]]\nname = \"web\"\nbot = \"bot\"\napp = \"app\"\nid = \"{CHANNEL}\"\napprove = true\n",
        rig::SECRET
    )
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
async fn schemathesis(prepared: &Path, scripts: &Path, url: &str, token: &str) -> (bool, String) {
    let output = Command::new(prepared.join("python/bin/schemathesis"))
        .arg("--config-file")
        .arg(scripts.join("schemathesis.toml"))
        .args(["run", url, "-H"])
        .arg(format!("Authorization: Bearer {token}"))
        // What stands in paths is given, so that no request leads to another.
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--exclude-checks", "positive_data_acceptance,missing_required_header"])
        .args(["--max-examples", "8", "--seed", "1", "--request-timeout", "30", "--no-color"])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(MOST, output).await.unwrap().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_does_what_its_document_says_and_nothing_else() {
    let (prepared, scripts) = clients();
    let listen = format!("127.0.0.1:{}", testkit::free_port());
    let settings = [("console.listen", listen.as_str())];
    let binary = rig::binary().unwrap();
    let system = System::start(&binary, Shape::Whole, &registry(), &settings).await.unwrap();
    system.run(&["operator", "add", "--name", "ann", "--role", "admin"]).await.unwrap();
    let scopes = "read,configure,approve,operate,administer";
    let token =
        ["api-token", "add", "--name", "st", "--operator", "ann", "--scopes", scopes, "--json"];
    let token: Value = serde_json::from_str(&system.run(&token).await.unwrap()).unwrap();
    let url = format!("http://{listen}/api/admin/v1/openapi.json");
    let (passed, report) =
        schemathesis(&prepared, &scripts, &url, token["token"].as_str().unwrap()).await;
    assert!(passed, "{report}");
    let tested = format!("Tested: {}", operations(&url).await);
    assert!(report.contains(&tested), "{tested} was expected:\n{report}");
    // What it was told to look at was there.
    let found = system.run(&["channel", "list", "--json"]).await.unwrap();
    assert!(found.contains(CHANNEL), "{found}");
}

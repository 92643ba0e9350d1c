//! The console in a real Chromium: the life of a channel from the first admin's link to a message that is
//! answered, every page at three widths, light and dark. What the browser does stands in `console/browser`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use e2e::rig;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const START_MAX: Duration = Duration::from_mins(1);
const BROWSER_MAX: Duration = Duration::from_mins(10);

/// `up` with its pages, on ports of its own.
struct Up {
    _child: Child,
    _folder: tempfile::TempDir,
    lines: Lines<BufReader<ChildStdout>>,
    ingress: String,
    link: String,
}

/// What a line has behind a word, up to the next blank.
fn after(line: &str, word: &str) -> Option<String> {
    let rest = line.split(word).nth(1)?;
    rest.split_whitespace().next().map(str::to_owned)
}

async fn up() -> Up {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(rig::binary().unwrap());
    command.arg("up").env_clear().env("SWITCHHOOK_ENGINES_DATA", folder.path().join("data"));
    for room in ["CONSOLE", "INGRESS", "ADMIN"] {
        command.env(format!("SWITCHHOOK_{room}_LISTEN"), "127.0.0.1:0");
    }
    // Receivers of this test are on this machine.
    command.env("SWITCHHOOK_EGRESS_ALLOW", "127.0.0.0/8").env("SWITCHHOOK_LOG_LEVEL", "warn");
    command.stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut ingress, mut link) = (None, None);
    let reading = async {
        while ingress.is_none() || link.is_none() {
            let said = lines.next_line().await.unwrap().expect("it says where it is");
            ingress = ingress.take().or_else(|| after(&said, "listens on "));
            link = link.take().or_else(|| after(&said, "within a day: "));
        }
    };
    timeout(START_MAX, reading).await.expect("it is up in a minute");
    Up { _child: child, _folder: folder, lines, ingress: ingress.unwrap(), link: link.unwrap() }
}

#[expect(clippy::disallowed_methods, reason = "the test's own setting, not the product's")]
fn prepared() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let said = std::env::var_os("SWITCHHOOK_TEST_BROWSER").map(PathBuf::from);
    let prepared = said.unwrap_or_else(|| root.join("target/test-browser"));
    let there = prepared.join("node_modules/playwright-core").exists();
    assert!(there, "run ./test: it prepares {}", prepared.display());
    std::path::absolute(prepared).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_live_their_lives_in_a_browser_and_every_page_is_fit_to_be_seen() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut up = up().await;
    let base = up.link.split("/welcome").next().unwrap();
    let mut node = Command::new("node");
    node.arg(root.join("console/browser/run.mjs")).args([base, &up.ingress, &up.link]);
    node.arg(root.join("target/screens")).env("SWITCHHOOK_TEST_BROWSER", prepared());
    // Whatever else it prints has somewhere to go.
    let draining = async { while let Ok(Some(_)) = up.lines.next_line().await {} };
    let running = node.kill_on_drop(true).output();
    let output = tokio::select! {
        output = timeout(BROWSER_MAX, running) => output.expect("in time").unwrap(),
        () = draining => panic!("the product has ended"),
    };
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("\"wrongs\":0"), "{said}");
}

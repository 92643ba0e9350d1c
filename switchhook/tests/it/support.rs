//! Runs the binary: a command to its end, or `up` until it is told to stop.

use std::fs::File;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// For waiting until something has happened; nothing takes this long but on a machine in trouble.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A command of the binary with nothing of this process's environment but the path.
pub(crate) fn switchhook(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook"));
    command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.stdin(Stdio::null());
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A data folder of a test's own.
pub(crate) struct Data {
    folder: TempDir,
    settings: Vec<(String, String)>,
}

impl Data {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("switchhook-cli-").tempdir().unwrap();
        Self { folder, settings: Vec::new() }
    }

    /// Gives every command this setting in its environment.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("SWITCHHOOK_{}", key.replace('.', "_").to_uppercase());
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The data folder itself; it need not exist yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// A command on this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = switchhook(arguments);
        command.arg("--data").arg(self.path()).current_dir(self.folder.path());
        command.envs(self.settings.iter().cloned());
        command
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    /// As [`Data::run`] with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs a command that must fail, and returns its exit code and what it said.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} succeeded: {}", stdout(&output));
        (output.status.code().unwrap(), stderr(&output))
    }

    /// Starts `up` on ports that the system chooses.
    pub(crate) fn start(&self, arguments: &[&str]) -> Up {
        let (out, err) = (self.folder.path().join("out"), self.folder.path().join("err"));
        let ports = ["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let child = self
            .command(&[&ports, arguments].concat())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Up { child, out, err, host: String::new(), admin: String::new() }
    }

    /// Starts `up` and waits until it is ready.
    pub(crate) async fn up(&self, arguments: &[&str]) -> Up {
        let mut up = self.start(arguments);
        up.ready().await;
        up
    }

    pub(crate) fn demo(&self) -> Value {
        read_json(&self.path().join("demo.json")).unwrap()
    }
}

pub(crate) fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// A running `up`; killed when dropped.
pub(crate) struct Up {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    /// Where it listens, without a slash at its end.
    pub(crate) host: String,
    pub(crate) admin: String,
}

impl Up {
    /// Waits until it says where it listens and that it is ready.
    async fn ready(&mut self) {
        let line = testkit::until("the line that tells the addresses", || {
            assert!(self.child.try_wait().unwrap().is_none(), "up has ended: {}", self.log());
            let printed = self.printed();
            let mut lines = printed.lines();
            ready(lines.find(|line| line.starts_with("Switchhook listens on ")).map(str::to_owned))
        });
        let line = line.await;
        let mut urls = line.split([' ', ')']).filter(|word| word.starts_with("http://"));
        urls.next().unwrap().clone_into(&mut self.host);
        urls.next().unwrap().clone_into(&mut self.admin);
        let ready = format!("{}/readyz", self.admin);
        testkit::until("readiness", || async { http("GET", &ready, &[], "").await.status == 200 })
            .await;
    }

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let status =
            testkit::until("the end of up", || ready(self.child.try_wait().unwrap())).await;
        status.code()
    }

    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.ended().await
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 when there was none.
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One request by `curl`, a client that is not ours.
pub(crate) async fn http(method: &str, url: &str, headers: &[String], body: &str) -> Answer {
    let mut command = tokio::process::Command::new("curl");
    command.args(["-sS", "-m", "30", "-X", method, "-w", "\n%{http_code}", url]);
    for header in headers {
        command.args(["-H", header]);
    }
    if !body.is_empty() {
        command.args(["-d", body]);
    }
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
    Answer { status: status.parse().unwrap_or(0), body: body.to_owned() }
}

/// A message to a channel.
pub(crate) async fn say(url: &str, token: &str, user: &str, text: &str) -> Answer {
    let body = serde_json::json!({
        "session": {"new": false}, "message": {"text": text}, "from": {"id": user},
    });
    let headers =
        [format!("Authorization: bearer {token}"), "Content-Type: application/json".to_owned()];
    http("POST", url, &headers, &body.to_string()).await
}

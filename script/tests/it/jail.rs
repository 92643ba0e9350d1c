//! The jail holds whatever runs in it: here a stand-in for an engine that an attacker has taken over. It
//! runs native code after [`script::jail::enter`] and tries everything.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};

/// Set in the process that plays the engine.
const PLAYS: &str = "SWITCHHOOK_TEST_MALICIOUS_ENGINE";

/// What it tries, each true when it succeeded. The first is allowed, to show that the list can tell.
fn tries(port: u16, parent: i32) -> Vec<(&'static str, bool)> {
    let pid = Pid::from_raw(parent);
    let mut out = std::io::stdout();
    vec![
        ("allowed: say something on the pipe", out.write_all(b"").is_ok()),
        ("connect by TCP", TcpStream::connect(("127.0.0.1", port)).is_ok()),
        ("listen by TCP", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("open a UDP socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("open a Unix socket", UnixStream::pair().is_ok()),
        ("listen on a Unix socket", UnixListener::bind("/tmp/switchhook-jail-test").is_ok()),
        ("read a file", fs::read("/etc/passwd").is_ok()),
        ("read its own environment", fs::read("/proc/self/environ").is_ok()),
        ("read another process", fs::read(format!("/proc/{parent}/status")).is_ok()),
        ("read another's memory", fs::File::open(format!("/proc/{parent}/mem")).is_ok()),
        ("list a folder", fs::read_dir("/").is_ok()),
        ("look at a file", fs::metadata("/etc/passwd").is_ok()),
        ("write a file", fs::write("/tmp/switchhook-jail-test", "x").is_ok()),
        ("make a folder", fs::create_dir("/tmp/switchhook-jail-folder").is_ok()),
        ("remove a file", fs::remove_file("/tmp/switchhook-jail-target").is_ok()),
        ("rename a file", fs::rename("/tmp/switchhook-jail-target", "/tmp/moved").is_ok()),
        ("change its folder", std::env::set_current_dir("/").is_ok()),
        ("run a program", Command::new("/bin/true").stdin(Stdio::null()).spawn().is_ok()),
        ("start a thread", std::thread::Builder::new().spawn(|| {}).is_ok()),
        (
            "signal its parent",
            pid.is_some_and(|pid| rustix::process::kill_process(pid, Signal::CONT).is_ok()),
        ),
        (
            "probe another process",
            pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
        ),
        ("raise a limit", {
            let limit = rustix::process::Rlimit { current: None, maximum: None };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).is_ok()
        }),
        ("become dumpable", {
            use rustix::process::DumpableBehavior::Dumpable;
            rustix::process::set_dumpable_behavior(Dumpable).is_ok()
        }),
    ]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test starts itself as another process")]
fn an_engine_that_was_taken_over_can_neither_connect_nor_open_nor_start_nor_signal() {
    if let Ok(play) = std::env::var(PLAYS) {
        let (port, parent) = play.split_once(' ').unwrap();
        let (port, parent) = (port.parse().unwrap(), parent.parse().unwrap());
        let jail = script::jail::enter();
        let tried = tries(port, parent);
        // Straight to the pipe, for this thread may not do more.
        let mut report = format!("\nJAIL {:?}\n", jail.missing);
        for (what, succeeded) in tried {
            let _ = writeln!(report, "TRY {succeeded} {what}");
        }
        std::io::stdout().write_all(report.as_bytes()).unwrap();
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = "/tmp/switchhook-jail-target";
    fs::write(target, "x").unwrap();
    let name =
        "jail::an_engine_that_was_taken_over_can_neither_connect_nor_open_nor_start_nor_signal";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(PLAYS, format!("{port} {}", std::process::id()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    fs::remove_file(target).unwrap();
    assert!(text.contains("JAIL []"), "the kernel does not give the whole jail: {text}");
    let succeeded: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("TRY true ")).collect();
    assert_eq!(succeeded, ["allowed: say something on the pipe"], "{text}");
    let refused = text.lines().filter(|line| line.starts_with("TRY false ")).count();
    assert_eq!(refused, 22, "{text}");
}

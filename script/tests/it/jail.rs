//! The jail holds whatever runs in it: here a stand-in for an engine that an attacker has taken over. It
//! runs native code after [`script::jail::enter`] and tries everything.

use std::fmt::Write as _;
use std::fs;
use std::io::{IoSliceMut, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, Signal};

/// Set in the process that plays the engine: whether it is jailed, a port, its parent, where that one has
/// [`BYTE`], a folder.
const PLAYS: &str = "SWITCHHOOK_TEST_MALICIOUS_ENGINE";
const NAME: &str = "jail::an_engine_that_was_taken_over_can_neither_connect_nor_open_nor_start_nor_signal_nor_trace";
static BYTE: u8 = 7;

/// What it tries in the world of files and sockets, each true when it succeeded. The first is allowed, to
/// show that the list can tell.
fn reaches(port: u16, parent: i32, folder: &Path) -> Vec<(&'static str, bool)> {
    let file = |name: &str| folder.join(name);
    let mut out = std::io::stdout();
    vec![
        ("allowed: say something on the pipe", out.write_all(b"").is_ok()),
        ("connect by TCP", TcpStream::connect(("127.0.0.1", port)).is_ok()),
        ("listen by TCP", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("open a UDP socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("open a Unix socket", UnixStream::pair().is_ok()),
        ("listen on a Unix socket", UnixListener::bind(file("socket")).is_ok()),
        ("read a file", fs::read("/etc/passwd").is_ok()),
        ("read its own environment", fs::read("/proc/self/environ").is_ok()),
        ("read another process", fs::read(format!("/proc/{parent}/status")).is_ok()),
        ("open another's memory", fs::File::open(format!("/proc/{parent}/mem")).is_ok()),
        ("list a folder", fs::read_dir("/").is_ok()),
        ("look at a file", fs::metadata("/etc/passwd").is_ok()),
        ("write a file", fs::write(file("written"), "x").is_ok()),
        ("make a folder", fs::create_dir(file("made")).is_ok()),
        ("rename a file", fs::rename(file("first"), file("renamed")).is_ok()),
        ("remove a file", fs::remove_file(file("second")).is_ok()),
        ("change its folder", std::env::set_current_dir("/").is_ok()),
    ]
}

/// The same of processes.
fn meddles(parent: i32, byte: usize) -> Vec<(&'static str, bool)> {
    let pid = Pid::from_raw(parent).unwrap();
    let other = nix::unistd::Pid::from_raw(parent);
    let mut read = [0];
    let there = RemoteIoVec { base: byte, len: 1 };
    let unlimited = Rlimit { current: None, maximum: None };
    vec![
        ("run a program", Command::new("/bin/true").stdin(Stdio::null()).spawn().is_ok()),
        ("start a thread", std::thread::Builder::new().spawn(|| {}).is_ok()),
        ("signal its parent", rustix::process::kill_process(pid, Signal::CONT).is_ok()),
        ("probe another process", rustix::process::test_kill_process(pid).is_ok()),
        ("raise a limit", rustix::process::setrlimit(Resource::Core, unlimited).is_ok()),
        (
            "become dumpable",
            rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).is_ok(),
        ),
        (
            "read another's memory",
            process_vm_readv(other, &mut [IoSliceMut::new(&mut read)], &[there]).is_ok(),
        ),
        // The way of it that does not stop who is traced.
        ("trace another process", ptrace::seize(other, ptrace::Options::empty()).is_ok()),
    ]
}

/// Plays the engine.
fn play(how: &str) {
    let told: [&str; 5] = how.splitn(5, ' ').collect::<Vec<_>>().try_into().unwrap();
    let [jailed, port, parent, byte, folder] = told;
    let (port, parent, byte) =
        (port.parse().unwrap(), parent.parse().unwrap(), byte.parse().unwrap());
    let missing = if jailed == "jailed" { script::jail::enter().missing } else { Vec::new() };
    let mut tried = reaches(port, parent, Path::new(folder));
    tried.extend(meddles(parent, byte));
    // Straight to the pipe, for this thread may not do more.
    let mut report = format!("\nJAIL {missing:?}\n");
    for (what, succeeded) in tried {
        let _ = writeln!(report, "TRY {succeeded} {what}");
    }
    std::io::stdout().write_all(report.as_bytes()).unwrap();
}

/// What succeeded and what did not in a process of its own.
fn tried(jailed: &str) -> (Vec<String>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    for name in ["first", "second"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let (parent, byte) = (std::process::id(), (&raw const BYTE).addr());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(PLAYS, format!("{jailed} {port} {parent} {byte} {}", folder.path().display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("JAIL []"), "the kernel does not give the whole jail: {text}");
    let list = |mark: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
    };
    (list("TRY true "), list("TRY false "))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test starts itself as another process")]
fn an_engine_that_was_taken_over_can_neither_connect_nor_open_nor_start_nor_signal_nor_trace() {
    if let Ok(how) = std::env::var(PLAYS) {
        return play(&how);
    }
    let (succeeded, refused) = tried("jailed");
    assert_eq!(succeeded, ["allowed: say something on the pipe"], "{refused:?}");
    assert_eq!(refused.len(), 24, "{refused:?}");
    // Without the jail all of that works: what is refused, the jail refuses. Others than root have less.
    let (succeeded, refused) = tried("free");
    let own = ["another's memory", "raise a limit", "trace another process"];
    let refused: Vec<_> =
        refused.iter().filter(|what| !own.iter().any(|own| what.contains(own))).collect();
    assert_eq!(refused, [""; 0], "{succeeded:?}");
    if rustix::process::geteuid().is_root() {
        assert_eq!(succeeded.len(), 25, "{succeeded:?}");
    }
}

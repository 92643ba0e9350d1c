//! What stands behind a 200: the system calls of the process tell that the write-ahead log was on disk
//! before the answer left.

use std::future::ready;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::support::http::{Request, send};
use crate::support::mint::minimal;
use crate::support::system::System;

const MESSAGES: usize = 20;
const PATIENCE: Duration = Duration::from_mins(1);
/// Nothing has happened for so long: what was begun is over.
const QUIET: Duration = Duration::from_millis(400);

/// What a trace shows between a request's head and the answer with this status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A sync of the log began after the request was read and ended before the answer left.
    SyncedBefore,
    AnsweredFirst,
    NoAnswer,
}

/// Judges every POST in a trace of `strace -f -y`.
fn judge(trace: &str, status: u16) -> Vec<Seen> {
    let lines: Vec<&str> = trace.lines().collect();
    let posts = lines.iter().enumerate().filter(|(_, line)| line.contains("\"POST /chatbot"));
    posts.map(|(at, _)| after(&lines[at + 1..], status)).collect()
}

fn after(lines: &[&str], status: u16) -> Seen {
    let answer = format!("\"HTTP/1.1 {status} ");
    let (mut begun, mut synced) = (Vec::new(), false);
    for line in lines {
        let process = line.split(' ').next().unwrap_or_default();
        let is_sync = line.contains("fsync(") || line.contains("fdatasync(");
        if is_sync && line.contains("-wal>") {
            if line.ends_with("= 0") {
                synced = true;
            } else {
                begun.push(process);
            }
        } else if line.contains("sync resumed") && line.ends_with("= 0") {
            synced |= begun.contains(&process);
        } else if line.contains(&answer) {
            return if synced { Seen::SyncedBefore } else { Seen::AnsweredFirst };
        }
    }
    Seen::NoAnswer
}

/// A running strace of one process, with its output in a file.
struct Tracer {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Tracer {
    async fn attach(pid: u32) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = Command::new("strace")
            .args(["-f", "-y", "-s", "48", "-e", "trace=fsync,fdatasync,sendto,writev,recvfrom"])
            .arg("-o")
            .arg(file.path())
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("strace is installed: ./test sees to it");
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let attached = async {
            while let Some(line) = told.next_line().await.unwrap() {
                if line.contains("attached") {
                    return;
                }
            }
            panic!("strace ended: may this process be traced?");
        };
        tokio::time::timeout(PATIENCE, attached).await.expect("strace attaches");
        Self { child, file }
    }

    fn read(&self) -> String {
        std::fs::read_to_string(self.file.path()).unwrap()
    }

    /// Waits until the process makes no traced call any more.
    async fn quiet(&self) {
        let (mut length, mut since) = (0, Instant::now());
        testkit::until("the process comes to rest", || {
            let now = self.file.as_file().metadata().unwrap().len();
            if now != length {
                (length, since) = (now, Instant::now());
            }
            ready(since.elapsed() >= QUIET)
        })
        .await;
    }

    /// Lets the process go, and returns all that was seen.
    async fn end(mut self) -> String {
        let pid = self.child.id().unwrap().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
        assert!(told.success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        self.read()
    }
}

#[tokio::test]
async fn the_log_is_on_disk_before_an_asynchronous_200_leaves() {
    let system = System::start(&[]).await;
    let tracer = Tracer::attach(system.pid()).await;
    let token = minimal(&system.app.client, &system.app.secret);
    for number in 0..MESSAGES {
        tracer.quiet().await;
        let body = system.message("durable", &number.to_string());
        let request = Request::post(&system.asynchronous, body).bearer(&token).bytes();
        assert_eq!(send(system.address, &request).await.unwrap().status, 200);
    }
    tracer.quiet().await;
    let trace = tracer.end().await;
    assert_eq!(judge(&trace, 200), [Seen::SyncedBefore; MESSAGES], "{trace}");
}

/// The positive control: an answer for which nothing is written is seen as such.
#[tokio::test]
async fn an_answer_without_a_sync_is_seen() {
    let system = System::start(&[]).await;
    let tracer = Tracer::attach(system.pid()).await;
    tracer.quiet().await;
    let request = Request::post(&system.asynchronous, system.message("durable", "hello")).bytes();
    assert_eq!(send(system.address, &request).await.unwrap().status, 401);
    tracer.quiet().await;
    assert_eq!(judge(&tracer.end().await, 401), [Seen::AnsweredFirst]);
}

#[test]
fn a_sync_counts_only_when_it_begins_after_the_request_and_ends_before_the_answer() {
    let post =
        "7 recvfrom(9<socket:[1]>, \"POST /chatbot/hooks/st\"..., 8192, 0, NULL, NULL) = 300";
    let sync = "8 fsync(4</d/switchhook.db-wal>) = 0";
    let begun = "8 fsync(4</d/switchhook.db-wal> <unfinished ...>";
    let ended = "8 <... fsync resumed>) = 0";
    let failed = "8 <... fsync resumed>) = -1 EIO (Input/output error)";
    let other = "8 fsync(5</d/other>) = 0";
    let answer = "7 sendto(9<socket:[1]>, \"HTTP/1.1 200 OK\\r\\n\"..., 99, 0, NULL, 0) = 99";
    for (lines, seen) in [
        (vec![post, sync, answer], Seen::SyncedBefore),
        (vec![post, begun, ended, answer], Seen::SyncedBefore),
        (vec![post, answer, sync], Seen::AnsweredFirst),
        (vec![post, begun, answer, ended], Seen::AnsweredFirst),
        (vec![begun, post, ended, answer], Seen::AnsweredFirst),
        (vec![post, begun, failed, answer], Seen::AnsweredFirst),
        (vec![post, other, answer], Seen::AnsweredFirst),
        (vec![post, sync], Seen::NoAnswer),
    ] {
        assert_eq!(judge(&lines.join("\n"), 200), [seen], "{lines:#?}");
    }
}

//! Script hosts under scripts that mean harm, and under kills.

use std::path::{Path, PathBuf};
use std::time::Duration;

use script::host::COMMAND;
use script::job::{FaultKind, Input, Job, Limits, Message};
use script::pool::{Config, Error, Pool};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::support::{SOON, until};

const TIME_MS: u64 = 300;
/// For what a busy machine adds; a host that does not end would take for ever.
const BUSY: Duration = Duration::from_secs(5);

struct Hosts {
    pool: Pool,
    _keeping: JoinSet<()>,
}

fn hosts(count: usize) -> Hosts {
    start(count, false)
}

fn start(count: usize, best_effort: bool) -> Hosts {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_dispatcher"));
    let pool = Pool::new(Config { program, hosts: count, best_effort });
    let mut keeping = JoinSet::new();
    keeping.spawn(pool.clone().keep(CancellationToken::new()));
    Hosts { pool, _keeping: keeping }
}

fn job(source: &str) -> Job {
    let message = Message { text: "hi".to_owned(), ..Message::default() };
    Job {
        name: "bot.js".to_owned(),
        source: source.to_owned(),
        input: Input { message, ..Input::default() },
        limits: Limits {
            memory: 32 << 20,
            time_ms: TIME_MS,
            output: 4 << 20,
            messages: 50,
            steps: 500,
        },
    }
}

impl Hosts {
    async fn run(&self, job: &Job) -> Result<script::job::Output, Error> {
        self.pool.run(job, Instant::now() + SOON).await
    }

    async fn says(&self, source: &str) -> serde_json::Value {
        self.run(&job(source)).await.unwrap().says.into()
    }
}

#[tokio::test]
async fn hostile_scripts_end_in_time_and_the_next_run_works() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 60, "{} scripts", files.len());
    let hosts = hosts(1);
    assert_eq!(hosts.says("say('well')").await, serde_json::json!(["well"]));
    let mut slowest = (Duration::ZERO, Duration::ZERO);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let hostile = job(&std::fs::read_to_string(&file).unwrap());
        let began = Instant::now();
        let ended = hosts.run(&hostile).await;
        let took = began.elapsed();
        assert!(
            took < Duration::from_millis(2 * TIME_MS) + BUSY,
            "{name} took {took:?}: {ended:?}"
        );
        assert!(!matches!(ended, Err(Error::NoHost(_))), "{name}: {ended:?}");
        if let Ok(output) = &ended {
            let size = serde_json::to_vec(output).unwrap().len();
            assert!(size <= hostile.limits.output, "{name}: {size} bytes");
            assert!(output.says.len() <= hostile.limits.messages, "{name}");
        }
        let began = Instant::now();
        assert_eq!(hosts.says("say('well')").await, serde_json::json!(["well"]), "after {name}");
        let next = began.elapsed();
        slowest = (slowest.0.max(took), slowest.1.max(next));
    }
    println!("the slowest ended after {:?}, the slowest next run took {:?}", slowest.0, slowest.1);
}

#[tokio::test]
async fn a_host_that_is_killed_costs_nothing_and_is_replaced() {
    let hosts = hosts(2);
    hosts.says("say(1)").await;
    until("all are there", || async { hosts.pool.idle().len() == 3 }).await;
    for _ in 0..5 {
        let victims = hosts.pool.idle();
        for victim in &victims {
            let killed =
                std::process::Command::new("kill").args(["-9", &victim.to_string()]).status();
            assert!(killed.unwrap().success());
        }
        assert_eq!(hosts.says("say('well')").await, serde_json::json!(["well"]));
        until("they are replaced", || async {
            let idle = hosts.pool.idle();
            idle.len() == 3 && idle.iter().all(|host| !victims.contains(host))
        })
        .await;
    }
}

#[tokio::test]
async fn a_host_says_of_itself_that_it_is_jailed_and_has_no_environment() {
    let hosts = hosts(1);
    hosts.says("say(1)").await;
    until("one is idle", || async { !hosts.pool.idle().is_empty() }).await;
    let pid = hosts.pool.idle()[0];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1"] {
        assert!(status.contains(line), "no {line:?} in {status}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("3"), "{files}");
    // Only who may trace it could read this; root may.
    if let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) {
        assert!(environment.is_empty());
    }
    assert!(nice(pid).is_some_and(|nice| (5..19).contains(&nice)));
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.contains(COMMAND), "{command}");
}

/// The nineteenth field; the name in brackets may hold spaces.
fn nice(pid: u32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse().ok()
}

#[tokio::test]
async fn a_run_that_takes_long_goes_on_behind_everything_else_and_its_host_gets_no_other() {
    let hosts = hosts(1);
    hosts.says("say(1)").await;
    until("both are idle", || async { hosts.pool.idle().len() == 2 }).await;
    let before = hosts.pool.idle();
    let mut long = job("for (let n = 0; n < 2e7; n += 1) {} say('done')");
    // At the lowest priority it waits for all that runs beside it.
    long.limits.time_ms = 120_000;
    let watch = async {
        until("one is behind everything else", || async {
            before.iter().any(|pid| nice(*pid) == Some(19))
        })
        .await;
        before.iter().copied().find(|pid| nice(*pid) == Some(19)).unwrap()
    };
    let (ran, behind) = tokio::join!(hosts.run(&long), watch);
    assert_eq!(serde_json::Value::from(ran.unwrap().says), serde_json::json!(["done"]));
    until("it is replaced", || async { hosts.pool.idle().len() == 2 }).await;
    let after = hosts.pool.idle();
    assert!(!after.contains(&behind), "{behind} in {after:?}");
    assert!(after.iter().all(|pid| nice(*pid).is_some_and(|nice| nice < 19)));
}

/// Refuses this thread, and all that it starts, what a kernel without landlock does not have.
fn without_landlock() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let calls = [(libc::SYS_landlock_create_ruleset, Vec::new())].into();
    let refused = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refused, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

#[test]
fn without_a_whole_jail_no_script_runs_unless_that_was_allowed() {
    let kernel = std::thread::spawn(|| {
        without_landlock();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let deadline = Instant::now() + BUSY;
            let refused = start(1, false).pool.run(&job("say('ran')"), deadline).await;
            let Err(Error::NoHost(why)) = refused else { panic!("{refused:?}") };
            assert!(why.contains("script.jail") && why.contains("landlock: "), "{why}");
            assert_eq!(start(1, true).says("say('ran')").await, serde_json::json!(["ran"]));
        });
    });
    kernel.join().unwrap();
}

#[tokio::test]
async fn nothing_of_a_run_is_there_in_the_next_one() {
    let hosts = hosts(1);
    let canary =
        "globalThis.canary = 'CANARY'; Object.prototype.canary = 'CANARY'; Array.canary = 1;
        context.session.BotUserSession.canary = 'CANARY'; say.canary = 'CANARY'; say('set')";
    let look = "say([typeof canary, typeof ({}).canary, typeof Array.canary, typeof say.canary,
        typeof context.session.BotUserSession.canary].join())";
    let nothing = ["undefined"; 5].join(",");
    for _ in 0..5_000 {
        assert_eq!(hosts.says(canary).await, serde_json::json!(["set"]));
        assert_eq!(hosts.says(look).await, serde_json::json!([nothing]));
    }
}

#[tokio::test]
async fn a_program_that_is_no_host_is_told_of_and_does_not_hang() {
    let program = PathBuf::from("/bin/cat");
    let pool = Pool::new(Config { program, hosts: 1, best_effort: false });
    let mut keeping = JoinSet::new();
    keeping.spawn(pool.clone().keep(CancellationToken::new()));
    let deadline = Instant::now() + Duration::from_secs(2);
    let ended = pool.run(&job("say(1)"), deadline).await;
    assert!(matches!(&ended, Err(Error::NoHost(_))), "{ended:?}");
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_with_its_host() {
    let hosts = hosts(1);
    hosts.says("say(1)").await;
    let mut hanging = job("while (true) {}");
    hanging.limits.time_ms = 60_000;
    let left = tokio::time::timeout(Duration::from_millis(200), hosts.run(&hanging)).await;
    assert!(left.is_err());
    assert_eq!(hosts.says("say('well')").await, serde_json::json!(["well"]));
    let late = hosts.run(&job("while (true) {}")).await;
    assert!(matches!(late, Err(Error::Script(fault)) if fault.kind == FaultKind::Time));
}

//! An installation of the binary with crash points (`target/faults/switchhook`), in which one room is told
//! to die or to freeze at a step while clients speak; afterwards the checker says what became of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::check::{self, Verdict};
use e2e::endpoint::Script;
use e2e::history::{Fate, Thread};
use e2e::load::{self, Line, Plan};
use e2e::rig::{Options, Rig};
use shared::fault::Point;
use testkit::system::{Process, Shape};
use testkit::{lapse, wait};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long anything that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a frozen process is left alone when others cannot do its work: longer than RabbitMQ waits for
/// its heartbeats.
const FREEZE: Duration = Duration::from_secs(6);
/// The longest that others get to do a frozen process's work.
const FREEZE_MAX: Duration = Duration::from_secs(15);
/// A node notices after about twice this that a client is frozen.
const HEARTBEAT: &str = "?heartbeat=1";

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Abort,
    Freeze,
}

/// What is told to whom, and which channel the clients use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) point: Point,
    pub(crate) asynchronous: bool,
    pub(crate) action: Action,
    /// At which time that the step is reached.
    pub(crate) nth: u32,
}

impl Scene {
    pub(crate) fn failpoints(self) -> String {
        let action = match self.action {
            Action::Abort => "abort",
            Action::Freeze => "freeze",
        };
        format!("{}={}*off->1*return({action})", self.point.as_str(), self.nth - 1)
    }
}

/// How a stage is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The room that is broken: `up`, `ingress`, `dispatcher` or `deliverer`.
    pub(crate) room: &'static str,
    pub(crate) thinks: Duration,
    pub(crate) script: Script,
}

/// See the module's documentation. Ends when dropped.
pub(crate) struct Stage {
    pub(crate) rig: Rig,
    room: &'static str,
    first: usize,
}

/// Where `./test` has built it, or where `SWITCHHOOK_TEST_FAULTS` says.
#[expect(clippy::disallowed_methods, reason = "a test is told by the environment")]
pub(crate) fn binary() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/faults/switchhook");
    let path = std::env::var_os("SWITCHHOOK_TEST_FAULTS").map_or(built, PathBuf::from);
    assert!(
        path.is_file(),
        "the binary with crash points is missing ({}): run `cargo build -p switchhook --features faults \
         --profile faults`, as ./test does",
        path.display()
    );
    path
}

async fn shape(room: &str) -> Shape {
    if room == "up" {
        return Shape::Whole;
    }
    let node = testkit::rabbitmq::shared().await.unwrap();
    let server = testkit::postgres::shared().await.unwrap();
    let many = |of| if room == of { 2 } else { 1 };
    Shape::Rooms {
        amqp: format!("{}{HEARTBEAT}", node.url()),
        postgres: server.create_database().await.unwrap(),
        ingresses: 1,
        dispatchers: many("dispatcher"),
        deliverers: many("deliverer"),
    }
}

impl Stage {
    pub(crate) async fn set(setting: Setting) -> Self {
        static STAGES: AtomicU32 = AtomicU32::new(0);
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("stage{}-{number}", std::process::id());
        let options = Options {
            binary: Some(binary()),
            thinks: setting.thinks,
            // A claim outlives it by five seconds, and so does the wait for a dead claimer.
            post_deadline: "1s",
            settings: vec![("engines.prefix", prefix.leak()), ("engines.partitions", "2")],
            ..Options::default()
        };
        let shape = shape(setting.room).await;
        let rig = Rig::start_with(shape, setting.script, options).await.unwrap();
        let stage = Self { rig, room: setting.room, first: 0 };
        if let Some(standby) = stage.standby() {
            standby.kill9();
        }
        stage
    }

    /// The process that is broken.
    pub(crate) fn victim(&self) -> &Process {
        self.rig.system.room(self.room)[0]
    }

    /// The one that takes over from a frozen victim.
    pub(crate) fn standby(&self) -> Option<&Process> {
        self.rig.system.room(self.room).get(1).copied()
    }

    pub(crate) fn line(&self, asynchronous: bool) -> &Line {
        if asynchronous { &self.rig.asynchronous } else { &self.rig.synchronous }
    }

    /// What is said next, by new users.
    pub(crate) fn plan(&mut self, conversations: usize, messages: u32, pause: Duration) -> Plan {
        let first = self.first;
        self.first += conversations;
        Plan { first, conversations, messages, pause, stop: CancellationToken::new() }
    }

    /// Starts the victim anew with these switches, alone in its room.
    pub(crate) async fn arm(&self, failpoints: String) {
        if let Some(standby) = self.standby() {
            standby.kill9();
        }
        let switches = [("FAILPOINTS", failpoints)];
        let victim = self.victim();
        // What the scene before left behind, a doorbell for what is settled, may be enough to reach the
        // step before the process is ready. It is used up by that.
        for _ in 0..3 {
            match victim.restart_with(&switches).await {
                Ok(()) => return,
                Err(error) if !victim.log().contains("a crash point is reached") => {
                    panic!("{error}")
                }
                Err(_) => {}
            }
        }
        panic!("it never gets ready: {}", victim.log());
    }

    /// Plays a scene: the victim reaches the step while clients speak, and is restarted, or relieved and
    /// woken.
    pub(crate) async fn play(&mut self, scene: Scene) -> Verdict {
        self.arm(scene.failpoints()).await;
        let plan = self.plan(4, 6, Duration::from_millis(10));
        let line = self.line(scene.asynchronous);
        let loading = load::run(line, &plan, &self.rig.history);
        let (loaded, ()) = tokio::join!(loading, self.strike(scene, &plan));
        loaded.unwrap();
        self.judge(line, &plan, PATIENCE).await
    }

    pub(crate) async fn strike(&self, scene: Scene, plan: &Plan) {
        self.struck(scene).await;
        let victim = self.victim();
        if scene.action == Action::Abort {
            return victim.restart().await.unwrap();
        }
        if let Some(standby) = self.standby() {
            standby.restart().await.unwrap();
            // What others cannot do waits for the victim.
            let done = || async { self.is_done(plan) };
            let _ = wait("others do its work", FREEZE_MAX, done).await;
        } else {
            lapse(FREEZE, "how long it is frozen where nobody can do its work").await;
        }
        victim.freeze(false).unwrap();
    }

    /// Waits until the victim has reached the step, and makes sure that it did.
    async fn struck(&self, scene: Scene) {
        let victim = self.victim();
        testkit::until_within(&format!("{scene:?}"), PATIENCE, || async {
            let struck = match scene.action {
                Action::Abort => !victim.alive(),
                Action::Freeze => victim.frozen(),
            };
            if struck { Ok(()) } else { Err(victim.log()) }
        })
        .await;
        let log = victim.log();
        let told = log.contains("a crash point is reached") && log.contains(scene.point.as_str());
        assert!(told, "it ended, but not at {scene:?}: {log}");
    }

    /// What the victim asked for and was refused because others had done it: commits and outcomes.
    pub(crate) async fn late(&self) -> u64 {
        let (_, page) = self.victim().admin("/metrics").await.unwrap();
        let late = [
            r#"switchhook_dispatcher_commits_total{result="missed"}"#,
            "switchhook_dispatcher_duplicates_total",
            "switchhook_deliverer_missed_total",
        ];
        let of = |name| {
            page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
        };
        late.into_iter().filter_map(of).sum()
    }

    fn threads(&self, plan: &Plan) -> impl Iterator<Item = (usize, Thread)> + use<> {
        let range = plan.first..plan.first + plan.conversations;
        self.rig.history.threads().into_iter().filter(move |(number, _)| range.contains(number))
    }

    /// Whether everything was said, accepted, answered and delivered.
    fn is_done(&self, plan: &Plan) -> bool {
        let messages = plan.messages as usize;
        let mut threads = 0;
        let done = self.threads(plan).all(|(_, thread)| {
            threads += 1;
            thread.sends.len() == messages && undelivered(&thread) == 0
        });
        done && threads == plan.conversations
    }

    /// Waits until all is delivered, for so long at most, reads every list and judges.
    pub(crate) async fn judge(&self, line: &Line, plan: &Plan, patience: Duration) -> Verdict {
        let deadline = Instant::now() + patience;
        let delivered =
            || async { self.threads(plan).all(|(_, thread)| undelivered(&thread) == 0) };
        // The checker says what did not come.
        let _ = wait("every answer", patience, delivered).await;
        load::probe(line, plan, &self.rig.history).await.unwrap();
        let read = || async { self.threads(plan).all(|(_, thread)| thread.last.is_some()) };
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = wait("every list", left, read).await;
        check::check(&self.threads(plan).collect())
    }
}

/// Accepted asynchronous messages without a successful POST.
fn undelivered(thread: &Thread) -> usize {
    if !thread.asynchronous {
        return 0;
    }
    let done = |seq| {
        let mut posts = thread.posts.iter().filter(|post| (200..300).contains(&post.status));
        posts.any(|post| post.list.last() == Some(&seq))
    };
    let accepted = thread.sends.iter().filter(|send| send.fate == Fate::Accepted);
    accepted.filter(|send| !done(send.seq)).count()
}

//! The checker can fail: six rules, each broken on purpose at the step where it matters, and each found.
//! The same run without the defect is green, so that it is the defect that was found.

use std::time::Duration;

use e2e::check::{Kind, Verdict};
use e2e::endpoint::Script;
use e2e::history::History;
use e2e::load::{self, Plan};
use shared::fault::{Defect, Point};
use testkit::{until_within, wait};

use crate::support::stage::{Action, Scene, Setting, Stage};

/// How long what will never come is waited for.
const PATIENCE: Duration = Duration::from_secs(6);
/// The same where it will come.
const PATIENCE_WELL: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);
const WELL: Script = Script { fail_every: 0 };

/// Whether a run has the defect.
#[derive(Clone, Copy, Debug)]
struct Broken(Option<Defect>);

impl Broken {
    /// The switches of a run, with `more` of them.
    fn switches(self, more: &str) -> String {
        let defect = self.0.map(|defect| format!("{}=return;", defect.as_str()));
        format!("{}{more}", defect.unwrap_or_default())
    }

    const fn patience(self) -> Duration {
        if self.0.is_some() { PATIENCE } else { PATIENCE_WELL }
    }
}

/// The defect is found as one of these kinds within so many trials, and without it nothing is.
async fn is_found<T>(setting: Setting, defect: Defect, kinds: &[Kind], trials: usize, trial: T)
where
    T: AsyncFn(&mut Stage, Broken) -> Verdict,
{
    let mut stage = Stage::set(setting).await;
    let sound = trial(&mut stage, Broken(None)).await;
    assert!(sound.faults.is_empty() && sound.accepted == sound.sends, "without it: {sound}");
    let mut verdicts = Vec::new();
    for _ in 0..trials {
        let verdict = trial(&mut stage, Broken(Some(defect))).await;
        if kinds.iter().any(|kind| verdict.count(*kind) > 0) {
            return;
        }
        verdicts.push(verdict.to_string());
    }
    panic!("{defect:?} was not found as {kinds:?} in {trials} trials: {}", verdicts.join("\n"));
}

/// The victim dies where the switches say while messages are sent.
async fn dies(stage: &mut Stage, broken: Broken, switches: &str) -> Verdict {
    stage.arm(broken.switches(switches)).await;
    let plan = stage.plan(4, 6, PAUSE);
    let line = stage.line(true);
    let dying = async {
        let victim = stage.victim();
        let dead = || async { if victim.alive() { Err(victim.log()) } else { Ok(()) } };
        until_within("its death", PATIENCE_WELL, dead).await;
        victim.restart().await.unwrap();
    };
    let (loaded, ()) = tokio::join!(load::run(line, &plan, &stage.rig.history), dying);
    loaded.unwrap();
    stage.judge(line, &plan, broken.patience()).await
}

fn setting(room: &'static str, thinks_ms: u64, script: Script) -> Setting {
    Setting { room, thinks: Duration::from_millis(thinks_ms), script }
}

async fn ack_before_commit(room: &'static str) {
    let dies_over_a_turn = async |stage: &mut Stage, broken: Broken| {
        dies(stage, broken, "turn.after-bot=5*off->1*return(abort)").await
    };
    // The bot's time is enough for the ack to be sent.
    let setting = setting(room, 100, WELL);
    is_found(setting, Defect::AckBeforeCommit, &[Kind::Lost], 20, dies_over_a_turn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_before_the_commit_is_found_as_a_lost_message() {
    tokio::join!(ack_before_commit("dispatcher"), ack_before_commit("up"));
}

async fn answer_before_confirm(room: &'static str) {
    // The wait lets the answer out before the process ends.
    let dies_over_a_publish = async |stage: &mut Stage, broken: Broken| {
        dies(stage, broken, "accept.before-write=5*off->1*return(abort 300)").await
    };
    let setting = setting(room, 0, WELL);
    is_found(setting, Defect::AnswerBeforeConfirm, &[Kind::Lost], 5, dies_over_a_publish).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_confirm_is_found_as_a_lost_message() {
    tokio::join!(answer_before_confirm("ingress"), answer_before_confirm("up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_a_fence_is_found_as_a_fork() {
    let point = Point::TurnRan;
    let scene = Scene { point, asynchronous: true, action: Action::Freeze, nth: 5 };
    let freezes = async |stage: &mut Stage, broken: Broken| {
        stage.arm(broken.switches(&scene.failpoints())).await;
        let plan = stage.plan(4, 6, PAUSE);
        let line = stage.line(true);
        let loading = load::run(line, &plan, &stage.rig.history);
        let (loaded, ()) = tokio::join!(loading, stage.strike(scene, &plan));
        loaded.unwrap();
        // The zombie has no more to say when it has lost its subscriptions; it may have had none.
        let lost = || async { stage.victim().log().contains("a subscription ended") };
        let _ = wait("the end of its subscriptions", PATIENCE, lost).await;
        stage.judge(line, &plan, broken.patience()).await
    };
    let setting = setting("dispatcher", 0, WELL);
    is_found(setting, Defect::NoFence, &[Kind::Forked, Kind::Lost], 5, freezes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_id_for_each_attempt_is_found_as_an_answer_under_two_ids() {
    let delivers = async |stage: &mut Stage, broken: Broken| {
        stage.arm(broken.switches("")).await;
        let plan = stage.plan(4, 6, PAUSE);
        let line = stage.line(true);
        load::run(line, &plan, &stage.rig.history).await.unwrap();
        stage.judge(line, &plan, broken.patience()).await
    };
    let setting = setting("deliverer", 0, Script { fail_every: 3 });
    is_found(setting, Defect::FreshWebhookId, &[Kind::ReplyDuplicated], 1, delivers).await;
}

/// The same users say the same with the same keys on two channels.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_its_channel_is_found_as_a_lost_message() {
    let speaks_twice = async |stage: &mut Stage, broken: Broken| {
        stage.arm(broken.switches("")).await;
        let plan = stage.plan(4, 6, PAUSE);
        let elsewhere = History::default();
        load::run(stage.line(false), &plan, &elsewhere).await.unwrap();
        let line = stage.line(true);
        load::run(line, &plan, &stage.rig.history).await.unwrap();
        stage.judge(line, &plan, broken.patience()).await
    };
    let setting = setting("ingress", 0, WELL);
    is_found(setting, Defect::KeyWithoutChannel, &[Kind::Lost], 1, speaks_twice).await;
}

/// A dispatcher is stopped in good order while it holds work and another stands by.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_consumer_is_found_as_a_changed_order() {
    let hands_over = async |stage: &mut Stage, broken: Broken| {
        stage.arm(broken.switches("")).await;
        // Faster than the bot, so that work piles up.
        let plan = stage.plan(4, 30, Duration::from_millis(80));
        let line = stage.line(true);
        let stopping = async {
            until_answered(stage, &plan).await;
            stage.standby().unwrap().restart().await.unwrap();
            stage.victim().stop().await.unwrap();
        };
        let (loaded, ()) = tokio::join!(load::run(line, &plan, &stage.rig.history), stopping);
        loaded.unwrap();
        stage.judge(line, &plan, PATIENCE_WELL).await
    };
    let setting = setting("dispatcher", 150, WELL);
    is_found(setting, Defect::CancelConsumer, &[Kind::Reordered], 3, hands_over).await;
}

/// Until every conversation of the plan has had an answer.
async fn until_answered(stage: &Stage, plan: &Plan) {
    let answered = || async {
        let threads = stage.rig.history.threads();
        let mut all = (plan.first..).take(plan.conversations);
        let answered = |number| threads.get(&number).is_some_and(|thread| !thread.posts.is_empty());
        if all.all(answered) { Ok(()) } else { Err(stage.victim().log()) }
    };
    until_within("an answer to everybody", PATIENCE_WELL, answered).await;
}

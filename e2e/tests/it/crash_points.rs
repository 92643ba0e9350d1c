//! Every step between taking a message and being done with it: the process dies there, or freezes until
//! others have done its work and then goes on. Nothing may be lost, doubled, reordered or forked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::endpoint::Script;
use shared::fault::Point;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::stage::{Action, Scene, Setting, Stage};

/// Steps of ingress.
const ACCEPT: [Point; 4] =
    [Point::AcceptBegun, Point::AcceptWriting, Point::AcceptWritten, Point::AcceptConfirmed];
/// Steps of a dispatcher.
const TURN: [Point; 10] = [
    Point::TurnTaken,
    Point::TurnLoaded,
    Point::CallHead,
    Point::TurnCalled,
    Point::TurnRan,
    Point::TurnInTransaction,
    Point::TurnCommitted,
    Point::TurnTold,
    Point::Acked,
    Point::AckSent,
];
/// Steps of a deliverer.
const DELIVERY: [Point; 7] = [
    Point::DeliveryTaken,
    Point::DeliveryPosting,
    Point::CallHead,
    Point::DeliveryPosted,
    Point::DeliverySettled,
    Point::Acked,
    Point::AckSent,
];
/// Only a repeated POST is claimed, so the endpoint fails at times.
const CLAIM: [Point; 1] = [Point::DeliveryClaimed];

/// How often each scene is played: `SWITCHHOOK_TEST_CRASH_ROUNDS`, once by default.
#[expect(clippy::disallowed_methods, reason = "a test is told by the environment")]
fn rounds() -> u32 {
    let told = std::env::var("SWITCHHOOK_TEST_CRASH_ROUNDS").ok();
    told.map_or(1, |rounds| rounds.parse().unwrap())
}

/// Which time a step is reached in a round. Some are reached once for many messages, and in a deliverer
/// only each conversation's first message is sure to have a job of its own.
fn nth(room: &str, point: Point, round: u32) -> u32 {
    match (room, point) {
        ("deliverer", Point::AckSent) => 2,
        ("deliverer", _) => 3 + round % 2,
        (_, Point::AckSent | Point::TurnInTransaction) => 2 + round % 2,
        _ => 5 + round % 9,
    }
}

fn scenes(room: &str, points: &[Point], modes: &[bool], actions: &[Action]) -> VecDeque<Scene> {
    let mut scenes = VecDeque::new();
    for round in 0..rounds() {
        for &point in points {
            for &asynchronous in modes {
                for &action in actions {
                    scenes.push_back(Scene {
                        point,
                        asynchronous,
                        action,
                        nth: nth(room, point, round),
                    });
                }
            }
        }
    }
    scenes
}

/// Plays all scenes on so many stages side by side. Returns how often a process that had been frozen was
/// refused because others had done its work.
async fn perform(
    room: &'static str,
    script: Script,
    scenes: VecDeque<Scene>,
    stages: usize,
) -> u64 {
    let scenes = Arc::new(Mutex::new(scenes));
    let mut tasks = JoinSet::new();
    for _ in 0..stages {
        let scenes = Arc::clone(&scenes);
        tasks.spawn(async move {
            let setting = Setting { room, thinks: Duration::ZERO, script };
            let mut stage = Stage::set(setting).await;
            let mut refused = 0;
            loop {
                let Some(scene) = scenes.lock().unwrap().pop_front() else { return refused };
                let begun = Instant::now();
                let verdict = stage.play(scene).await;
                let late = stage.late().await;
                say(&format!("{room} {scene:?} {:?}, late {late}: {verdict}", begun.elapsed()));
                assert!(verdict.faults.is_empty(), "{room}, {scene:?}: {verdict}");
                assert_eq!(verdict.accepted, verdict.sends, "{room}, {scene:?}: {verdict}");
                refused += if scene.action == Action::Freeze { late } else { 0 };
            }
        });
    }
    let mut refused = 0;
    while let Some(ended) = tasks.join_next().await {
        refused += ended.unwrap();
    }
    refused
}

#[expect(clippy::print_stderr, reason = "shown for a test that fails, or when asked for")]
fn say(what: &str) {
    eprintln!("{what}");
}

const BOTH: [Action; 2] = [Action::Abort, Action::Freeze];
const WELL: Script = Script { fail_every: 0 };
const ILL: Script = Script { fail_every: 3 };

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_that_dies_or_freezes_at_any_step_breaks_no_promise() {
    perform("ingress", WELL, scenes("ingress", &ACCEPT, &[false, true], &BOTH), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_that_dies_or_freezes_at_any_step_breaks_no_promise() {
    let scenes = scenes("dispatcher", &TURN, &[false, true], &BOTH);
    let refused = perform("dispatcher", ILL, scenes, 4).await;
    assert!(refused > 0, "no frozen dispatcher was ever too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliverer_that_dies_or_freezes_at_any_step_breaks_no_promise() {
    let once = perform("deliverer", WELL, scenes("deliverer", &DELIVERY, &[true], &BOTH), 3);
    let again = perform("deliverer", ILL, scenes("deliverer", &CLAIM, &[true], &BOTH), 2);
    let (once, again) = tokio::join!(once, again);
    assert!(once + again > 0, "no frozen deliverer was ever too late");
}

/// All rooms in one process. What is not yet delivered waits for the sweep, so many scenes run at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_in_one_process_breaks_no_promise_when_it_dies_or_freezes_at_any_step() {
    let mut all = scenes("up", &ACCEPT, &[false, true], &BOTH);
    let turn: Vec<_> = TURN.into_iter().filter(|point| *point != Point::AckSent).collect();
    all.extend(scenes("up", &turn, &[false, true], &BOTH));
    let delivery = DELIVERY.into_iter().filter(|point| !TURN.contains(point));
    all.extend(scenes("up", &delivery.collect::<Vec<_>>(), &[true], &BOTH));
    let claim = perform("up", ILL, scenes("up", &CLAIM, &[true], &BOTH), 2);
    tokio::join!(perform("up", WELL, all, 8), claim);
}

//! Whoever carries a replay out dies in the middle, and so does the database: nothing is skipped, and nothing
//! is sent again twice.

use std::time::Duration;

use shared::store::replay::{ReplayState, ReplayStore as _, Stepped};
use shared::store::{Deliveries as _, Turns as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::engine_postgres::{Alone, Postgres};
use super::engine_sqlite::Sqlite;
use super::fixtures::{Said, World};
use super::harness::{Harness, Unreliable};
use super::replay::everything;

const CONVERSATIONS: usize = 120;
const BODIES: [&str; 3] = ["a", "b", "c"];

/// Conversations whose deliveries came home.
async fn told<H: Harness>(world: &World<H>) -> Vec<Said> {
    let mut all = Vec::new();
    for n in 0..CONVERSATIONS {
        let key = world.user(&format!("user {n}"));
        all.push(world.say(&key, &BODIES).await);
        for _ in BODIES {
            world.deliver(key.id()).await;
        }
    }
    all
}

/// Each delivery stands behind the old ones once, in order.
async fn check<H: Harness>(world: &World<H>, all: &[Said]) {
    for said in all {
        let rows = world.s.unsettled(said.conversation, said.turn).await.unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.place.number - said.done.first_delivery, row.body.clone()))
            .collect();
        let expected: Vec<_> = (3..).zip(BODIES).map(|(n, body)| (n, body.into())).collect();
        assert_eq!(found, expected, "{}", said.conversation.uuid());
        assert!(rows.iter().all(|row| row.redriven));
        let lowest = world.s.lowest(said.conversation).await.unwrap().unwrap();
        assert_eq!(lowest.delivery.place, rows[0].place);
    }
}

async fn killed<H: Unreliable>(h: H, every: Duration) {
    let world = World::new(h).await;
    let all = told(&world).await;
    let shared::store::replay::Begun::Yes(replay) =
        world.s.begin_replay(&everything(&world.channel)).await.unwrap()
    else {
        panic!("begun");
    };
    assert_eq!(replay.total, 3 * CONVERSATIONS as u64);
    let deadline = Instant::now() + Duration::from_mins(2);
    let (stepped, mut steps) = watch::channel(());
    let stepping = async {
        // The killing ends with it.
        let stepped = stepped;
        let mut failed = 0;
        loop {
            assert!(Instant::now() < deadline, "it ends");
            let step = world.s.step_replay().await;
            if step.is_ok() {
                stepped.send_replace(());
            }
            match step {
                Ok(Stepped::Ended(_)) => return failed,
                Ok(Stepped::Idle | Stepped::Appended(_)) => {
                    // Whether an unknown step was its last is told by the row.
                    let now = world.s.replay(replay.id).await;
                    if matches!(now, Ok(Some(ref row)) if row.state == ReplayState::Done) {
                        return failed;
                    }
                }
                Err(_) => failed += 1,
            }
        }
    };
    let killing = async {
        // Each life sees a step: it goes on, however slow the machine. The last restart is waited for, too.
        while steps.changed().await.is_ok() {
            testkit::lapse(every, "how long the database lives after a step").await;
            world.h.cut().await;
            steps.mark_unchanged();
        }
    };
    let (failed, ()): (u32, ()) = tokio::join!(stepping, killing);
    assert!(failed > 0, "it was interrupted");
    let replay = testkit::until("an answer after the last cut", || world.s.replay(replay.id)).await;
    let replay = replay.unwrap();
    assert_eq!((replay.sent, replay.passed), (replay.total, 0));
    check(&world, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_break_in_the_middle_skip_and_double_nothing() {
    killed(Postgres::start().await, Duration::from_millis(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_in_the_middle_skips_and_doubles_nothing() {
    killed(Alone::start().await, Duration::from_millis(150)).await;
}

/// Whoever steps is dropped at any point, as the end of a process drops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn steps_that_are_dropped_in_the_middle_skip_and_double_nothing() {
    let world = World::new(Sqlite::start().await).await;
    let all = told(&world).await;
    world.s.begin_replay(&everything(&world.channel)).await.unwrap();
    for n in 0..10_000_u64 {
        let wait = Duration::from_micros(37 * (n % 40));
        if let Ok(Ok(Stepped::Idle)) = tokio::time::timeout(wait, world.s.step_replay()).await {
            break;
        }
    }
    super::replay::finish(&world.s).await;
    check(&world, &all).await;
}

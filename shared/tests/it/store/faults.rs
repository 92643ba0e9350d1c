//! A server that is killed, or that hangs: what was committed stays, what is unknown is found out by
//! reading again, and nobody waits for ever.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use shared::domain::delivery::ParkReason;
use shared::registry::{RegistryError, RegistryStore as _};
use shared::store::{
    CommitError, Deliveries as _, Intake as _, StoreError, Turns as _, Upkeep as _, Verdict,
};
use tokio::time::Instant;

use super::engine_postgres::Alone;
use super::fixtures::{LEASE, World, attempt, turn};
use super::harness::Unreliable as _;
use super::race::{check, race};

conformance! { own server:
    what_was_acknowledged_survives_kill_9_of_the_server_and_the_rest_happens_once,
    a_frozen_server_is_away_within_five_seconds_and_comes_back_by_itself,
    a_commit_that_a_frozen_server_takes_up_late_has_one_effect,
}

const KILLS: usize = 5;

async fn what_was_acknowledged_survives_kill_9_of_the_server_and_the_rest_happens_once(h: Alone) {
    let world = Arc::new(World::new(h).await);
    let racing = {
        let world = Arc::clone(&world);
        // One copy of each turn: nothing but the acknowledged commit itself can bring it.
        async move { race(&world, 6, 600, 1).await }
    };
    let killing = async {
        for _ in 0..KILLS {
            testkit::lapse(Duration::from_millis(100), "how often the server is killed").await;
            world.h.cut().await;
        }
    };
    let ((won, jobs), ()) = tokio::join!(racing, killing);
    check(&world, &jobs).await;
    assert!(won.len() + 6 * KILLS >= 600, "at most one unknown a worker and kill: {}", won.len());
    for (key, turn, first, count) in won {
        let rows = world.s.unsettled(key.id(), turn).await.unwrap();
        let numbers: Vec<_> = rows.iter().map(|delivery| delivery.place.number).collect();
        assert_eq!(numbers, (first..).take(count).collect::<Vec<_>>());
    }
}

/// What a call said, and after how long.
async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let asked = Instant::now();
    let said = call.await;
    (said, asked.elapsed())
}

fn assert_away<T: std::fmt::Debug>(what: &str, (said, took): (Result<T, StoreError>, Duration)) {
    assert!(matches!(said, Err(StoreError::Away(_))), "{what}: {said:?}");
    // Five seconds, and what a busy machine adds.
    assert!(took < Duration::from_secs(8), "{what} took {took:?}");
}

async fn a_frozen_server_is_away_within_five_seconds_and_comes_back_by_itself(h: Alone) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one", "two"]).await;
    let draft = world.draft(&key, said.done.version, turn(), &["three"]);
    world.h.away(true).await;
    let (s, place, asked) = (&world.s, said.place(0), [(world.client.clone(), said.turn)]);
    let log = || Some(attempt(1));
    let park = Verdict::Park(ParkReason::Exhausted);
    let turns = async {
        let (commit, load, unsettled, mark) = tokio::join!(
            timed(s.commit(draft.clone())),
            timed(s.load(&key, said.turn)),
            timed(s.unsettled(key.id(), said.turn)),
            timed(s.mark(said.turn, turn().uuid(), false)),
        );
        assert!(matches!(commit.0, Err(CommitError::Unknown(_))), "{:?}", commit.0);
        assert!(commit.1 < Duration::from_secs(8), "commit took {:?}", commit.1);
        assert_away("load", load);
        assert_away("unsettled", unsettled);
        assert_away("mark", mark);
    };
    let intake = async {
        let (key, outcomes, ping, registry) = tokio::join!(
            timed(s.use_key(&world.channel, "k", [1; 32], said.turn)),
            timed(s.outcomes(&asked)),
            timed(s.ping()),
            timed(s.registry()),
        );
        assert_away("use_key", key);
        assert_away("outcomes", outcomes);
        assert!(ping.1 < Duration::from_secs(4), "ping took {:?}", ping.1);
        assert_away("ping", ping);
        assert!(matches!(registry.0, Err(RegistryError::Store(StoreError::Away(_)))));
    };
    let deliveries = async {
        let (lowest, claim, settle, parked, due, sweep) = tokio::join!(
            timed(s.lowest(key.id())),
            timed(s.claim(place, 0, LEASE)),
            timed(s.settle(place, 0, log(), Verdict::Delivered)),
            timed(s.settle(place, 0, log(), park)),
            timed(s.due(&world.channel, 10)),
            timed(s.sweep(10, 10, &[])),
        );
        assert_away("lowest", lowest);
        assert_away("claim", claim);
        assert_away("settle", settle);
        assert_away("park", parked);
        assert_away("due", due);
        assert_away("sweep", sweep);
    };
    tokio::join!(turns, intake, deliveries);
    world.h.away(false).await;
    back(&world).await;
    // Everything that was asked for may have happened late, once; the fence tells what the commit did.
    if world.settled(&key, draft.record.turn).await.is_none() {
        let _ = s.commit(draft.clone()).await;
    }
    assert!(world.settled(&key, draft.record.turn).await.is_some());
    assert_eq!(world.conversation(&key).await.version, said.done.version + 1, "one effect");
    s.migrate().await.unwrap();
}

/// Waits until the database answers again.
async fn back(world: &World<Alone>) {
    testkit::until("it comes back by itself", || async {
        world.s.ping().await?;
        world.s.load(&world.user("x"), turn()).await
    })
    .await;
}

async fn a_commit_that_a_frozen_server_takes_up_late_has_one_effect(h: Alone) {
    let world = World::new(h).await;
    for round in 0..3 {
        let key = world.user(&format!("user {round}"));
        let before = world.conversation(&key).await.version;
        let draft = world.draft(&key, before, turn(), &["one"]);
        world.h.away(true).await;
        let unknown = world.s.commit(draft.clone()).await;
        assert!(matches!(unknown, Err(CommitError::Unknown(_))), "{unknown:?}");
        // At once after the thaw the second commit races with what the first has left in the socket.
        world.h.away(false).await;
        let known = testkit::until("a commit that is decided", || async {
            match world.s.commit(draft.clone()).await {
                Err(CommitError::Unknown(why)) => Err(why),
                known => Ok(known),
            }
        })
        .await;
        assert!(matches!(known, Ok(_) | Err(CommitError::Missed)), "{known:?}");
        assert!(world.settled(&key, draft.record.turn).await.is_some());
        assert_eq!(world.conversation(&key).await.version, before + 1, "one effect");
        let rows = world.s.unsettled(key.id(), draft.record.turn).await.unwrap();
        assert_eq!(rows.len(), 1);
        world.deliver(key.id()).await;
        assert_eq!(world.lowest(key.id()).await, None);
    }
}

//! Conversations that come and go in company: one birth for many who meet it, and an erasure in the
//! middle of everything.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::ids::{ConversationKey, TurnId};
use shared::store::{Claimed, CommitError, Store, StoreError, Turns as _, Upkeep as _, Verdict};
use testkit::{another_millisecond, lapse};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixtures::{LEASE, World, attempt, turn};
use super::harness::Harness;

conformance! {
    a_conversation_that_many_meet_at_one_moment_is_born_once,
    an_erasure_in_the_middle_of_everything_leaves_only_what_is_newer,
}

async fn a_conversation_that_many_meet_at_one_moment_is_born_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for round in 0..10 {
        let key = world.user(&format!("user {round}"));
        let before: i64 = world.h.rows().await.values().sum();
        let start = Arc::new(Barrier::new(16));
        let mut running = JoinSet::new();
        for n in 0..16 {
            let store = if n % 2 == 0 { world.s.clone() } else { other.clone() };
            let (start, key) = (Arc::clone(&start), key.clone());
            running.spawn(async move {
                start.wait().await;
                store.load(&key, turn()).await.unwrap().0.version
            });
        }
        let versions = running.join_all().await;
        assert!(versions.iter().all(|version| *version == versions[0]), "{versions:?}");
        let after: i64 = world.h.rows().await.values().sum();
        assert_eq!(after, before + 1, "one row, round {round}");
    }
}

/// A dispatcher with one turn, until it is settled or dropped.
async fn work<H: Harness>(
    world: &World<H>,
    store: &H::S,
    key: &ConversationKey,
    job: (TurnId, &str),
) {
    let (turn, text) = job;
    for _ in 0..100 {
        let (conversation, settled) = store.load(key, turn).await.unwrap();
        if settled.is_some() {
            return;
        }
        let mut draft = world.draft(key, conversation.version, turn, &[text]);
        draft.session.state = format!(r#"{{"said":"{text}"}}"#).into();
        draft.record.reply = format!(r#"{{"text":"{text}"}}"#).into();
        match store.commit(draft).await {
            Ok(_) => return,
            Err(CommitError::Missed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the turn is never settled: its job would come again for ever");
}

/// A deliverer that tries what is lowest, and fails half of the time.
async fn deliver<S: Store>(
    store: &S,
    key: &ConversationKey,
    rounds: u32,
) -> Result<(), StoreError> {
    for round in 0..rounds {
        let Some(lowest) = store.lowest(key.id()).await? else {
            lapse(Duration::from_millis(1), "a deliverer with nothing to do looks again later")
                .await;
            continue;
        };
        let row = lowest.delivery;
        if let Claimed::Yes(claim) = store.claim(row.place, row.attempt, LEASE).await? {
            let seen = claim.delivery.attempt;
            let retry = Verdict::Retry(Duration::ZERO);
            let verdict = if round % 2 == 0 { retry } else { Verdict::Delivered };
            let mut log = attempt(seen);
            log.response = row.body;
            store.settle(row.place, seen, Some(log), verdict).await?;
        }
    }
    Ok(())
}

async fn an_erasure_in_the_middle_of_everything_leaves_only_what_is_newer<H: Harness>(h: H) {
    const OLD: &str = "SAID-BEFORE-THE-ERASURE";
    let world = Arc::new(World::new(h).await);
    let none: [String; 0] = [];
    for round in 0..10_u64 {
        let key = world.user(&format!("user {round}"));
        let old: Vec<_> = (0..24).map(|_| turn()).collect();
        // Ids tell milliseconds: what comes before and after shall not share one.
        another_millisecond().await;
        let mut running = JoinSet::new();
        for (n, some) in old.chunks(8).enumerate() {
            let store = if n % 2 == 0 { world.s.clone() } else { world.h.other().await };
            let (world, key, some) = (Arc::clone(&world), key.clone(), some.to_vec());
            running.spawn(async move {
                for turn in some {
                    work(&world, &store, &key, (turn, OLD)).await;
                }
            });
        }
        let (store, lane) = (world.h.other().await, key.clone());
        running.spawn(async move { deliver(&store, &lane, 30).await.unwrap() });
        lapse(Duration::from_millis(round * 3), "it meets the others at another moment each time")
            .await;
        world.s.erase(&key.channel, &key.user).await.unwrap();
        another_millisecond().await;
        let newer = turn();
        work(&world, &world.s, &key, (newer, "fresh")).await;
        running.join_all().await;
        assert_eq!(world.h.traces(OLD).await, none, "round {round}");
        let reply = world.settled(&key, newer).await.expect("it has its row").reply;
        assert_eq!(reply, r#"{"text":"fresh"}"#);
        let state = world.conversation(&key).await.session.state;
        assert_eq!(state, r#"{"said":"fresh"}"#, "round {round}");
    }
}

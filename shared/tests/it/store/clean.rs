//! Stated retention and bounded cleaning of every table.

use std::time::Duration;

use bytes::Bytes;
use shared::domain::delivery::ParkReason;
use shared::domain::outcome::Outcome;
use shared::store::ReplayStore as _;
use shared::store::{Deliveries as _, Intake as _, Retention, Turns as _, Upkeep as _, Verdict};
use shared::topology::Queue;

use super::fixtures::{World, days, turn, turn_aged};
use super::harness::Harness;

conformance! {
    cleaning_a_young_database_removes_nothing,
    turns_are_kept_by_the_time_inside_their_id,
    settled_and_parked_deliveries_have_their_own_retention,
    unsettled_work_is_never_removed,
    an_idle_conversation_goes_and_its_next_life_has_new_numbers,
    every_table_is_cleaned_in_the_end,
    cleaning_goes_in_bounded_rounds,
    cleaning_beside_traffic_hurts_nobody,
}

/// Rounds until there is nothing more to do; the rows removed.
async fn clean<H: Harness>(world: &World<H>) -> u64 {
    let mut rows = 0;
    for _ in 0..1_000 {
        let cleaned = world.s.clean(Retention::default()).await.unwrap();
        rows += cleaned.rows;
        if !cleaned.more {
            return rows;
        }
    }
    panic!("cleaning never ends");
}

async fn cleaning_a_young_database_removes_nothing<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one", "two", "three"]).await;
    world.deliver(key.id()).await;
    world.settle(said.place(1), 0, Verdict::Park(ParkReason::Exhausted)).await;
    world.s.mark(said.turn, turn().uuid(), true).await.unwrap();
    world.s.use_key(&world.channel, "k", [1; 32], said.turn).await.unwrap();
    world.s.keep_stray(Queue::Turns, Bytes::from_static(b"?"), "stray").await.unwrap();
    let rows = world.h.rows().await;
    assert_eq!(clean(&world).await, 0);
    assert_eq!(world.h.rows().await, rows);
}

async fn turns_are_kept_by_the_time_inside_their_id<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    // Whole days may be dropped at once, so one day more than the retention is allowed to stay.
    let old = world.say_as(&key, turn_aged(days(9) + days(1)), &[]).await.turn;
    let young = world.say_as(&key, turn_aged(days(7)), &[]).await.turn;
    let fresh = world.say(&key, &[]).await.turn;
    clean(&world).await;
    assert_eq!(world.settled(&key, old).await, None);
    for kept in [young, fresh] {
        assert!(world.settled(&key, kept).await.is_some());
    }
    world.say(&key, &[]).await;
}

async fn settled_and_parked_deliveries_have_their_own_retention<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["DELIVERED", "PARKED", "BEHIND"]).await;
    world.deliver(key.id()).await;
    world.settle(said.place(1), 0, Verdict::Park(ParkReason::Exhausted)).await;
    let none: [String; 0] = [];
    world.h.pass(days(7)).await;
    clean(&world).await;
    assert_ne!(world.h.traces("DELIVERED").await, none, "a week later");
    world.h.pass(days(3)).await;
    clean(&world).await;
    assert_eq!(world.h.traces("DELIVERED").await, none, "ten days later");
    world.h.pass(days(15)).await;
    clean(&world).await;
    assert_eq!(world.h.parked(key.id()).await.len(), 2, "25 days later");
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 2, "still good for a redrive");
    let again = world.s.lowest(key.id()).await.unwrap().unwrap().delivery;
    assert_eq!(again.body, "PARKED");
    let park = Verdict::Park(ParkReason::Exhausted);
    world.settle(again.place, again.attempt, park).await;
    world.h.pass(days(32)).await;
    clean(&world).await;
    assert_eq!(world.h.parked(key.id()).await, []);
    assert_eq!(world.h.traces("BEHIND").await, none);
}

async fn unsettled_work_is_never_removed<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one", "two"]).await;
    world.deliver(key.id()).await;
    let version = world.conversation(&key).await.version;
    world.h.pass(days(400)).await;
    clean(&world).await;
    let lowest = world.s.lowest(key.id()).await.unwrap().unwrap().delivery;
    assert_eq!(lowest.place, said.place(1));
    assert_eq!(lowest.body, "two");
    assert_eq!(lowest.id.turn, said.turn);
    assert_eq!(world.conversation(&key).await.version, version, "its conversation stays");
    assert_eq!(world.s.sweep(10, 10, &[]).await.unwrap().len(), 1);
    assert_eq!(world.deliver(key.id()).await, said.place(1).number);
}

async fn an_idle_conversation_goes_and_its_next_life_has_new_numbers<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    world.deliver(key.id()).await;
    world.h.pass(days(89)).await;
    clean(&world).await;
    let kept = world.conversation(&key).await;
    assert_eq!(kept.version, said.done.version, "89 days later");
    world.h.pass(days(91)).await;
    clean(&world).await;
    let reborn = world.conversation(&key).await;
    assert!(reborn.version > said.done.version);
    assert!(reborn.session.state.is_empty() || reborn.session.state == "{}");
    let again = world.say(&key, &["one"]).await;
    assert!(again.done.first_delivery > said.done.first_delivery);
    assert!(again.done.head);
}

async fn every_table_is_cleaned_in_the_end<H: Harness>(h: H) {
    let world = World::new(h).await;
    let empty = world.h.rows().await;
    let old = || turn_aged(days(120));
    for n in 0..30 {
        let key = world.user(&format!("user {n}"));
        let version = world.conversation(&key).await.version;
        let turn = old();
        let mut draft = world.draft(&key, version, turn, &["one", "two"]);
        draft.record.outcome = Outcome::Parked;
        draft.record.parked = Some(Bytes::from_static(b"job"));
        let done = world.s.commit(draft).await.unwrap();
        world.deliver(key.id()).await;
        let number = done.first_delivery + 1;
        let place = shared::domain::delivery::Place { conversation: key.id(), number };
        world.settle(place, 0, Verdict::Park(ParkReason::Exhausted)).await;
        world.s.mark(turn, old().uuid(), n % 2 == 0).await.unwrap();
        world.s.use_key(&world.channel, &format!("key {n}"), [1; 32], turn).await.unwrap();
        world.s.keep_stray(Queue::Deliveries, Bytes::from_static(b"?"), "stray").await.unwrap();
    }
    let draft = super::replay::everything(&world.channel);
    let begun = world.s.begin_replay(&draft).await.unwrap();
    let shared::store::replay::Begun::Yes(replay) = begun else { panic!("{begun:?}") };
    world.s.cancel_replay(replay.id, &super::replay::audit()).await.unwrap();
    world.s.erase(&world.channel, &"user 0".into()).await.unwrap();
    world.s.erase(&world.channel, &"nobody".into()).await.unwrap();
    // The audit log outlives everything else.
    world.h.pass(days(800)).await;
    assert!(clean(&world).await > 0);
    assert_eq!(world.h.rows().await, empty, "every table has a cleaner");
    assert_eq!(clean(&world).await, 0);
}

async fn cleaning_goes_in_bounded_rounds<H: Harness>(h: H) {
    let world = World::new(h).await;
    for n in 0..3_000 {
        let key = format!("key {n}");
        world.s.use_key(&world.channel, &key, [1; 32], turn()).await.unwrap();
    }
    world.h.pass(days(2)).await;
    let first = world.s.clean(Retention::default()).await.unwrap();
    assert!(first.rows < 3_000, "one round is bounded: {first:?}");
    assert!(first.more);
    assert_eq!(first.rows + clean(&world).await, 3_000);
}

async fn cleaning_beside_traffic_hurts_nobody<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for n in 0..40 {
        world.conversation(&world.user(&format!("user {n}"))).await;
    }
    world.h.pass(days(91)).await;
    let cleaning = async {
        for _ in 0..30 {
            other.clean(Retention::default()).await.unwrap();
            testkit::lapse(Duration::from_millis(2), "rounds go on while turns are committed")
                .await;
        }
    };
    let talking = async {
        for n in 0..40 {
            // Its conversation may be cleaned away between load and commit: a miss, then again.
            let key = world.user(&format!("user {n}"));
            let turn = turn();
            loop {
                let (conversation, settled) = world.s.load(&key, turn).await.unwrap();
                assert_eq!(settled, None);
                let draft = world.draft(&key, conversation.version, turn, &["one"]);
                match world.s.commit(draft).await {
                    Ok(_) => break,
                    Err(shared::store::CommitError::Missed) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    };
    tokio::join!(cleaning, talking);
    for n in 0..40 {
        world.deliver(world.user(&format!("user {n}")).id()).await;
    }
}

//! Which processes may be at work, and the number of partitions that they work on.

use std::time::Duration;

use shared::store::Upkeep as _;
use shared::store::postgres::Postgres as Store;
use uuid::Uuid;

use super::engine_postgres::Postgres as Engine;
use super::harness::Harness;

const LONG: Duration = Duration::from_mins(1);
const MEET: &str = "the two meet at another moment in each round";

conformance! {
    postgres only:
    the_first_start_settles_the_number_of_partitions,
    the_number_changes_only_when_nobody_may_be_at_work,
    whoever_comes_between_the_look_and_the_change_prevents_it,
    a_process_that_was_taken_for_gone_learns_that_it_is,
    a_lease_that_is_renewed_and_a_change_never_both_succeed,
}

async fn migrated(h: &Engine) -> Store {
    let store = h.store();
    store.migrate().await.unwrap();
    store
}

fn process() -> Uuid {
    Uuid::now_v7()
}

async fn the_first_start_settles_the_number_of_partitions(h: Engine) {
    let store = migrated(&h).await;
    assert_eq!(store.standing().await.unwrap(), None);
    for asked in [16, 4] {
        let generation = store.generation(asked).await.unwrap();
        assert_eq!((generation.number, generation.partitions), (1, 16));
    }
}

async fn the_number_changes_only_when_nobody_may_be_at_work(h: Engine) {
    let store = migrated(&h).await;
    store.generation(16).await.unwrap();
    let me = process();
    store.arrive(me, "ingress", LONG).await.unwrap();
    let seen = store.standing().await.unwrap().unwrap();
    assert_eq!((seen.rooms.len(), seen.rooms[0].name.as_str()), (1, "ingress"));
    assert!((60.0..=66.0).contains(&seen.rooms[0].for_seconds), "{seen:?}");
    assert_eq!(store.renumber(&seen, 8, false).await.unwrap(), None);
    store.leave(me).await.unwrap();
    let stopped = process();
    store.arrive(stopped, "killed, or stopped for a day", LONG).await.unwrap();
    h.pass(Duration::from_hours(25)).await;
    let me = process();
    store.arrive(me, "ingress", LONG).await.unwrap();
    store.leave(me).await.unwrap();
    assert_eq!(h.rows().await["room"], 0, "what was killed leaves nothing for ever");
    assert_eq!(store.stay(stopped, LONG).await.unwrap(), None, "it is seen, or it has no lease");
    let seen = store.standing().await.unwrap().unwrap();
    assert_eq!(seen.rooms, []);
    let made = store.renumber(&seen, 8, false).await.unwrap().unwrap();
    assert_eq!((made.number, made.partitions), (2, 8));
    assert_eq!(store.renumber(&seen, 4, false).await.unwrap(), None, "it is another now");
    assert_eq!(store.generation(16).await.unwrap(), made);
}

async fn whoever_comes_between_the_look_and_the_change_prevents_it(h: Engine) {
    let store = migrated(&h).await;
    store.generation(16).await.unwrap();
    let seen = store.standing().await.unwrap().unwrap();
    let me = process();
    store.arrive(me, "dispatcher", LONG).await.unwrap();
    store.leave(me).await.unwrap();
    assert_eq!(store.renumber(&seen, 8, false).await.unwrap(), None);
    assert_eq!(store.renumber(&seen, 8, true).await.unwrap(), None);
}

async fn a_process_that_was_taken_for_gone_learns_that_it_is(h: Engine) {
    let store = migrated(&h).await;
    store.generation(16).await.unwrap();
    let me = process();
    let before = store.arrive(me, "ingress", LONG).await.unwrap();
    let seen = store.standing().await.unwrap().unwrap();
    let made = store.renumber(&seen, 8, true).await.unwrap().unwrap();
    assert_eq!(store.stay(me, LONG).await.unwrap(), None);
    assert_eq!(store.standing().await.unwrap().unwrap().rooms, [], "nothing is kept of it");
    assert_eq!(store.arrive(me, "ingress", LONG).await.unwrap(), made);
    assert_ne!(before, made);
}

async fn a_lease_that_is_renewed_and_a_change_never_both_succeed(h: Engine) {
    let store = migrated(&h).await;
    let mut generation = store.generation(16).await.unwrap();
    let (mut stayed, mut changed) = (0, 0);
    for n in 0..60 {
        // It has ended so long ago that clocks do not matter.
        let me = process();
        store.arrive(me, "ingress", Duration::ZERO).await.unwrap();
        h.client()
            .await
            .execute("update room set until = until - interval '1 minute'", &[])
            .await
            .unwrap();
        let seen = store.standing().await.unwrap().unwrap();
        // One of them begins later, and now and then much later.
        let wait = Duration::from_micros(n * n * 10);
        let (first, second) =
            if n % 2 == 0 { (Duration::ZERO, wait) } else { (wait, Duration::ZERO) };
        let partitions = if seen.generation.partitions == 16 { 8 } else { 16 };
        let (heard, moved) = tokio::join!(
            async {
                testkit::lapse(first, MEET).await;
                store.stay(me, LONG).await.unwrap()
            },
            async {
                testkit::lapse(second, MEET).await;
                store.renumber(&seen, partitions, false).await
            }
        );
        if let Some(made) = moved.unwrap() {
            assert_eq!(heard, None, "it knows at once");
            generation = made;
            changed += 1;
        } else {
            assert_eq!(heard, Some(generation));
            stayed += 1;
        }
        store.leave(me).await.unwrap();
    }
    assert!(stayed > 0 && changed > 0, "{stayed} and {changed}: they hardly met");
}

//! Outcomes of attempts: conditional on the attempt's number, counted as they should be, once.

use std::time::Duration;

use shared::domain::delivery::Delivery;
use shared::store::{Deliveries as _, Settlement, Verdict};

use super::fixtures::{Said, World, attempt};
use super::harness::Harness;

conformance! {
    a_delivered_row_gives_way_to_the_next_lowest,
    the_first_post_of_a_fresh_row_is_settled_without_a_claim,
    a_retry_moves_the_time_and_counts_a_failure,
    a_deferral_moves_the_time_and_counts_only_itself,
    our_own_fault_counts_neither_failure_nor_deferral,
    an_outcome_that_is_written_again_counts_once,
    a_settled_row_never_moves_back,
    an_attempt_leaves_its_log_row,
    an_outcome_needs_the_attempt_number_that_the_row_shows,
    a_row_above_the_lowest_can_be_settled_without_moving_the_head,
}

const MINUTE: Duration = Duration::from_mins(1);

async fn row<H: Harness>(world: &World<H>, said: &Said) -> Delivery {
    world.s.lowest(said.conversation).await.unwrap().unwrap().delivery
}

/// The next lowest after an outcome that was written: number and time until it is due.
fn next(settlement: Settlement) -> Option<(i64, Duration)> {
    match settlement {
        Settlement::Written { next } => {
            next.map(|lowest| (lowest.delivery.place.number, lowest.due_in))
        }
        Settlement::Missed => panic!("nothing was written"),
    }
}

async fn a_delivered_row_gives_way_to_the_next_lowest<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let first = world.say(&key, &["one", "two"]).await;
    let second = world.say(&key, &["three"]).await;
    let claim = world.claim(first.place(0), 0).await;
    let written = world.settle(claim.place, claim.attempt, Verdict::Delivered).await;
    let Settlement::Written { next: Some(lowest) } = written else { panic!("{written:?}") };
    assert_eq!(lowest.delivery.place, first.place(1));
    assert_eq!(lowest.delivery.body, "two");
    assert_eq!((lowest.due_in, lowest.claimed_for, lowest.disabled), Default::default());
    let written = world.settle(first.place(1), 0, Verdict::Delivered).await;
    assert_eq!(next(written).unwrap().0, second.place(0).number);
    let written = world.settle(second.place(0), 0, Verdict::Delivered).await;
    assert_eq!(next(written), None);
    assert_eq!(world.lowest(key.id()).await, None);
}

async fn the_first_post_of_a_fresh_row_is_settled_without_a_claim<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one", "two"]).await;
    let written = world.settle(said.place(0), 0, Verdict::Retry(Duration::ZERO)).await;
    assert_eq!(next(written).unwrap().0, said.place(0).number);
    let row = row(&world, &said).await;
    assert_eq!((row.attempt, row.failures), (1, 1), "the log's attempt number is the row's now");
}

async fn a_retry_moves_the_time_and_counts_a_failure<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one", "two"]).await;
    for failures in 1..=3 {
        let claim = world.claim(said.place(0), failures - 1).await;
        let written = world.settle(claim.place, claim.attempt, Verdict::Retry(MINUTE)).await;
        let (number, due_in) = next(written).unwrap();
        assert_eq!(number, said.place(0).number, "the one behind does not overtake");
        assert!(due_in > MINUTE / 3 && due_in <= MINUTE, "{due_in:?}");
        let row = row(&world, &said).await;
        assert_eq!((row.attempt, row.failures, row.deferrals), (failures, failures, 0));
        world.h.pass(MINUTE).await;
    }
}

async fn a_deferral_moves_the_time_and_counts_only_itself<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    world.settle(said.place(0), 0, Verdict::Retry(Duration::ZERO)).await;
    for deferrals in 1..=3 {
        let claim = world.claim(said.place(0), deferrals).await;
        let written = world.settle(claim.place, claim.attempt, Verdict::Defer(MINUTE)).await;
        let (_, due_in) = next(written).unwrap();
        assert!(due_in > MINUTE / 3 && due_in <= MINUTE, "{due_in:?}");
        let row = row(&world, &said).await;
        assert_eq!((row.failures, row.deferrals), (1, deferrals));
        world.h.pass(MINUTE).await;
    }
}

async fn our_own_fault_counts_neither_failure_nor_deferral<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    let claim = world.claim(said.place(0), 0).await;
    let written = world.s.settle(claim.place, claim.attempt, None, Verdict::Ours(MINUTE)).await;
    let (_, due_in) = next(written.unwrap()).unwrap();
    assert!(due_in > MINUTE / 3 && due_in <= MINUTE, "{due_in:?}");
    let row = row(&world, &said).await;
    assert_eq!((row.attempt, row.failures, row.deferrals), (1, 0, 0));
    world.h.pass(MINUTE).await;
    let again = world.claim(said.place(0), 1).await;
    assert_eq!(again.attempt, 2, "attempt numbers never restart");
    let mut log = attempt(2);
    log.error = Some("address_refused".to_owned());
    log.status = 0;
    let ours = Verdict::Ours(MINUTE);
    next(world.s.settle(again.place, 2, Some(log), ours).await.unwrap()).unwrap();
    let row = world.s.lowest(said.conversation).await.unwrap().unwrap().delivery;
    assert_eq!((row.failures, row.deferrals), (0, 0));
}

async fn an_outcome_that_is_written_again_counts_once<H: Harness>(h: H) {
    // An outcome whose write is unknown is repeated until it is known.
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    for seen in [0, 1] {
        let claim = if seen == 0 { 0 } else { world.claim(said.place(0), seen).await.attempt };
        for _ in 0..3 {
            let log = attempt(claim.max(1));
            let again = Verdict::Retry(Duration::ZERO);
            world.s.settle(said.place(0), claim, Some(log), again).await.unwrap();
        }
        let row = row(&world, &said).await;
        assert_eq!((row.attempt, row.failures), (seen + 1, seen + 1), "counted once");
    }
    let claim = world.claim(said.place(0), 2).await.attempt;
    for _ in 0..3 {
        let log = Some(attempt(claim));
        let later = Verdict::Defer(Duration::ZERO);
        world.s.settle(said.place(0), claim, log, later).await.unwrap();
    }
    assert_eq!(row(&world, &said).await.deferrals, 1, "counted once");
}

async fn a_settled_row_never_moves_back<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one", "two"]).await;
    let claim = world.claim(said.place(0), 0).await;
    world.settle(claim.place, claim.attempt, Verdict::Delivered).await;
    let verdicts = [
        Verdict::Retry(Duration::ZERO),
        Verdict::Defer(Duration::ZERO),
        Verdict::Ours(Duration::ZERO),
        Verdict::Park(shared::domain::delivery::ParkReason::Exhausted),
        Verdict::Park(shared::domain::delivery::ParkReason::Gone),
    ];
    for verdict in verdicts {
        let late = world.settle(claim.place, claim.attempt, verdict.clone()).await;
        assert_eq!(late, Settlement::Missed, "{verdict:?}");
    }
    assert_eq!(world.lowest(said.conversation).await, Some(said.place(1).number));
    assert_eq!(world.h.parked(said.conversation).await, []);
    let registry = shared::store::RegistryStore::registry(&world.s).await.unwrap();
    let endpoint = registry.channels[&world.channel].endpoint.as_ref().unwrap();
    assert!(!endpoint.disabled);
}

async fn an_attempt_leaves_its_log_row<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    let before = world.h.rows().await;
    for seen in 0..3 {
        let claim = world.claim(said.place(0), seen).await;
        let mut log = attempt(claim.attempt);
        log.response = format!("RESPONSE-{seen}").into();
        log.error = (seen == 1).then(|| "timeout".to_owned());
        let retry = Verdict::Retry(Duration::ZERO);
        world.s.settle(claim.place, claim.attempt, Some(log), retry).await.unwrap();
        assert_ne!(world.h.traces(&format!("RESPONSE-{seen}")).await, Vec::<String>::new());
    }
    let after: i64 = world.h.rows().await.values().sum();
    assert_eq!(after, before.values().sum::<i64>() + 3, "one row an attempt");
}

async fn an_outcome_needs_the_attempt_number_that_the_row_shows<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    let missed = world.settle(said.place(0), 1, Verdict::Delivered).await;
    assert_eq!(missed, Settlement::Missed);
    world.claim(said.place(0), 0).await;
    // The fresh doorbell's unclaimed POST ends after another has claimed the row.
    let missed = world.settle(said.place(0), 0, Verdict::Delivered).await;
    assert_eq!(missed, Settlement::Missed);
    assert_eq!(world.lowest(said.conversation).await, Some(said.place(0).number));
}

async fn a_row_above_the_lowest_can_be_settled_without_moving_the_head<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one", "two", "three"]).await;
    let written = world.settle(said.place(1), 0, Verdict::Delivered).await;
    assert_eq!(next(written).unwrap().0, said.place(0).number);
    let written = world.settle(said.place(0), 0, Verdict::Delivered).await;
    assert_eq!(next(written).unwrap().0, said.place(2).number);
    let heads = world.s.due(&world.channel, 10).await.unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!(heads[0].delivery.place, said.place(2));
}

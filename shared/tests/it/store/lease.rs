//! Claims: at most one holder at a time, and a dead one costs a wait, not an attempt.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::delivery::Place;
use shared::store::{Claimed, Deliveries as _, Settlement, Turns as _, Verdict};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixtures::{LEASE, World, claimed};
use super::harness::Harness;

conformance! {
    a_claim_counts_the_attempt_and_shows_the_row,
    of_two_claimers_at_once_one_is_granted,
    a_row_that_is_not_due_cannot_be_claimed,
    a_claimed_row_cannot_be_claimed_until_the_lease_ends,
    a_settled_row_cannot_be_claimed,
    a_row_that_does_not_exist_cannot_be_claimed,
    a_claim_needs_the_attempt_number_that_the_row_shows,
    a_dead_claimer_costs_a_wait_and_not_an_attempt_of_the_schedule,
    a_frozen_claimers_late_outcome_writes_nothing,
    the_lowest_row_tells_how_long_it_is_claimed_and_when_it_is_due,
}

async fn a_claim_counts_the_attempt_and_shows_the_row<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    let row = world.s.lowest(said.conversation).await.unwrap().unwrap().delivery;
    let claim = world.claim(said.place(0), 0).await;
    assert_eq!(claim.attempt, 1);
    assert_eq!(claim, shared::domain::delivery::Delivery { attempt: 1, ..row });
    let now = world.s.lowest(said.conversation).await.unwrap().unwrap().delivery;
    assert_eq!(now, claim);
}

async fn of_two_claimers_at_once_one_is_granted<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for round in 0..25 {
        let said = world.say(&world.user(&format!("user {round}")), &["one"]).await;
        let start = Arc::new(Barrier::new(8));
        let mut running = JoinSet::new();
        for n in 0..8 {
            let store = if n % 2 == 0 { world.s.clone() } else { other.clone() };
            let (start, place) = (Arc::clone(&start), said.place(0));
            running.spawn(async move {
                start.wait().await;
                store.claim(place, 0, LEASE).await.unwrap()
            });
        }
        let answers = running.join_all().await;
        let granted = answers.iter().filter(|answer| matches!(answer, Claimed::Yes(_))).count();
        assert_eq!(granted, 1, "{answers:?}");
        let refused = answers.iter().filter(|answer| **answer == Claimed::No).count();
        assert_eq!(refused, 7, "{answers:?}");
    }
}

async fn a_row_that_is_not_due_cannot_be_claimed<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    let wait = Verdict::Retry(Duration::from_mins(10));
    world.settle(said.place(0), 0, wait).await;
    assert_eq!(world.s.claim(said.place(0), 1, LEASE).await.unwrap(), Claimed::No);
    world.h.pass(Duration::from_secs(500)).await;
    assert_eq!(world.s.claim(said.place(0), 1, LEASE).await.unwrap(), Claimed::No);
    world.h.pass(Duration::from_secs(101)).await;
    assert_eq!(world.claim(said.place(0), 1).await.attempt, 2);
}

async fn a_claimed_row_cannot_be_claimed_until_the_lease_ends<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    world.claim(said.place(0), 0).await;
    for seen in [0, 1, 2] {
        assert_eq!(world.s.claim(said.place(0), seen, LEASE).await.unwrap(), Claimed::No);
    }
    world.h.pass(LEASE + Duration::from_secs(1)).await;
    assert_eq!(world.s.claim(said.place(0), 0, LEASE).await.unwrap(), Claimed::No);
    assert_eq!(world.claim(said.place(0), 1).await.attempt, 2);
}

async fn a_settled_row_cannot_be_claimed<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["delivered", "parked"]).await;
    world.deliver(said.conversation).await;
    let parked = Verdict::Park(shared::domain::delivery::ParkReason::Exhausted);
    world.settle(said.place(1), 0, parked).await;
    for place in [said.place(0), said.place(1)] {
        for seen in [0, 1] {
            assert_eq!(world.s.claim(place, seen, LEASE).await.unwrap(), Claimed::No);
        }
    }
}

async fn a_row_that_does_not_exist_cannot_be_claimed<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    let stranger = Place { conversation: world.user("bob").id(), number: 1 };
    for place in [said.place(1), said.place(-1), stranger] {
        assert_eq!(world.s.claim(place, 0, LEASE).await.unwrap(), Claimed::No);
        let settled = world.settle(place, 0, Verdict::Delivered).await;
        assert_eq!(settled, Settlement::Missed);
    }
}

async fn a_claim_needs_the_attempt_number_that_the_row_shows<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    assert_eq!(world.s.claim(said.place(0), 1, LEASE).await.unwrap(), Claimed::No);
    world.settle(said.place(0), 0, Verdict::Retry(Duration::ZERO)).await;
    assert_eq!(world.s.claim(said.place(0), 0, LEASE).await.unwrap(), Claimed::No);
    assert_eq!(world.claim(said.place(0), 1).await.attempt, 2);
}

async fn a_dead_claimer_costs_a_wait_and_not_an_attempt_of_the_schedule<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one"]).await;
    for seen in 0..3 {
        let claim = world.claim(said.place(0), seen).await;
        assert_eq!((claim.failures, claim.deferrals), (0, 0), "the schedule counts failures only");
        world.h.pass(LEASE + Duration::from_secs(1)).await;
    }
    let row = world.s.lowest(said.conversation).await.unwrap().unwrap().delivery;
    assert_eq!((row.attempt, row.failures, row.deferrals), (3, 0, 0));
}

async fn a_frozen_claimers_late_outcome_writes_nothing<H: Harness>(h: H) {
    let world = World::new(h).await;
    let said = world.say(&world.user("ann"), &["one", "two"]).await;
    let frozen = world.claim(said.place(0), 0).await;
    world.h.pass(LEASE + Duration::from_secs(1)).await;
    let second = world.claim(said.place(0), 1).await;
    let park = Verdict::Park(shared::domain::delivery::ParkReason::Exhausted);
    let verdicts = [
        park,
        Verdict::Delivered,
        Verdict::Retry(Duration::from_mins(1)),
        Verdict::Defer(Duration::from_mins(1)),
        Verdict::Ours(Duration::from_mins(1)),
    ];
    for verdict in &verdicts {
        let late = world.settle(said.place(0), frozen.attempt, verdict.clone()).await;
        assert_eq!(late, Settlement::Missed, "{verdict:?} while another holds the claim");
        let row = world.s.lowest(said.conversation).await.unwrap().unwrap();
        assert_eq!(row.delivery, second);
        assert!(row.claimed_for > Duration::ZERO, "the other's claim still runs");
    }
    world.settle(said.place(0), second.attempt, Verdict::Delivered).await;
    for verdict in verdicts {
        let late = world.settle(said.place(0), frozen.attempt, verdict.clone()).await;
        assert_eq!(late, Settlement::Missed, "{verdict:?} after another's outcome");
    }
    assert_eq!(world.h.parked(said.conversation).await, []);
    assert_eq!(world.lowest(said.conversation).await, Some(said.place(1).number));
    let fresh = world.s.unsettled(said.conversation, said.turn).await.unwrap();
    assert_eq!(fresh.len(), 1, "the second delivery is untouched: {fresh:?}");
}

async fn the_lowest_row_tells_how_long_it_is_claimed_and_when_it_is_due<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    assert_eq!(world.s.lowest(key.id()).await.unwrap(), None);
    let said = world.say(&key, &["one", "two"]).await;
    let fresh = world.s.lowest(key.id()).await.unwrap().unwrap();
    assert_eq!(fresh.delivery.place, said.place(0));
    assert_eq!((fresh.due_in, fresh.claimed_for, fresh.disabled), Default::default());
    let claim = claimed(world.s.claim(said.place(0), 0, LEASE).await.unwrap());
    let held = world.s.lowest(key.id()).await.unwrap().unwrap();
    assert!(
        held.claimed_for > LEASE.checked_sub(Duration::from_mins(1)).unwrap(),
        "{:?}",
        held.claimed_for
    );
    assert!(held.claimed_for <= LEASE, "{:?}", held.claimed_for);
    let wait = Duration::from_mins(5);
    world.settle(said.place(0), claim.delivery.attempt, Verdict::Retry(wait)).await;
    let waiting = world.s.lowest(key.id()).await.unwrap().unwrap();
    assert_eq!(waiting.claimed_for, Duration::ZERO, "an outcome ends the claim");
    assert!(waiting.due_in > Duration::from_mins(4), "{:?}", waiting.due_in);
    assert!(waiting.due_in <= wait, "{:?}", waiting.due_in);
    world.h.pass(wait).await;
    let due = world.s.lowest(key.id()).await.unwrap().unwrap();
    assert_eq!(due.due_in, Duration::ZERO);
}

//! Parked work comes back at the end, in its old order.

use std::time::Duration;

use shared::domain::delivery::ParkReason::{Exhausted, Gone};
use shared::store::{Deliveries as _, Turns as _, Upkeep as _, Verdict};

use super::fixtures::{World, turn};
use super::harness::Harness;

conformance! {
    redriven_deliveries_keep_their_order_and_identity_at_the_end,
    a_redrive_does_not_touch_the_version,
    redriven_deliveries_wait_behind_what_is_unsettled,
    attempt_numbers_go_on_and_the_schedule_restarts,
    a_redrive_of_nothing_does_nothing,
    a_redriven_delivery_is_rung_for,
    redrives_at_one_moment_bring_each_delivery_back_once,
}

async fn redriven_deliveries_keep_their_order_and_identity_at_the_end<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let first = world.say(&key, &["a", "b"]).await;
    let second = world.say(&key, &["c"]).await;
    let before: Vec<_> = [
        world.s.unsettled(key.id(), first.turn).await.unwrap(),
        world.s.unsettled(key.id(), second.turn).await.unwrap(),
    ]
    .concat();
    world.settle(first.place(0), 0, Verdict::Park(Exhausted)).await;
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 3);
    assert_eq!(world.h.parked(key.id()).await, [], "they are not parked any more");
    let next = first.done.first_delivery + 3;
    for (n, old) in (0..).zip(&before) {
        let row = world.s.lowest(key.id()).await.unwrap().unwrap().delivery;
        assert_eq!(row.place.number, next + n, "numbers are appended");
        assert_eq!((row.id, &row.body, &row.channel), (old.id, &old.body, &old.channel));
        assert!(row.redriven);
        world.deliver(key.id()).await;
    }
    assert_eq!(world.lowest(key.id()).await, None);
    let later = world.say(&key, &["d"]).await;
    assert_eq!(later.done.first_delivery, next + 3);
    assert!(later.done.head);
}

async fn a_redrive_does_not_touch_the_version<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["a", "b"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
    world.s.redrive(key.id()).await.unwrap();
    assert_eq!(world.conversation(&key).await.version, said.done.version);
    // A run that was under way commits, and its numbers follow the redriven ones.
    let draft = world.draft(&key, said.done.version, turn(), &["c"]);
    let done = world.s.commit(draft).await.unwrap();
    assert_eq!(done.first_delivery, said.done.first_delivery + 4);
    assert!(!done.head, "the redriven ones are before it");
}

async fn redriven_deliveries_wait_behind_what_is_unsettled<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["a", "b"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
    let later = world.say(&key, &["c"]).await;
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 2);
    assert_eq!(world.lowest(key.id()).await, Some(later.place(0).number));
    assert_eq!(world.s.due(&world.channel, 10).await.unwrap().len(), 1, "one head");
    let mut bodies = Vec::new();
    while let Some(lowest) = world.s.lowest(key.id()).await.unwrap() {
        bodies.push(lowest.delivery.body);
        world.deliver(key.id()).await;
    }
    assert_eq!(bodies, ["c", "a", "b"]);
}

async fn attempt_numbers_go_on_and_the_schedule_restarts<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["a"]).await;
    for seen in 0..3 {
        let claim = world.claim(said.place(0), seen).await;
        let verdict = match seen {
            0 => Verdict::Retry(Duration::ZERO),
            1 => Verdict::Defer(Duration::ZERO),
            _ => Verdict::Park(Exhausted),
        };
        world.settle(claim.place, claim.attempt, verdict).await;
    }
    world.s.redrive(key.id()).await.unwrap();
    let row = world.s.lowest(key.id()).await.unwrap().unwrap();
    assert_eq!((row.delivery.attempt, row.delivery.failures), (3, 0));
    assert_eq!(row.delivery.deferrals, 0);
    assert_eq!(row.due_in, Duration::ZERO);
    let claim = world.claim(row.delivery.place, 3).await;
    assert_eq!(claim.attempt, 4);
    world.settle(claim.place, 4, Verdict::Delivered).await;
}

async fn a_redrive_of_nothing_does_nothing<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 0);
    let said = world.say(&key, &["a", "b"]).await;
    world.deliver(key.id()).await;
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 0);
    assert_eq!(world.lowest(key.id()).await, Some(said.place(1).number));
    world.deliver(key.id()).await;
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 0, "what came home stays home");
    assert_eq!(world.lowest(key.id()).await, None);
}

async fn a_redriven_delivery_is_rung_for<H: Harness>(h: H) {
    use shared::domain::channel::ChannelAction;
    use shared::store::RegistryStore as _;
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["a", "b"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Gone)).await;
    world.s.act(&world.channel, ChannelAction::Suspend).await.unwrap();
    world.s.act(&world.channel, ChannelAction::Approve).await.unwrap();
    world.h.pass(Duration::from_mins(10)).await;
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 2);
    world.h.pass(Duration::from_secs(31)).await;
    let hints = world.s.sweep(10, 10, &[]).await.unwrap();
    assert_eq!(hints.len(), 1);
    assert_eq!(hints[0].place.number, said.done.first_delivery + 2);
    assert_eq!(hints[0].turn, said.turn);
}

async fn redrives_at_one_moment_bring_each_delivery_back_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for round in 0..20 {
        let key = world.user(&format!("user {round}"));
        let said = world.say(&key, &["a", "b", "c"]).await;
        world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
        let (a, b) = tokio::join!(world.s.redrive(key.id()), other.redrive(key.id()));
        assert_eq!(a.unwrap() + b.unwrap(), 3);
        let rows = world.s.unsettled(key.id(), said.turn).await.unwrap();
        let numbers: Vec<_> = rows.iter().map(|row| row.place.number).collect();
        let first = said.done.first_delivery + 3;
        assert_eq!(numbers, [first, first + 1, first + 2]);
    }
}

//! Parking a delivery, and what goes with it.

use std::time::Duration;

use shared::domain::channel::ChannelAction;
use shared::domain::delivery::ParkReason::{Behind, Disabled, Exhausted, Gone};
use shared::registry::control::ControlStore as _;
use shared::store::{
    Claimed, Deliveries as _, RegistryStore as _, Settlement, Turns as _, Verdict,
};

use super::fixtures::{LEASE, World, turn};
use super::harness::Harness;

conformance! {
    an_exhausted_delivery_takes_those_behind_it_along,
    deliveries_committed_after_the_parking_go_on,
    a_delivery_committed_during_the_parking_is_behind_or_goes_on,
    gone_disables_the_endpoint_for_everybody,
    a_claim_on_a_disabled_endpoint_says_so_and_the_row_is_parked,
    a_disabled_endpoint_of_one_channel_does_not_touch_another,
    an_approval_enables_the_endpoint_again,
    parking_touches_only_its_own_conversation,
}

async fn an_exhausted_delivery_takes_those_behind_it_along<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let first = world.say(&key, &["home", "exhausted", "behind"]).await;
    let second = world.say(&key, &["behind too"]).await;
    world.deliver(key.id()).await;
    let claim = world.claim(first.place(1), 0).await;
    let written = world.settle(claim.place, claim.attempt, Verdict::Park(Exhausted)).await;
    assert_eq!(written, Settlement::Written { next: None });
    let expected = [
        (first.place(1).number, Exhausted),
        (first.place(2).number, Behind),
        (second.place(0).number, Behind),
    ];
    assert_eq!(world.h.parked(key.id()).await, expected);
    assert_eq!(world.lowest(key.id()).await, None);
    assert_eq!(world.s.unsettled(key.id(), first.turn).await.unwrap(), []);
    let registry = world.s.registry().await.unwrap();
    let endpoint = registry.channels[&world.channel].endpoint.as_ref().unwrap();
    assert!(!endpoint.disabled, "an exhausted schedule does not disable");
}

async fn deliveries_committed_after_the_parking_go_on<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one", "two"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
    let later = world.say(&key, &["three"]).await;
    assert!(later.done.head, "nothing lower is unsettled");
    assert_eq!(later.done.first_delivery, said.done.first_delivery + 2);
    assert_eq!(world.lowest(key.id()).await, Some(later.place(0).number));
    let heads = world.s.due(&world.channel, 10).await.unwrap();
    assert_eq!(heads.len(), 1);
}

async fn a_delivery_committed_during_the_parking_is_behind_or_goes_on<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    let (mut behind, mut went_on) = (0, 0);
    for round in 0..60 {
        let key = world.user(&format!("user {round}"));
        let said = world.say(&key, &["one", "two"]).await;
        let draft = world.draft(&key, said.done.version, turn(), &["three"]);
        let stagger = Duration::from_micros(round % 12 * 100);
        let commit = async {
            testkit::lapse(stagger, "the two meet at another moment in each round").await;
            world.s.commit(draft.clone()).await
        };
        let park = other.settle(said.place(0), 0, None, Verdict::Park(Exhausted));
        let (done, parked) = tokio::join!(commit, park);
        let number = done.expect("parking a delivery does not move the version").first_delivery;
        assert_eq!(number, said.done.first_delivery + 2);
        assert!(matches!(parked, Ok(Settlement::Written { .. })), "{parked:?}");
        let mut expected = vec![(said.place(0).number, Exhausted), (said.place(1).number, Behind)];
        let now = world.h.parked(key.id()).await;
        if let Some(lowest) = world.lowest(key.id()).await {
            assert_eq!(lowest, number, "only the new one is unsettled");
            let heads = world.s.due(&world.channel, 1_000).await.unwrap();
            let head = heads.iter().any(|head| head.delivery.place.conversation == key.id());
            assert!(head, "what goes on is the head, or nobody would ever ring for it");
            went_on += 1;
        } else {
            expected.push((number, Behind));
            behind += 1;
        }
        assert_eq!(now, expected, "round {round}");
    }
    assert_eq!(behind + went_on, 60);
}

async fn gone_disables_the_endpoint_for_everybody<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let first = world.say(&ann, &["one", "two"]).await;
    let second = world.say(&bob, &["one", "two"]).await;
    let written = world.settle(first.place(0), 0, Verdict::Park(Gone)).await;
    assert_eq!(written, Settlement::Written { next: None });
    let expected = [(first.place(0).number, Gone), (first.place(1).number, Behind)];
    assert_eq!(world.h.parked(ann.id()).await, expected);
    let registry = world.s.registry().await.unwrap();
    assert!(registry.channels[&world.channel].endpoint.as_ref().unwrap().disabled);
    assert_eq!(world.h.parked(bob.id()).await, [], "the others are parked when they come up");
    let lowest = world.s.lowest(bob.id()).await.unwrap().unwrap();
    assert_eq!(lowest.delivery.place, second.place(0));
    assert!(lowest.disabled);
}

async fn a_claim_on_a_disabled_endpoint_says_so_and_the_row_is_parked<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let said = world.say(&ann, &["one"]).await;
    assert_eq!(world.s.marked().await.unwrap(), []);
    world.settle(said.place(0), 0, Verdict::Park(Gone)).await;
    assert_eq!(world.s.marked().await.unwrap(), std::slice::from_ref(&world.channel));
    let said = world.say(&bob, &["one", "two"]).await;
    let answer = world.s.claim(said.place(0), 0, LEASE).await.unwrap();
    let Claimed::Disabled(row) = answer else { panic!("{answer:?}") };
    assert_eq!(row.place, said.place(0));
    let park = Verdict::Park(Disabled);
    let written = world.s.settle(row.place, row.attempt, None, park).await.unwrap();
    assert!(matches!(written, Settlement::Written { .. }), "{written:?}");
    let parked = world.h.parked(bob.id()).await;
    assert_eq!(parked[0], (said.place(0).number, Disabled));
    for (number, reason) in &parked[1..] {
        assert!([Behind, Disabled].contains(reason), "{number}: {reason}");
    }
}

async fn a_disabled_endpoint_of_one_channel_does_not_touch_another<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    key.channel = world.another_channel().await;
    let elsewhere = world.say(&key, &["one"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Gone)).await;
    let lowest = world.s.lowest(elsewhere.conversation).await.unwrap().unwrap();
    assert!(!lowest.disabled);
    world.claim(elsewhere.place(0), 0).await;
}

async fn an_approval_enables_the_endpoint_again<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let said = world.say(&ann, &["one"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Gone)).await;
    world.s.act(&world.channel, ChannelAction::Suspend).await.unwrap();
    world.s.act(&world.channel, ChannelAction::Approve).await.unwrap();
    let registry = world.s.registry().await.unwrap();
    assert!(!registry.channels[&world.channel].endpoint.as_ref().unwrap().disabled);
    let said = world.say(&bob, &["one"]).await;
    world.claim(said.place(0), 0).await;
}

async fn parking_touches_only_its_own_conversation<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let said = world.say(&ann, &["one", "two"]).await;
    let other = world.say(&bob, &["one", "two"]).await;
    world.settle(said.place(0), 0, Verdict::Park(Exhausted)).await;
    assert_eq!(world.h.parked(bob.id()).await, []);
    assert_eq!(world.deliver(bob.id()).await, other.place(0).number);
    assert_eq!(world.deliver(bob.id()).await, other.place(1).number);
}

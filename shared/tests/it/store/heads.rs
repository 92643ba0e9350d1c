//! Whatever happens to a conversation's deliveries, in whatever company: the head is the lowest
//! unsettled one, and settled only moves forward. A wrong head is a reply that nobody rings for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::domain::delivery::ParkReason;
use shared::domain::ids::ConversationKey;
use shared::entropy::Entropy;
use shared::store::{Claimed, Deliveries, Store, Turns as _, Upkeep, Verdict};
use tokio::task::JoinSet;

use super::fixtures::{World, attempt, turn};
use super::harness::Harness;

conformance! {
    the_head_is_the_lowest_unsettled_delivery_after_any_history,
    commits_beside_outcomes_never_leave_a_conversation_without_its_head,
}

const USERS: u64 = 6;

/// One random act of a deliverer or an operator on a conversation.
async fn act<S: Store>(store: &S, key: &ConversationKey, chance: &Entropy) {
    if chance.u64().is_multiple_of(6) {
        store.redrive(key.id()).await.unwrap();
        return;
    }
    let Some(lowest) = store.lowest(key.id()).await.unwrap() else { return };
    let row = lowest.delivery;
    let lease = Duration::from_secs(5);
    match store.claim(row.place, row.attempt, lease).await.unwrap() {
        Claimed::Yes(claim) => {
            let seen = claim.delivery.attempt;
            let verdict = match chance.u64() % 10 {
                0 => Verdict::Park(ParkReason::Exhausted),
                1 => Verdict::Retry(Duration::ZERO),
                2 => Verdict::Defer(Duration::ZERO),
                3 => return, // The claimer dies.
                _ => Verdict::Delivered,
            };
            store.settle(row.place, seen, Some(attempt(seen)), verdict).await.unwrap();
        }
        Claimed::No => {}
        Claimed::Disabled(row) => panic!("no endpoint was disabled: {row:?}"),
    }
}

/// Commits and acts at random from several workers, then waits until no claim is running.
async fn live<H: Harness>(world: &Arc<World<H>>, seed: u64, rounds: usize) {
    let mut running = JoinSet::new();
    for worker in 0..6 {
        let world = Arc::clone(world);
        let store = if worker % 2 == 0 { world.s.clone() } else { world.h.other().await };
        let chance = Entropy::seeded(seed * 100 + worker);
        running.spawn(async move {
            for _ in 0..rounds {
                let key = world.user(&format!("user {}", chance.u64() % USERS));
                if chance.u64().is_multiple_of(3) {
                    let count = usize::try_from(chance.u64() % 3).unwrap();
                    let turn = turn();
                    let (conversation, _) = store.load(&key, turn).await.unwrap();
                    let texts = vec!["text"; count];
                    // A miss is no matter here: another worker has committed.
                    let draft = world.draft(&key, conversation.version, turn, &texts);
                    let _ = store.commit(draft).await;
                } else {
                    act(&store, &key, &chance).await;
                }
            }
        });
    }
    running.join_all().await;
    world.h.pass(Duration::from_mins(1)).await;
}

/// For every conversation: what `due` offers as its head is what `lowest` says, and nothing else.
async fn check<H: Harness>(world: &World<H>, when: &str) {
    let heads = world.s.due(&world.channel, 1_000).await.unwrap();
    let mut by_conversation: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for head in heads {
        let place = head.delivery.place;
        by_conversation.entry(place.conversation).or_default().push(place.number);
    }
    for n in 0..USERS {
        let key = world.user(&format!("user {n}"));
        let lowest = world.lowest(key.id()).await;
        let heads = by_conversation.remove(&key.id()).unwrap_or_default();
        assert_eq!(heads, lowest.into_iter().collect::<Vec<_>>(), "{when}, user {n}");
        let parked = world.h.parked(key.id()).await;
        if let Some(lowest) = lowest {
            let inside = parked.iter().any(|(number, _)| *number == lowest);
            assert!(!inside, "{when}, user {n}: {lowest} is both parked and unsettled");
        }
    }
    assert!(by_conversation.is_empty(), "{when}: {by_conversation:?}");
}

async fn the_head_is_the_lowest_unsettled_delivery_after_any_history<H: Harness>(h: H) {
    let world = Arc::new(World::new(h).await);
    for seed in 0..5 {
        live(&world, seed, 40).await;
        check(&world, &format!("seed {seed}")).await;
    }
    // And everything can be brought home from there.
    for n in 0..USERS {
        let key = world.user(&format!("user {n}"));
        world.s.redrive(key.id()).await.unwrap();
        let mut last = 0;
        while world.lowest(key.id()).await.is_some() {
            let number = world.deliver(key.id()).await;
            assert!(number > last, "in order");
            last = number;
        }
        assert_eq!(world.h.parked(key.id()).await, []);
    }
}

async fn commits_beside_outcomes_never_leave_a_conversation_without_its_head<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for round in 0..80 {
        let key = world.user(&format!("user {}", round % 4));
        let said = world.say(&key, &["one"]).await;
        let lowest = world.s.lowest(key.id()).await.unwrap().unwrap().delivery;
        assert_eq!(lowest.place, said.place(0));
        let draft = world.draft(&key, said.done.version, turn(), &["two"]);
        let stagger = Duration::from_micros(round % 10 * 100);
        let commit = async {
            testkit::lapse(stagger, "the two meet at another moment in each round").await;
            world.s.commit(draft).await.unwrap()
        };
        let log = Some(attempt(1));
        let settle = other.settle(lowest.place, 0, log, Verdict::Delivered);
        let (done, settled) = tokio::join!(commit, settle);
        settled.unwrap();
        let heads = world.s.due(&world.channel, 100).await.unwrap();
        let head = heads.iter().find(|head| head.delivery.place.conversation == key.id());
        let head = head.expect("the new delivery is the head now").delivery.place.number;
        assert_eq!(head, done.first_delivery, "round {round}");
        assert_eq!(world.deliver(key.id()).await, head);
    }
}

//! Figures of a channel over time.

use std::time::Duration;

use shared::clock::Clock;
use shared::domain::delivery::ParkReason::Exhausted;
use shared::domain::ids::ConversationKey;
use shared::domain::outcome::Outcome;
use shared::store::ledger::LedgerStore as _;
use shared::store::tally::{Figures, Tally, TallyAsk};
use shared::store::{Deliveries as _, Turns as _, Verdict};

use super::fixtures::{World, turn_aged};
use super::harness::Harness;

conformance! {
    turns_and_deliveries_of_a_channel_are_counted_by_hour,
    a_channel_without_any_has_zeros,
}

const HOUR: i64 = 3_600_000;

/// The last three hours, the present one among them.
fn ask<H: Harness>(world: &World<H>) -> TallyAsk {
    let now = i64::try_from(Clock::Real.unix_ms()).unwrap();
    let from_ms = now - 3 * HOUR + HOUR / 2;
    TallyAsk { channel: world.channel.clone(), from_ms, width_ms: HOUR, count: 3 }
}

/// Counts of those that were answered, that failed, and that were parked.
fn outcomes([answered, failed, parked]: [u64; 3]) -> [u64; Outcome::ALL.len()] {
    Outcome::ALL.map(|outcome| match outcome {
        Outcome::Answered => answered,
        Outcome::BotFailed => failed,
        Outcome::Parked => parked,
        _ => 0,
    })
}

async fn say<H: Harness>(
    world: &World<H>,
    key: &ConversationKey,
    (age, outcome, took): (Duration, Outcome, u32),
    says: &[&str],
) {
    let turn = turn_aged(age);
    let (conversation, _) = world.s.load(key, turn).await.unwrap();
    let mut draft = world.draft(key, conversation.version, turn, says);
    draft.record.outcome = outcome;
    draft.record.queued_ms = 1;
    draft.record.bot_ms = took - 1;
    world.s.commit(draft).await.unwrap();
}

async fn turns_and_deliveries_of_a_channel_are_counted_by_hour<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let other = world.another_channel().await;
    let eve = ConversationKey::new(other, "eve".into());
    let (now, hour) = (Duration::ZERO, Duration::from_hours(1));
    say(&world, &ann, (2 * hour, Outcome::Answered, 10), &[]).await;
    say(&world, &bob, (2 * hour, Outcome::BotFailed, 30), &[]).await;
    say(&world, &ann, (5 * hour, Outcome::Answered, 10), &[]).await;
    say(&world, &eve, (now, Outcome::Answered, 10), &["x"]).await;
    world.deliver(eve.id()).await;
    for took in 1..=100 {
        say(&world, &ann, (now, Outcome::Answered, took), &[]).await;
    }
    say(&world, &bob, (now, Outcome::Parked, 1), &["a", "b", "c"]).await;
    let first = world.s.lowest(bob.id()).await.unwrap().unwrap().delivery;
    let claim = world.claim(first.place, 0).await;
    world.settle(claim.place, 1, Verdict::Retry(Duration::ZERO)).await;
    world.deliver(bob.id()).await;
    let second = world.s.lowest(bob.id()).await.unwrap().unwrap().delivery;
    world.settle(second.place, 0, Verdict::Park(Exhausted)).await;
    let tally = world.s.tally(&ask(&world)).await.unwrap();
    let old = Figures {
        turns: 2,
        users: 2,
        outcomes: outcomes([1, 1, 0]),
        latency: [10, 30, 30],
        ..Figures::default()
    };
    let fresh = Figures {
        turns: 101,
        users: 2,
        outcomes: outcomes([100, 0, 1]),
        latency: [50, 95, 99],
        delivered: 1,
        parked: 2,
        // Two at the one that came home, one at the one that was given up, none at the one behind.
        attempts: 3,
    };
    let whole = Figures {
        turns: 103,
        outcomes: outcomes([101, 1, 1]),
        latency: [49, 95, 99],
        ..fresh.clone()
    };
    let whole = Figures { latency: tally.whole.latency, ..whole };
    assert!((48..=50).contains(&whole.latency[0]), "{:?}", whole.latency);
    let buckets = vec![old, Figures::default(), fresh];
    assert_eq!(tally, Tally { whole, buckets, turns_cut: false, deliveries_cut: false });
}

async fn a_channel_without_any_has_zeros<H: Harness>(h: H) {
    let world = World::new(h).await;
    let tally = world.s.tally(&ask(&world)).await.unwrap();
    let buckets = vec![Figures::default(); 3];
    assert_eq!(tally, Tally { buckets, ..Tally::default() });
    let none = TallyAsk { count: 0, ..ask(&world) };
    assert_eq!(world.s.tally(&none).await.unwrap(), Tally::default());
}

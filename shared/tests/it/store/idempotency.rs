//! `Idempotency-Key`: one turn for a key of a channel, for a day.

use std::time::Duration;

use shared::store::{Intake as _, KeyUse};
use tokio::task::JoinSet;

use super::fixtures::{World, turn};
use super::harness::Harness;

conformance! {
    a_repeat_gets_the_first_uses_turn,
    the_same_key_with_another_body_is_a_mismatch,
    a_key_belongs_to_its_channel,
    an_expired_key_is_replaced_in_place,
    fifty_uses_at_one_moment_make_one_turn,
    an_expired_key_is_replaced_by_one_of_many,
    keys_are_compared_byte_by_byte_up_to_255_bytes,
}

const BODY: [u8; 32] = [0xb0; 32];
const OTHER: [u8; 32] = [0x07; 32];

async fn a_repeat_gets_the_first_uses_turn<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    let first = turn();
    assert_eq!(world.s.use_key(&world.channel, "k", BODY, first).await.unwrap(), KeyUse::New);
    for store in [&world.s, &other] {
        let again = store.use_key(&world.channel, "k", BODY, turn()).await.unwrap();
        assert_eq!(again, KeyUse::Repeat(first));
    }
}

async fn the_same_key_with_another_body_is_a_mismatch<H: Harness>(h: H) {
    let world = World::new(h).await;
    let first = turn();
    world.s.use_key(&world.channel, "k", BODY, first).await.unwrap();
    let mismatch = world.s.use_key(&world.channel, "k", OTHER, turn()).await.unwrap();
    assert_eq!(mismatch, KeyUse::Mismatch);
    let again = world.s.use_key(&world.channel, "k", BODY, turn()).await.unwrap();
    assert_eq!(again, KeyUse::Repeat(first), "the mismatch changed nothing");
}

async fn a_key_belongs_to_its_channel<H: Harness>(h: H) {
    let world = World::new(h).await;
    let elsewhere = world.another_channel().await;
    world.s.use_key(&world.channel, "k", BODY, turn()).await.unwrap();
    assert_eq!(world.s.use_key(&elsewhere, "k", OTHER, turn()).await.unwrap(), KeyUse::New);
}

async fn an_expired_key_is_replaced_in_place<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (first, second) = (turn(), turn());
    world.s.use_key(&world.channel, "k", BODY, first).await.unwrap();
    let rows = world.h.rows().await;
    world.h.pass(Duration::from_hours(23)).await;
    let still = world.s.use_key(&world.channel, "k", BODY, second).await.unwrap();
    assert_eq!(still, KeyUse::Repeat(first));
    world.h.pass(Duration::from_hours(2)).await;
    // Nobody has cleaned: the expired row is there, and in nobody's way, with any body.
    let new = world.s.use_key(&world.channel, "k", OTHER, second).await.unwrap();
    assert_eq!(new, KeyUse::New);
    assert_eq!(world.h.rows().await, rows, "replaced in place");
    let again = world.s.use_key(&world.channel, "k", OTHER, turn()).await.unwrap();
    assert_eq!(again, KeyUse::Repeat(second));
    world.h.pass(Duration::from_hours(23)).await;
    let again = world.s.use_key(&world.channel, "k", OTHER, turn()).await.unwrap();
    assert_eq!(again, KeyUse::Repeat(second), "a day from the new first use");
}

/// Fifty uses of a key at one moment, half of them from another process.
async fn fifty<H: Harness>(world: &World<H>, key: &str) {
    let other = world.h.other().await;
    let mut running = JoinSet::new();
    for n in 0..50 {
        let store = if n % 2 == 0 { world.s.clone() } else { other.clone() };
        let (channel, key, mine) = (world.channel.clone(), key.to_owned(), turn());
        running
            .spawn(async move { (mine, store.use_key(&channel, &key, BODY, mine).await.unwrap()) });
    }
    let uses = running.join_all().await;
    let new: Vec<_> = uses.iter().filter(|(_, answer)| *answer == KeyUse::New).collect();
    assert_eq!(new.len(), 1, "{uses:?}");
    let winner = new[0].0;
    let repeats = uses.iter().filter(|(_, answer)| *answer == KeyUse::Repeat(winner)).count();
    assert_eq!(repeats, 49, "{uses:?}");
}

async fn fifty_uses_at_one_moment_make_one_turn<H: Harness>(h: H) {
    let world = World::new(h).await;
    for round in 0..10 {
        fifty(&world, &format!("key {round}")).await;
    }
}

async fn an_expired_key_is_replaced_by_one_of_many<H: Harness>(h: H) {
    let world = World::new(h).await;
    for _ in 0..5 {
        fifty(&world, "the same key").await;
        world.h.pass(Duration::from_hours(25)).await;
    }
}

async fn keys_are_compared_byte_by_byte_up_to_255_bytes<H: Harness>(h: H) {
    let world = World::new(h).await;
    let long = "k".repeat(255);
    let keys = ["k", "K", " k", "k ", "%", "_", "'", "\\", "é", "e\u{301}", &long, &long[..254]];
    for key in keys {
        let answer = world.s.use_key(&world.channel, key, BODY, turn()).await.unwrap();
        assert_eq!(answer, KeyUse::New, "{key:?}");
    }
}

//! Erasing one user: nothing of theirs is left, and nothing of theirs comes back.

use std::time::Duration;

use bytes::Bytes;
use shared::domain::delivery::ParkReason;
use shared::domain::ids::{ConversationKey, TurnId};
use shared::domain::outcome::Outcome;
use shared::store::{
    CommitError, Deliveries as _, Intake as _, Settlement, Turns as _, Upkeep as _, Verdict,
};
use testkit::another_millisecond;

use super::fixtures::{World, attempt, turn};
use super::harness::Harness;

conformance! {
    erasing_leaves_nothing_of_the_user,
    erasing_keeps_the_turn_rows_without_content,
    erasing_one_user_leaves_the_others_alone,
    erasing_an_unknown_user_is_no_error,
    a_run_under_way_leaves_nothing_behind,
    a_turn_still_queued_leaves_nothing_behind,
    a_frozen_run_of_the_old_life_does_not_pass_the_fence_of_the_new,
    a_newer_message_starts_a_new_life_with_numbers_of_its_own,
    a_delivery_under_way_finds_no_row,
}

const SECRET: &str = "SAID-IN-CONFIDENCE";
const NAME: &str = "ann.the.user@example.com";
const NONE: [String; 0] = [];

/// Ids tell milliseconds: what comes before and after shall not share one with the erasure.
async fn erase<H: Harness>(world: &World<H>, key: &ConversationKey) -> u64 {
    another_millisecond().await;
    let rows = world.s.erase(&key.channel, &key.user).await.unwrap();
    another_millisecond().await;
    rows
}

/// A draft full of the user's words.
fn confession<H: Harness>(
    world: &World<H>,
    key: &ConversationKey,
    version: i64,
    turn: TurnId,
) -> shared::store::TurnCommit {
    let mut draft = world.draft(key, version, turn, &[SECRET, SECRET]);
    draft.session.state = format!(r#"{{"said":"{SECRET}"}}"#).into();
    draft.record.reply = format!(r#"{{"text":"{SECRET}"}}"#).into();
    draft.record.detail = SECRET.into();
    draft
}

/// A life with everything in it: answers, a parked turn, attempts, parked and unsettled deliveries.
async fn confess<H: Harness>(world: &World<H>, key: &ConversationKey) -> Vec<TurnId> {
    let mut turns = Vec::new();
    for n in 0..4 {
        let turn = turn();
        let version = world.conversation(key).await.version;
        let mut draft = confession(world, key, version, turn);
        if n == 1 {
            draft.record.outcome = Outcome::Parked;
            draft.record.parked = Some(Bytes::from(format!("the job says {SECRET}")));
        }
        world.s.commit(draft).await.unwrap();
        turns.push(turn);
    }
    let mut log = attempt(1);
    log.response = SECRET.into();
    for verdict in [Verdict::Delivered, Verdict::Park(ParkReason::Exhausted)] {
        let lowest = world.s.lowest(key.id()).await.unwrap().unwrap().delivery;
        let written = world.s.settle(lowest.place, 0, Some(log.clone()), verdict).await.unwrap();
        assert!(matches!(written, Settlement::Written { .. }));
    }
    let version = world.conversation(key).await.version;
    let last = turn();
    world.s.commit(confession(world, key, version, last)).await.unwrap();
    world.s.mark(last, turn().uuid(), false).await.unwrap();
    world.s.use_key(&key.channel, "key", [1; 32], last).await.unwrap();
    turns.push(last);
    assert_ne!(world.h.traces(SECRET).await, NONE);
    turns
}

async fn erasing_leaves_nothing_of_the_user<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user(NAME);
    confess(&world, &key).await;
    assert!(erase(&world, &key).await > 0);
    assert_eq!(world.h.traces(SECRET).await, NONE);
    assert_eq!(world.h.traces(NAME).await, NONE);
    assert_eq!(world.lowest(key.id()).await, None);
    assert_eq!(world.h.parked(key.id()).await, []);
    assert_eq!(world.s.redrive(key.id()).await.unwrap(), 0);
    assert_eq!(world.s.due(&world.channel, 10).await.unwrap(), []);
    world.h.pass(Duration::from_mins(1)).await;
    assert_eq!(world.s.sweep(10, 10, &[]).await.unwrap(), []);
}

async fn erasing_keeps_the_turn_rows_without_content<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user(NAME);
    let turns = confess(&world, &key).await;
    erase(&world, &key).await;
    for turn in turns {
        let settled = world.settled(&key, turn).await.expect("still in the inbox");
        assert_eq!(settled.reply, Bytes::new());
        let told = world.s.outcomes(&[(world.client.clone(), turn)]).await.unwrap();
        assert!(told.iter().all(|(_, settled)| settled.reply.is_empty()), "{told:?}");
        // A copy of the job that comes again is a duplicate, and brings nothing back.
        let version = world.conversation(&key).await.version;
        let again = world.s.commit(confession(&world, &key, version, turn)).await;
        assert_eq!(again, Err(CommitError::Missed));
    }
    assert_eq!(world.h.traces(SECRET).await, NONE);
}

async fn erasing_one_user_leaves_the_others_alone<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user(NAME), world.user("bob"));
    let mut elsewhere = world.user(NAME);
    elsewhere.channel = world.another_channel().await;
    confess(&world, &ann).await;
    let kept = [world.say(&bob, &["one"]).await, world.say(&elsewhere, &["one"]).await];
    erase(&world, &ann).await;
    for (key, said) in [(&bob, &kept[0]), (&elsewhere, &kept[1])] {
        let conversation = world.conversation(key).await;
        assert_eq!(conversation.version, said.done.version);
        assert!(!conversation.session.state.is_empty());
        assert!(!world.settled(key, said.turn).await.unwrap().reply.is_empty());
        assert_eq!(world.lowest(key.id()).await, Some(said.place(0).number));
    }
}

async fn erasing_an_unknown_user_is_no_error<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("nobody");
    erase(&world, &key).await;
    erase(&world, &key).await;
    world.say(&key, &["one"]).await;
}

/// The dispatcher's loop for a turn that is older than the erasure; ends settled or dropped.
async fn run_old<H: Harness>(world: &World<H>, key: &ConversationKey, turn: TurnId) {
    for _ in 0..5 {
        let (conversation, settled) = world.s.load(key, turn).await.unwrap();
        if settled.is_some() {
            return;
        }
        let draft = confession(world, key, conversation.version, turn);
        match world.s.commit(draft).await {
            Ok(_) => return,
            Err(CommitError::Missed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the turn is never settled: its job would come again for ever");
}

async fn a_run_under_way_leaves_nothing_behind<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user(NAME);
    confess(&world, &key).await;
    let running = turn();
    let version = world.conversation(&key).await.version;
    erase(&world, &key).await;
    let _ = world.s.commit(confession(&world, &key, version, running)).await;
    assert_eq!(world.h.traces(SECRET).await, NONE, "after the first commit");
    run_old(&world, &key, running).await;
    assert_eq!(world.h.traces(SECRET).await, NONE, "after the second run");
    assert_eq!(world.lowest(key.id()).await, None, "nothing is to be delivered");
}

async fn a_turn_still_queued_leaves_nothing_behind<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user(NAME);
    let (first, second) = (turn(), turn());
    erase(&world, &key).await;
    run_old(&world, &key, first).await;
    assert_eq!(world.h.traces(SECRET).await, NONE);
    // A newer message in between changes nothing for the older one.
    world.say(&key, &["fresh"]).await;
    run_old(&world, &key, second).await;
    assert_eq!(world.h.traces(SECRET).await, NONE);
    let state = world.conversation(&key).await.session.state;
    assert!(!state.is_empty(), "the newer message's session is there");
}

async fn a_frozen_run_of_the_old_life_does_not_pass_the_fence_of_the_new<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user(NAME);
    confess(&world, &key).await;
    let running = turn();
    let version = world.conversation(&key).await.version;
    erase(&world, &key).await;
    let fresh = world.say(&key, &["fresh"]).await;
    let late = world.s.commit(confession(&world, &key, version, running)).await;
    assert_eq!(late, Err(CommitError::Missed));
    assert_eq!(world.h.traces(SECRET).await, NONE);
    assert_eq!(world.conversation(&key).await.version, fresh.done.version);
}

async fn a_newer_message_starts_a_new_life_with_numbers_of_its_own<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let (mut version, mut number) = (0, 0);
    for life in 0..3 {
        let born = world.conversation(&key).await;
        assert!(born.version > version, "life {life}: {} after {version}", born.version);
        assert!(born.session.state.is_empty() || born.session.state == "{}");
        for _ in 0..5 {
            let said = world.say(&key, &["one", "two", "three"]).await;
            assert!(said.done.first_delivery > number, "life {life}");
            number = said.done.first_delivery + 2;
            version = said.done.version;
            let told = world.s.outcomes(&[(world.client.clone(), said.turn)]).await.unwrap();
            assert!(!told[0].1.reply.is_empty());
        }
        erase(&world, &key).await;
    }
}

async fn a_delivery_under_way_finds_no_row<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user(NAME);
    let said = world.say(&key, &["one", "two"]).await;
    let claim = world.claim(said.place(0), 0).await;
    erase(&world, &key).await;
    let mut log = attempt(1);
    log.response = SECRET.into();
    let verdict = Verdict::Retry(Duration::ZERO);
    let late = world.s.settle(claim.place, 1, Some(log), verdict).await.unwrap();
    assert_eq!(late, Settlement::Missed);
    assert_eq!(world.h.traces(SECRET).await, NONE);
    assert_eq!(world.lowest(key.id()).await, None);
}

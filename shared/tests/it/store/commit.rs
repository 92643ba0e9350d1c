//! One commit, all or nothing, behind the fence of the conversation's version.

use std::time::Duration;

use bytes::Bytes;
use shared::clock::Clock;
use shared::domain::outcome::Outcome;
use shared::store::{CommitError, Intake as _, SettledTurn, Turns as _};

use super::fixtures::{World, turn, turn_aged};
use super::harness::Harness;

conformance! {
    a_commit_writes_session_turn_and_deliveries_together,
    a_stale_version_leaves_nothing_behind,
    a_turn_in_the_inbox_is_missed_and_its_stored_reply_found_with_the_same_bytes,
    a_turn_in_the_inbox_is_missed_even_at_the_current_version,
    a_conversation_is_born_with_the_time_in_microseconds,
    delivery_numbers_are_dense_from_the_conversations_birth,
    only_the_first_unsettled_delivery_is_the_head,
    the_unsettled_deliveries_of_a_turn_are_listed_lowest_first,
    the_age_of_the_last_use_is_told_by_the_database,
    a_parked_turn_is_a_commit_like_any_other,
    a_long_detail_is_cut_and_not_refused,
    a_turn_id_far_from_now_is_committed_all_the_same,
    a_stray_job_is_kept_for_an_operator,
}

async fn a_commit_writes_session_turn_and_deliveries_together<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one", "two"]).await;
    assert_eq!(said.conversation, key.id());
    let conversation = world.conversation(&key).await;
    assert_eq!(conversation.id, key.id());
    assert_eq!(conversation.version, said.done.version);
    let expected = format!(r#"{{"turn":"{}"}}"#, said.turn);
    assert_eq!(conversation.session.state, Bytes::from(expected));
    let settled = world.settled(&key, said.turn).await.unwrap();
    assert_eq!(settled.outcome, Outcome::Answered);
    let unsettled = world.s.unsettled(key.id(), said.turn).await.unwrap();
    let bodies: Vec<_> = unsettled.iter().map(|delivery| delivery.body.clone()).collect();
    assert_eq!(bodies, ["one", "two"]);
    assert!(unsettled.iter().all(|delivery| delivery.channel == world.channel));
    assert!(unsettled.iter().all(|d| (d.attempt, d.failures, d.deferrals) == (0, 0, 0)));
    assert!(unsettled.iter().all(|delivery| !delivery.redriven));
}

async fn a_stale_version_leaves_nothing_behind<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let before = world.conversation(&key).await;
    let said = world.say(&key, &["kept"]).await;
    for stale in [before.version, said.done.version + 1, 0, -1] {
        let late = turn();
        let draft = world.draft(&key, stale, late, &["NEVER-SAID"]);
        assert_eq!(world.s.commit(draft).await, Err(CommitError::Missed), "{stale}");
        assert_eq!(world.settled(&key, late).await, None, "no turn row");
        assert_eq!(world.s.unsettled(key.id(), late).await.unwrap(), []);
    }
    let after = world.conversation(&key).await;
    assert_eq!(after.version, said.done.version);
    assert_eq!(after.session.state, Bytes::from(format!(r#"{{"turn":"{}"}}"#, said.turn)));
    assert_eq!(world.h.traces("NEVER-SAID").await, Vec::<String>::new());
    let next = world.say(&key, &["next"]).await;
    assert_eq!(next.done.first_delivery, said.done.first_delivery + 1, "no number was used up");
}

async fn a_turn_in_the_inbox_is_missed_and_its_stored_reply_found_with_the_same_bytes<
    H: Harness,
>(
    h: H,
) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    let stored = SettledTurn {
        outcome: Outcome::Answered,
        reply: format!(r#"{{"text":"answer to {}"}}"#, said.turn).into(),
    };
    // The second run of the same turn, based on what its first run found.
    let mut again = world.draft(&key, said.done.version - 1, said.turn, &["two"]);
    again.record.reply = Bytes::from_static(br#"{"text":"another answer"}"#);
    assert_eq!(world.s.commit(again).await, Err(CommitError::Missed));
    for _ in 0..3 {
        assert_eq!(world.settled(&key, said.turn).await, Some(stored.clone()));
        let asked = [(world.client.clone(), said.turn)];
        let outcomes = world.s.outcomes(&asked).await.unwrap();
        assert_eq!(outcomes, [(said.turn, stored.clone())]);
    }
}

async fn a_turn_in_the_inbox_is_missed_even_at_the_current_version<H: Harness>(h: H) {
    // A trusted cache skips the inbox check: the commit itself must not.
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    let again = world.draft(&key, said.done.version, said.turn, &["twice"]);
    assert_eq!(world.s.commit(again).await, Err(CommitError::Missed));
    assert_eq!(world.conversation(&key).await.version, said.done.version);
    assert_eq!(world.h.traces("twice").await, Vec::<String>::new());
}

async fn a_conversation_is_born_with_the_time_in_microseconds<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let wall = i64::try_from(Clock::Real.unix_ms() * 1_000).unwrap();
    let near = |number: i64| (number - wall).abs() < 300_000_000;
    let born = world.conversation(&key).await;
    assert!(near(born.version), "{} is not near {wall}", born.version);
    assert!(born.session.state.is_empty() || born.session.state == "{}", "{born:?}");
    let said = world.say(&key, &["one"]).await;
    assert!(near(said.done.first_delivery), "{} is not near {wall}", said.done.first_delivery);
    assert_eq!(world.conversation(&key).await.version, said.done.version, "born once only");
}

async fn delivery_numbers_are_dense_from_the_conversations_birth<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let mut expected = None;
    for round in 0..10_i64 {
        let texts = vec!["text"; usize::try_from(round % 4).unwrap()];
        world.say(&bob, &["other"]).await;
        let said = world.say(&ann, &texts).await;
        if texts.is_empty() {
            continue;
        }
        let first = said.done.first_delivery;
        assert_eq!(first, expected.unwrap_or(first), "round {round}");
        let listed = world.s.unsettled(ann.id(), said.turn).await.unwrap();
        let numbers: Vec<_> = listed.iter().map(|delivery| delivery.place.number).collect();
        let count = i64::try_from(texts.len()).unwrap();
        assert_eq!(numbers, (first..first + count).collect::<Vec<_>>());
        expected = Some(first + count);
    }
}

async fn only_the_first_unsettled_delivery_is_the_head<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    assert!(world.say(&key, &["one", "two"]).await.done.head);
    assert!(!world.say(&key, &["three"]).await.done.head);
    world.deliver(key.id()).await;
    assert!(!world.say(&key, &["four"]).await.done.head);
    for _ in 0..3 {
        world.deliver(key.id()).await;
    }
    assert_eq!(world.lowest(key.id()).await, None);
    assert!(world.say(&key, &["five"]).await.done.head);
    assert!(world.say(&world.user("bob"), &["one"]).await.done.head);
}

async fn the_unsettled_deliveries_of_a_turn_are_listed_lowest_first<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let first = world.say(&key, &["a", "b", "c"]).await;
    let second = world.say(&key, &["d"]).await;
    let list = async |said: &super::fixtures::Said| {
        let rows = world.s.unsettled(key.id(), said.turn).await.unwrap();
        rows.into_iter().map(|d| (d.id.to_string(), d.body)).collect::<Vec<_>>()
    };
    let name = |index: u16| format!("msg_{}_{index}", first.turn);
    let expected = [("a", 0), ("b", 1), ("c", 2)].map(|(text, i)| (name(i), Bytes::from(text)));
    assert_eq!(list(&first).await, expected);
    assert_eq!(world.deliver(key.id()).await, first.done.first_delivery);
    assert_eq!(list(&first).await, expected[1..]);
    assert_eq!(list(&second).await.len(), 1);
}

async fn the_age_of_the_last_use_is_told_by_the_database<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    world.say(&key, &[]).await;
    assert!(world.conversation(&key).await.idle < Duration::from_mins(1));
    world.h.pass(Duration::from_mins(15)).await;
    let idle = world.conversation(&key).await.idle;
    assert!((900..960).contains(&idle.as_secs()), "{idle:?}");
    world.say(&key, &[]).await;
    assert!(world.conversation(&key).await.idle < Duration::from_mins(1));
}

async fn a_parked_turn_is_a_commit_like_any_other<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    let parked = turn();
    let draft = |version| {
        let mut draft = world.draft(&key, version, parked, &[]);
        draft.record.outcome = Outcome::Parked;
        draft.record.detail = "two processes died of it".into();
        draft.record.parked = Some(Bytes::from_static(b"THE-SEALED-JOB"));
        draft.record.reply = Bytes::from_static(br#"{"text":"Something went wrong."}"#);
        draft
    };
    let stale = world.s.commit(draft(said.done.version - 1)).await;
    assert_eq!(stale, Err(CommitError::Missed), "parking minds the fence");
    assert_eq!(world.h.traces("THE-SEALED-JOB").await, Vec::<String>::new());
    let done = world.s.commit(draft(said.done.version)).await.unwrap();
    assert_ne!(done.version, said.done.version, "parking moves the fence");
    assert_ne!(world.h.traces("THE-SEALED-JOB").await, Vec::<String>::new());
    let settled = world.settled(&key, parked).await.unwrap();
    assert_eq!(settled.outcome, Outcome::Parked);
    assert_eq!(settled.reply, r#"{"text":"Something went wrong."}"#);
    let late = world.draft(&key, said.done.version, turn(), &[]);
    assert_eq!(world.s.commit(late).await, Err(CommitError::Missed));
    world.say(&key, &["the next one goes on"]).await;
}

async fn a_long_detail_is_cut_and_not_refused<H: Harness>(h: H) {
    let world = World::new(h).await;
    for (user, detail) in [("ann", "x".repeat(5_000)), ("bob", "äöü€😀".repeat(400))] {
        let key = world.user(user);
        let version = world.conversation(&key).await.version;
        let mut draft = world.draft(&key, version, turn(), &[]);
        draft.record.detail = detail;
        world.s.commit(draft).await.unwrap();
    }
}

async fn a_turn_id_far_from_now_is_committed_all_the_same<H: Harness>(h: H) {
    // Tables that are divided by the day inside the id must have a place for every day.
    let world = World::new(h).await;
    let key = world.user("ann");
    for hours in [1, 25, 49, 24 * 7, 24 * 30, 24 * 365] {
        world.say_as(&key, turn_aged(Duration::from_hours(hours)), &["late"]).await;
    }
    let ahead = Clock::Real.unix_ms() + 26 * 3_600_000;
    let ahead = shared::entropy::Entropy::Real.uuid_v7(ahead);
    world.say_as(&key, shared::domain::ids::TurnId::new(ahead), &["early"]).await;
}

async fn a_stray_job_is_kept_for_an_operator<H: Harness>(h: H) {
    let world = World::new(h).await;
    let body = Bytes::from_static(b"\x00\xff NOT-A-JOB");
    let queue = shared::topology::Queue::Turns;
    world.s.keep_stray(queue, body.clone(), "it cannot be decoded").await.unwrap();
    world.s.keep_stray(queue, body, "it cannot be decoded").await.unwrap();
    assert_ne!(world.h.traces("NOT-A-JOB").await, Vec::<String>::new());
    assert_ne!(world.h.traces("it cannot be decoded").await, Vec::<String>::new());
}

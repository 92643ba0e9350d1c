//! What pollers and waiting requests read.

use std::time::Duration;

use bytes::Bytes;
use shared::domain::ids::{ClientId, TurnId};
use shared::domain::outcome::Outcome;
use shared::store::{Intake as _, SettledTurn};
use shared::store::{RegistryStore as _, Turns as _};

use super::fixtures::{World, app, days, id, turn, turn_aged};
use super::harness::Harness;

conformance! {
    only_settled_turns_are_told,
    another_apps_turn_is_as_if_it_had_no_row,
    an_answer_is_told_for_24_hours_from_its_commit,
    every_outcome_and_its_bytes_come_back_unchanged,
    a_thousand_turns_are_asked_for_at_once,
    a_parked_turn_answers_with_its_stored_error_reply,
}

async fn ask<H: Harness>(world: &World<H>, turns: &[TurnId]) -> Vec<TurnId> {
    let asked: Vec<_> = turns.iter().map(|turn| (world.client.clone(), *turn)).collect();
    let told = world.s.outcomes(&asked).await.unwrap();
    told.into_iter().map(|(turn, _)| turn).collect()
}

async fn only_settled_turns_are_told<H: Harness>(h: H) {
    let world = World::new(h).await;
    assert_eq!(world.s.outcomes(&[]).await.unwrap(), []);
    let said = world.say(&world.user("ann"), &["one"]).await;
    let running = turn();
    world.s.load(&world.user("ann"), running).await.unwrap();
    assert_eq!(ask(&world, &[running]).await, []);
    assert_eq!(ask(&world, &[running, said.turn, turn()]).await, [said.turn]);
}

async fn another_apps_turn_is_as_if_it_had_no_row<H: Harness>(h: H) {
    let world = World::new(h).await;
    let stranger = ClientId::from(id("cs-"));
    world.s.add_app(&app(&stranger)).await.unwrap();
    let said = world.say(&world.user("ann"), &[]).await;
    assert_eq!(world.s.outcomes(&[(stranger.clone(), said.turn)]).await.unwrap(), []);
    let both = [(stranger, said.turn), (world.client.clone(), said.turn)];
    let told = world.s.outcomes(&both).await.unwrap();
    assert_eq!(told.len(), 1, "each pair is judged by itself: {told:?}");
}

async fn an_answer_is_told_for_24_hours_from_its_commit<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    // It stood in a queue for three days: the day starts with its commit, not with its id.
    let late = world.say_as(&key, turn_aged(days(3)), &[]).await.turn;
    let fresh = world.say(&key, &[]).await.turn;
    let mut told = ask(&world, &[late, fresh]).await;
    told.sort();
    assert_eq!(told, [late, fresh]);
    world.h.pass(Duration::from_hours(23)).await;
    assert_eq!(ask(&world, &[late, fresh]).await.len(), 2);
    world.h.pass(Duration::from_hours(2)).await;
    assert_eq!(ask(&world, &[late, fresh]).await, []);
    assert!(world.settled(&key, fresh).await.is_some(), "the inbox outlives the answer");
}

async fn every_outcome_and_its_bytes_come_back_unchanged<H: Harness>(h: H) {
    let world = World::new(h).await;
    let large: &'static [u8] = vec![b'x'; 300_000].leak();
    let replies = [
        &br#"{"text":[]}"#[..],
        "{\"text\":\"Zoë 😀 \u{202e}\"}".as_bytes(),
        br#"{ "text" : "spaces,  and \u0000 and \ud800 stay" }"#,
        br#"{"b":1,"a":2,"b":3}"#,
        large,
        b"",
    ];
    let mut asked = Vec::new();
    let mut expected = Vec::new();
    for (outcome, reply) in Outcome::ALL.into_iter().zip(replies.into_iter().cycle()) {
        let key = world.user(outcome.as_str());
        let version = world.conversation(&key).await.version;
        let turn = turn();
        let mut draft = world.draft(&key, version, turn, &[]);
        draft.record.outcome = outcome;
        draft.record.reply = Bytes::from_static(reply);
        draft.record.parked = (outcome == Outcome::Parked).then(|| Bytes::from_static(b"job"));
        world.s.commit(draft).await.unwrap();
        let settled = SettledTurn { outcome, reply: Bytes::from_static(reply) };
        assert_eq!(world.settled(&key, turn).await, Some(settled.clone()));
        asked.push((world.client.clone(), turn));
        expected.push((turn, settled));
    }
    let mut told = world.s.outcomes(&asked).await.unwrap();
    told.sort_by_key(|(turn, _)| *turn);
    expected.sort_by_key(|(turn, _)| *turn);
    assert!(told == expected, "the same bytes");
}

async fn a_thousand_turns_are_asked_for_at_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut asked: Vec<_> = (0..980).map(|_| turn()).collect();
    let mut said = Vec::new();
    for n in 0..20 {
        said.push(world.say(&world.user(&format!("user {n}")), &[]).await.turn);
    }
    asked.splice(490..490, said.iter().copied());
    let mut told = ask(&world, &asked).await;
    told.sort();
    said.sort();
    assert_eq!(told, said);
}

async fn a_parked_turn_answers_with_its_stored_error_reply<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let version = world.conversation(&key).await.version;
    let turn = turn();
    let mut draft = world.draft(&key, version, turn, &[]);
    draft.record.outcome = Outcome::Parked;
    draft.record.parked = Some(Bytes::from_static(b"job"));
    draft.record.reply = Bytes::from_static(br#"{"text":"Something went wrong."}"#);
    world.s.commit(draft).await.unwrap();
    let told = world.s.outcomes(&[(world.client.clone(), turn)]).await.unwrap();
    let reply = Bytes::from_static(br#"{"text":"Something went wrong."}"#);
    assert_eq!(told, [(turn, SettledTurn { outcome: Outcome::Parked, reply })]);
}

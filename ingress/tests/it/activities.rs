//! A bot of the Bot Framework calls: with its ticket what it says goes to the process that the ticket names,
//! and without it nothing does.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use shared::broker::Broker as _;
use shared::clock::Clock;
use shared::domain::ids::TurnId;
use shared::wire::activity::{Activity, Change, Ticket};
use shared::wire::envelope::Keys;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{Answer, Doing, SOON, Setup, Worker, World};

const TURN: TurnId = TurnId::new(Uuid::from_u128(5));
const RUN: u64 = 7;

/// A ticket for this process, good for a minute more or less.
fn ticket(world: &World, keys: &Keys, minutes: i64) -> String {
    let to = world.ground.broker.reply_address().borrow().clone().unwrap().0;
    let until = Clock::Real.unix_ms().checked_add_signed(minutes * 60_000).unwrap();
    Ticket::new(to, (TURN, Some(&"cs-1".into())), RUN, until).seal(keys)
}

async fn call(world: &World, method: Method, path: &str, body: Option<&str>) -> Answer {
    let mut request = world.http.request(method, format!("{}/bot-framework/{path}", world.url));
    if let Some(body) = body {
        request =
            request.header("content-type", "application/json; charset=utf-8").body(body.to_owned());
    }
    Answer::of(request).await
}

async fn next(world: &World, activities: &mut mpsc::Receiver<Bytes>) -> Activity {
    let sealed = tokio::time::timeout(SOON, activities.recv()).await.unwrap().unwrap();
    Activity::open(&world.ground.keys, &sealed).unwrap()
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn what_a_bot_says_goes_to_the_process_that_its_ticket_names_byte_for_byte() {
    let world = World::start(Setup::default()).await;
    let mut activities = world.ground.broker.activities().unwrap();
    let ticket = ticket(&world, &world.ground.keys, 1);
    let text = r#"{"type": "message",  "text":"hi", "n": 1.00}"#;
    let mut ids = Vec::new();
    for tail in ["activities", "activities/0190"] {
        let path = format!("{ticket}/v3/conversations/c%2F1/{tail}");
        let answer = call(&world, Method::POST, &path, Some(text)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let said = next(&world, &mut activities).await;
        assert_eq!((said.turn, said.run), (TURN, RUN));
        assert_eq!(json_of(&answer), json!({"id": said.id.simple().to_string()}));
        let Change::Sent(activity) = said.change else { panic!("{said:?}") };
        assert_eq!(activity.get(), text);
        ids.push(said.id);
    }
    assert_ne!(ids[0], ids[1]);

    let path = format!("{ticket}/v3/conversations/c/activities/{}", ids[0].simple());
    let updated = call(&world, Method::PUT, &path, Some(text)).await;
    assert_eq!(json_of(&updated), json!({"id": ids[0].simple().to_string()}));
    let said = next(&world, &mut activities).await;
    assert!(said.id == ids[0] && matches!(said.change, Change::Updated(_)), "{said:?}");
    let deleted = call(&world, Method::DELETE, &path, None).await;
    assert_eq!((deleted.status, deleted.body.as_str()), (200, ""));
    let said = next(&world, &mut activities).await;
    assert!(said.id == ids[0] && matches!(said.change, Change::Deleted), "{said:?}");
}

#[tokio::test]
async fn what_sdks_ask_of_a_conversation_is_answered_and_nothing_else_is_there() {
    let world = World::start(Setup::default()).await;
    let ticket = ticket(&world, &world.ground.keys, 1);
    let at = |below: &str| format!("{ticket}/v3/conversations/c{below}");
    for (below, expected) in [
        ("/members", json!([])),
        ("/activities/a/members", json!([])),
        ("/pagedmembers?pageSize=10", json!({"members": []})),
        ("/members/ann%20b", json!({"id": "ann b"})),
    ] {
        let answer = call(&world, Method::GET, &at(below), None).await;
        assert_eq!((answer.status, json_of(&answer)), (200, expected), "{below}");
    }
    for (method, below) in [
        (Method::GET, "/activities"),
        (Method::POST, "/attachments"),
        (Method::POST, "/activities/history/x"),
        (Method::DELETE, "/members/ann"),
        (Method::PUT, "/activities/no-id-of-ours"),
        (Method::POST, ""),
    ] {
        let answer = call(&world, method, &at(below), Some("{}")).await;
        let expected = json!({"error": {"code": "not_found", "message": "Not found"}});
        assert_eq!((answer.status, json_of(&answer)), (404, expected), "{below}");
    }
}

#[tokio::test]
async fn a_ticket_of_others_and_an_expired_one_have_one_answer_and_nothing_is_passed_on() {
    let world = World::start(Setup::default()).await;
    let mut activities = world.ground.broker.activities().unwrap();
    let keys = &world.ground.keys;
    let mut forged = ticket(&world, keys, 1);
    forged.replace_range(60..61, if forged.as_bytes()[60] == b'A' { "B" } else { "A" });
    let foreign = ticket(&world, &Keys::new(&[vec![4; 32]]).unwrap(), 1);
    for (why, ticket) in [
        ("expired", ticket(&world, keys, -1)),
        ("forged", forged),
        ("of another key", foreign),
        ("none", "x".to_owned()),
    ] {
        for method in [Method::POST, Method::GET, Method::PATCH] {
            let path = format!("{ticket}/v3/conversations/c/activities");
            let answer = call(&world, method, &path, Some(r#"{"type":"message"}"#)).await;
            let expected = json!({"error": {"code": "not_found", "message": "Not found"}});
            assert_eq!((answer.status, json_of(&answer)), (404, expected), "{why}");
        }
    }
    assert!(activities.try_recv().is_err());
}

#[tokio::test]
async fn a_call_for_a_turn_that_is_settled_is_refused_in_the_words_of_the_bot_framework() {
    let world = World::start(Setup::default()).await;
    let mut activities = world.ground.broker.activities().unwrap();
    let own = ticket(&world, &world.ground.keys, 1);
    let to = world.ground.broker.reply_address().borrow().clone().unwrap().0;
    let shadow = Ticket::new(to, (TURN, None), RUN, Clock::Real.unix_ms() + 60_000);
    let shadow = shadow.seal(&world.ground.keys);
    let at = |ticket: &str| format!("{ticket}/v3/conversations/c/activities");
    let text = Some(r#"{"type":"message","text":"hi"}"#);
    assert_eq!(call(&world, Method::POST, &at(&own), text).await.status, 200);
    next(&world, &mut activities).await;

    let worker = Worker::start(&world.ground, Doing::Answers).await;
    worker.settle(&world.ground, TURN).await;
    let message = "The turn has ended: this was not sent";
    let expected = json!({"error": {"code": "ConversationNotFound", "message": message}});
    let below = format!("/{}", Uuid::from_u128(1).simple());
    for (method, below, body) in [
        (Method::POST, "", text),
        (Method::POST, below.as_str(), text),
        (Method::PUT, &below, text),
        (Method::DELETE, &below, None),
    ] {
        let answer = call(&world, method, &format!("{}{below}", at(&own)), body).await;
        assert_eq!((answer.status, json_of(&answer)), (404, expected.clone()), "{below}");
    }
    assert!(activities.try_recv().is_err());
    // The run of a shadow begins when the turn is settled.
    assert_eq!(call(&world, Method::POST, &at(&shadow), text).await.status, 200);
    next(&world, &mut activities).await;
    assert!((world.metric("switchhook_ingress_refusals_total") - 4.0).abs() < 0.5);
}

#[tokio::test]
async fn what_is_no_activity_is_refused_in_the_shape_that_bots_read() {
    let world =
        World::start(Setup { settings: &[("ingress.body_max", "1KiB")], ..Setup::default() }).await;
    let path = format!("{}/v3/conversations/c/activities", ticket(&world, &world.ground.keys, 1));
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(1_024));
    for (body, status, code) in
        [("{", 400, "invalid"), ("[]", 400, "invalid"), (large.as_str(), 413, "too_large")]
    {
        let answer = call(&world, Method::POST, &path, Some(body)).await;
        assert_eq!((answer.status, &json_of(&answer)["error"]["code"]), (status, &json!(code)));
    }
    let answer = call(&world, Method::POST, &path, None).await;
    assert_eq!((answer.status, &json_of(&answer)["error"]["code"]), (415, &json!("media_type")));
}

//! Sending settled deliveries again, by the API and by the pages.

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::ids::{ConversationId, ConversationKey, TurnId};
use shared::domain::outcome::Outcome;
use shared::entropy::Entropy;
use shared::store::replay::Stepped;
use shared::store::{
    AttemptRecord, Deliveries as _, ReplayStore as _, Session, TurnCommit, TurnRecord, Turns as _,
    Verdict,
};

use crate::support::api::{Answer, Api};
use crate::support::pages::Browser;
use testkit::pair::Pair;

on_both! {
    a_range_is_counted_sent_again_watched_and_stopped_through_the_api,
    one_delivery_is_sent_again_through_the_api,
    a_range_is_sent_again_by_forms_and_a_second_submit_is_the_same,
    one_delivery_is_sent_again_by_a_form_and_a_replay_is_stopped_by_one,
}

/// An asynchronous channel, and what its users were told.
pub(crate) struct Told<P: Pair> {
    pub(crate) api: Api<P>,
    pub(crate) channel: String,
    pub(crate) turns: Vec<TurnId>,
}

pub(crate) async fn told<P: Pair>(pair: &P, users: &[&str]) -> Told<P> {
    let api = Api::start(pair).await;
    let channel = hook(&api).await;
    let mut turns = Vec::new();
    for user in users {
        turns.push(tell(&api, &channel, user).await);
    }
    Told { api, channel, turns }
}

/// A turn whose two messages came home.
async fn tell(api: &Api<impl Pair>, channel: &str, user: &str) -> TurnId {
    let store = &api.desk.store;
    let (turn, conversation) = say(api, channel, user).await;
    while let Some(lowest) = store.lowest(conversation).await.unwrap() {
        let log = AttemptRecord {
            attempt: 1,
            status: 200,
            error: None,
            took_ms: 1,
            response: Bytes::new(),
        };
        store.settle(lowest.delivery.place, 0, Some(log), Verdict::Delivered).await.unwrap();
    }
    turn
}

/// A turn whose two messages wait.
async fn say(api: &Api<impl Pair>, channel: &str, user: &str) -> (TurnId, ConversationId) {
    let store = &api.desk.store;
    let key = ConversationKey::new(channel.into(), user.into());
    let turn = TurnId::new(Entropy::Real.uuid_v7(Clock::Real.unix_ms()));
    let (conversation, _) = store.load(&key, turn).await.unwrap();
    let record = TurnRecord {
        turn,
        client: "cs-shop".into(),
        channel: key.channel.clone(),
        outcome: Outcome::Answered,
        detail: String::new(),
        reply: Bytes::from_static(b"{\"text\":[]}"),
        parked: None,
        queued_ms: 1,
        bot_ms: 2,
    };
    let body = || Bytes::from_static(b"{\"text\":\"hello\"}");
    let commit = TurnCommit {
        version: conversation.version,
        conversation: key,
        session: Session::default(),
        record,
        deliveries: vec![body(), body()],
        wider: Vec::new(),
    };
    store.commit(commit).await.unwrap();
    (turn, conversation.id)
}

/// One turn on a channel of its own, whose messages wait.
pub(crate) async fn waiting(api: &Api<impl Pair>) -> (TurnId, ConversationId) {
    let channel = hook(api).await;
    say(api, &channel, "ann").await
}

/// An asynchronous channel.
async fn hook(api: &Api<impl Pair>) -> String {
    api.shop().await;
    let draft = json!({"bot": "clerk", "app": "shop", "name": "hook", "post_url": "https://receiver.example/in"});
    let made = api.post("/channels", draft).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["webhook_id"].as_str().unwrap().to_owned()
}

async fn finish(api: &Api<impl Pair>) {
    while api.desk.store.step_replay().await.unwrap() != Stepped::Idle {}
}

fn range(channel: &str) -> Value {
    json!({"channel": channel, "from_ms": 0, "to_ms": 4_000_000_000_000_u64})
}

async fn a_range_is_counted_sent_again_watched_and_stopped_through_the_api<P: Pair>(pair: P) {
    let Told { api, channel, .. } = told(&pair, &["ann", "bob"]).await;
    let count = format!("/deliveries/count?channel={channel}&from_ms=0&to_ms=4000000000000");
    assert_eq!(api.get(&count).await.body["rows"], 4);
    assert_eq!(api.get(&format!("{count}&state=parked")).await.body["rows"], 0);
    for wrong in ["waiting", "nonsense"] {
        assert_eq!(api.get(&format!("{count}&state={wrong}")).await.status, 400);
    }
    let send = async |key: &str, body: &Value| {
        let request = api.request(&Method::POST, "/replays").bearer_auth(&api.admin);
        let request = request.header("content-type", "application/json");
        Answer::of(request.header("idempotency-key", key).body(body.to_string())).await
    };
    let made = send("k-1", &range(&channel)).await;
    assert_eq!((made.status, &made.body["deliveries"]), (201, &json!(4)), "{}", made.text);
    let again = send("k-1", &range(&channel)).await;
    assert_eq!((again.status, &again.body["replay_id"]), (201, &made.body["replay_id"]));
    let mut other = range(&channel);
    other["state"] = json!("parked");
    assert_eq!(send("k-1", &other).await.status, 422);
    assert_eq!(send("k-2", &other).await.status, 409, "there is none");
    let id = made.body["replay_id"].as_str().unwrap();
    let store = &api.desk.store;
    assert_eq!(store.step_replay().await.unwrap(), Stepped::Appended(2));
    let progress = api.get(&format!("/replays/{id}")).await;
    assert_eq!((&progress.body["state"], &progress.body["sent"]), (&json!("running"), &json!(2)));
    let path = format!("/replays/{id}/cancel");
    let stopped = api.ask(Method::POST, &path, None).await;
    assert_eq!((&stopped.body["state"], &stopped.body["sent"]), (&json!("cancelled"), &json!(2)));
    finish(&api).await;
    assert_eq!(api.get(&format!("/replays/{id}")).await.body["sent"], 2);
    let page = api.get("/replays?limit=1").await;
    assert_eq!(
        (&page.body["items"][0]["replay_id"], &page.body["next_cursor"]),
        (&json!(id), &Value::Null)
    );
    let log = api.get("/audit").await;
    let actions: Vec<_> =
        log.body["items"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    let replays = actions.iter().filter(|one| *one == "delivery.replay").count();
    assert_eq!(replays, 1, "{actions:?}");
    assert!(actions.contains(&json!("delivery.replay_cancel")), "{actions:?}");
    for (wrong, status) in [
        (json!({"channel": "none", "from_ms": 0, "to_ms": 1}), 404),
        (json!({"channel": channel, "from_ms": 1, "to_ms": 1}), 400),
        (json!({"channel": channel, "from_ms": 0, "to_ms": u64::MAX}), 400),
        (json!({"channel": channel, "from_ms": -1, "to_ms": 1}), 400),
        (json!({"channel": channel, "from_ms": 0, "to_ms": 1, "state": "waiting"}), 400),
    ] {
        let answer = api.post("/replays", wrong.clone()).await;
        assert_eq!(answer.status, status, "{wrong}: {}", answer.text);
    }
    for path in ["/replays/none", "/replays/0190b5f4c2d87a3e9f1000000000000a"] {
        assert_eq!(api.get(path).await.status, 404);
    }
}

async fn one_delivery_is_sent_again_through_the_api<P: Pair>(pair: P) {
    let Told { api, turns, .. } = told(&pair, &["ann"]).await;
    let turn = turns[0];
    let path = |message: &str| format!("/turns/{turn}/deliveries/{message}/resend");
    let made = api.ask(Method::POST, &path("1"), None).await;
    assert_eq!((made.status, &made.body["message"]), (201, &json!(1)), "{}", made.text);
    finish(&api).await;
    let whole = api.get(&format!("/turns/{turn}")).await;
    let states: Vec<_> = whole.body["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["state"].as_str().unwrap(), one["redriven"].as_bool().unwrap()))
        .collect();
    assert_eq!(states, [("delivered", false), ("waiting", true)]);
    assert_eq!(api.ask(Method::POST, &path("1"), None).await.status, 409, "it waits");
    for wrong in ["2", "x", "-1", "70000"] {
        assert_eq!(api.ask(Method::POST, &path(wrong), None).await.status, 404, "{wrong}");
    }
}

async fn a_range_is_sent_again_by_forms_and_a_second_submit_is_the_same<P: Pair>(pair: P) {
    let Told { api, channel, turns } = told(&pair, &["ann", "bob"]).await;
    let ann = Browser::signed_in(&api, "ann").await;
    let list = ann.get("/deliveries?state=delivered").await;
    assert!(list.text.contains(&format!("/turns/{}/0/resend", turns[0])), "{}", list.text);
    let dev = Browser::signed_in(&api, "dev").await;
    assert!(!dev.get("/deliveries?state=delivered").await.text.contains("/resend"));
    let words = "from=2020-01-01T00:00&to=2099-12-31T23:59&state=";
    let ask = format!("/replays/new?channel={channel}&{words}");
    let shown = ann.get(&ask).await;
    assert!(shown.text.contains("Send 4 deliveries again?"), "{}", shown.text);
    for (wrong, told) in [
        (format!("/replays/new?channel=none&{words}"), "there is no channel"),
        (format!("/replays/new?channel={channel}&from=x&to=y"), "a minute like"),
        (format!("/replays/new?channel={channel}&{words}parked"), "No settled delivery"),
    ] {
        let shown = ann.get(&wrong).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.contains(told), "{told} in {}", shown.text);
    }
    let filled = [
        ("csrf", shown.hidden("csrf")),
        ("once", shown.text.split("name=\"once\" value=\"").nth(1).unwrap()[..32].to_owned()),
        ("channel", channel.clone()),
        ("from", "2020-01-01T00:00".to_owned()),
        ("to", "2099-12-31T23:59".to_owned()),
        ("state", String::new()),
    ];
    let filled = filled.map(|(word, value)| (word.to_owned(), value));
    let first = ann.post("/replays/new", &filled).await;
    let second = ann.post("/replays/new", &filled).await;
    assert_eq!(first.status, 303, "{}", first.text);
    let replay = first.header("location").to_owned();
    assert_eq!(second.header("location"), replay, "the same replay");
    assert!(ann.get(&replay).await.text.contains("Stop it"));
    assert!(!dev.get(&replay).await.text.contains("Stop it"));
    finish(&api).await;
    let shown = ann.get(&replay).await;
    assert!(shown.text.contains("done") && !shown.text.contains("Stop it"), "{}", shown.text);
    assert!(ann.get("/replays").await.text.contains(&replay));
}

async fn one_delivery_is_sent_again_by_a_form_and_a_replay_is_stopped_by_one<P: Pair>(pair: P) {
    let Told { api, turns, .. } = told(&pair, &["ann"]).await;
    let ann = Browser::signed_in(&api, "ann").await;
    let form = format!("/turns/{}/0/resend", turns[0]);
    assert!(ann.get(&format!("/turns/{}", turns[0])).await.text.contains(&form));
    let sent = ann.fill(&form, &form, &[]).await;
    let replay = sent.header("location").to_owned();
    assert!(replay.starts_with("/replays/"), "{}", sent.text);
    let stopped = ann.fill(&replay, &format!("{replay}/cancel"), &[]).await;
    assert_eq!(stopped.status, 303, "{}", stopped.text);
    let shown = ann.get(stopped.header("location")).await;
    assert!(shown.text.contains("It was stopped"), "{}", shown.text);
    finish(&api).await;
    assert!(ann.get("/deliveries").await.text.contains("None is like this"));
}

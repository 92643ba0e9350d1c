//! The admin API as a program meets it.

use std::collections::BTreeSet;

use console::api::{ROUTES, document};
use console::office::actor::{Actor, Scope};
use console::office::problem::Kind;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::channel::ChannelAction;
use tokio::task::JoinSet;

use crate::support::api::{Answer, Api};
use testkit::pair::Pair;

on_both! {
    every_route_is_in_the_document_and_every_documented_route_exists,
    each_right_opens_its_routes_and_no_other,
    tokens_that_are_none_open_nothing_and_all_look_alike,
    the_whole_life_of_a_channel_goes_through_the_api,
    a_bot_travels_and_is_given_its_app_through_the_api,
    a_change_is_tied_to_what_was_seen,
    a_create_with_a_key_happens_once_and_a_repeat_gets_the_same_secret,
    pages_hold_everything_once_and_in_order,
    bodies_that_are_none_are_refused_in_words_without_their_values,
    the_platforms_own_shape_makes_a_channel_that_awaits_approval,
    one_channel_is_decided_by_itself_only_when_it_is_what_is_shown,
    a_suspended_channel_comes_back_as_it_was_approved_whatever_is_edited_beside_it,
}

fn method(route: &console::api::Route) -> Method {
    Method::from_bytes(route.method.as_str().as_bytes()).unwrap()
}

/// The path with something in it that is not there.
fn path(route: &console::api::Route) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn every_route_is_in_the_document_and_every_documented_route_exists<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let served = Answer::of(api.request(&Method::GET, "/openapi.json")).await;
    assert_eq!((served.status, &served.body), (200, &document()));
    let mut documented = BTreeSet::new();
    for (path, item) in served.body["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routes: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_string(), format!("/api/admin/v1{}", route.path)))
        .collect();
    assert_eq!(documented, routes);
    for route in ROUTES {
        let answer = Answer::of(api.request(&method(route), &path(route))).await;
        let expected = if route.is_public() { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{} {}", route.method, route.path);
    }
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::GET, "", 404),
        (Method::PUT, "/apps", 405),
        (Method::POST, "/bots/x/export", 405),
    ] {
        let answer = Answer::of(api.request(&method, path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let answer = Answer::of(api.request(&Method::PUT, "/apps/none")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, PATCH, DELETE"));
    let answer = Answer::of(api.request(&Method::GET, "/bots/import")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    // Every reference leads somewhere.
    let text = served.text;
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap())
    {
        assert!(served.body.pointer(reference).is_some(), "{reference}");
    }
}

/// Who may call what, by hand: the table of the product is checked against it. `r` read, `c` configure,
/// `a` approve, `o` operate, `m` administer, `-` any token.
const RIGHTS: &str = include_str!("api_rights.txt");

async fn each_right_opens_its_routes_and_no_other<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let mut rows = RIGHTS.lines().filter(|line| !line.starts_with('#'));
    let mut tokens = Vec::new();
    for (letter, scope) in ["r", "c", "a", "o", "m"].into_iter().zip(Scope::ALL) {
        tokens.push((letter, api.token("ann", &[scope]).await));
    }
    tokens.push(("developer", api.developer.clone()));
    tokens.push(("admin", api.admin.clone()));
    for route in ROUTES.iter().filter(|route| !route.is_public()) {
        let row = rows.next().expect("a row for each route");
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[1..], [route.method.as_str(), route.path], "the table's order");
        let right = words[0];
        for (who, token) in &tokens {
            let allowed = match *who {
                "admin" => true,
                "developer" => ["-", "r", "c"].contains(&right),
                letter => right == "-" || right == letter,
            };
            let request = api.request(&method(route), &path(route)).bearer_auth(token);
            let answer = Answer::of(request.header("if-match", "*")).await;
            let refused = answer.status == 403 || answer.status == 401;
            assert_eq!(!refused, allowed, "{who}: {row}: {} {}", answer.status, answer.text);
        }
    }
    assert_eq!(rows.next(), None, "a route for each row");
}

async fn tokens_that_are_none_open_nothing_and_all_look_alike<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let tampered = format!("{}x", api.admin);
    let basic = format!("Basic {}", api.admin);
    let bearer = |token: &str| format!("Bearer {token}");
    let long = bearer(&"x".repeat(5_000));
    let mut bodies = BTreeSet::new();
    for value in [&bearer(""), &bearer("shk_x"), &bearer(&tampered), &basic, &long] {
        let request = api.request(&Method::GET, "/apps").header("authorization", value);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 401, "{value}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        bodies.insert(answer.text);
    }
    assert_eq!(bodies.len(), 1);
}

async fn the_whole_life_of_a_channel_goes_through_the_api<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let draft = json!({"bot": "clerk", "app": "shop", "name": "web"});
    let made = api.post("/channels", draft).await;
    assert_eq!((made.status, &made.body["state"]), (201, &json!("draft")));
    assert_eq!(made.body["ordinal"], 1);
    let url = made.body["url"].as_str().unwrap();
    assert!(url.starts_with("https://hooks.example/chatbot/hooks/st-"), "{url}");
    let id = made.body["webhook_id"].as_str().unwrap().to_owned();
    let ask = json!({"channels": ["web"], "comment": "please"});
    let asked = api.post("/bots/clerk/publish-requests", ask).await;
    assert_eq!(asked.status, 201, "{}", asked.text);
    let request = asked.body["request_id"].as_str().unwrap();
    let inbox = api.get("/publish-requests").await;
    assert_eq!(inbox.body["items"][0]["request_id"], request);
    let reject = api.post(&format!("/publish-requests/{request}/reject"), json!({})).await;
    assert_eq!(reject.status, 400, "a reason is needed");
    let done = api.post(&format!("/publish-requests/{request}/approve"), json!({})).await;
    assert_eq!(done.body["decision"]["outcome"], "approved", "{}", done.text);
    assert_eq!(api.get(&format!("/channels/{id}")).await.body["state"], "live");
    let decided = api.get("/publish-requests?state=decided").await;
    assert_eq!(decided.body["items"][0]["request_id"], request);
    let stopped = api.ask(Method::POST, &format!("/channels/{id}/suspend"), None).await;
    assert_eq!(stopped.body["state"], "suspended");
    let again = api.ask(Method::POST, &format!("/channels/{id}/suspend"), None).await;
    assert_eq!(again.status, 409);
    let whom = json!({"user": "u-1"});
    let erased = api.post(&format!("/channels/{id}/erase-user"), whom.clone()).await;
    assert_eq!((erased.status, erased.body["rows"].is_u64()), (200, true));
    assert_eq!(api.post(&format!("/channels/{id}/redrive"), whom).await.status, 200);
    assert!(!api.get("/audit").await.text.contains("u-1"), "an erased user is not named again");
    assert_eq!(api.ask(Method::DELETE, &format!("/channels/{id}"), None).await.status, 204);
    assert_eq!(api.get(&format!("/channels/{id}")).await.status, 404);
}

async fn a_bot_travels_and_is_given_its_app_through_the_api<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let draft = json!({"bot": "clerk", "app": "shop", "name": "web"});
    api.post("/channels", draft).await;
    let document = api.get("/bots/clerk/export").await;
    assert_eq!(document.body["format"], "switchhook.bot");
    let imported = api.post("/bots/import?name=twin", document.body).await;
    assert_eq!(imported.status, 201, "{}", imported.text);
    let placeholder = imported.body["placeholders"][0]["placeholder_id"].as_str().unwrap();
    let path = format!("/placeholders/{placeholder}/associate");
    let channel = api.post(&path, json!({"app": "shop"})).await;
    assert_eq!((channel.status, &channel.body["state"]), (201, &json!("draft")));
    let parent = api.ask(Method::PUT, "/bots/twin/parent", Some(json!({"parent": "clerk"}))).await;
    assert!(parent.body["parent_id"].is_string(), "{}", parent.text);
}

async fn a_change_is_tied_to_what_was_seen<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let seen = api.get("/apps/shop").await;
    let tag = seen.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
    let change = async |tag: Option<&str>, name: &str| {
        let mut request = api.request(&Method::PATCH, "/apps/shop").bearer_auth(&api.admin);
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        let body = json!({"name": name, "rules": {"age_max": "10min"}}).to_string();
        Answer::of(request.header("content-type", "application/json").body(body)).await
    };
    assert_eq!(change(None, "shop").await.status, 428);
    for wrong in ["\"other\"", &format!("W/{tag}"), "shop", ""] {
        assert_eq!(change(Some(wrong), "shop").await.status, 412, "{wrong}");
    }
    let changed = change(Some(&tag), "shop").await;
    assert_eq!((changed.status, &changed.body["rules"]["age_max"]), (200, &json!("600000ms")));
    assert_eq!(change(Some(&tag), "shop").await.status, 412, "it was seen before that");
    assert_eq!(changed.header("etag"), api.get("/apps/shop").await.header("etag"));
    assert_eq!(change(Some(changed.header("etag")), "shop").await.status, 200);
}

async fn a_create_with_a_key_happens_once_and_a_repeat_gets_the_same_secret<P: Pair>(pair: P) {
    let api = std::sync::Arc::new(Api::start(&pair).await);
    api.shop().await;
    let create = |path: &'static str, key: &'static str, body: Value| {
        let api = std::sync::Arc::clone(&api);
        async move {
            let request = api.request(&Method::POST, path).bearer_auth(&api.admin);
            let request = request.header("idempotency-key", key);
            let request = request.header("content-type", "application/json");
            Answer::of(request.body(body.to_string())).await
        }
    };
    let mut asking = JoinSet::new();
    for _ in 0..6 {
        asking.spawn(create("/apps", "k-1", json!({"name": "other"})));
    }
    let answers = asking.join_all().await;
    let first = &answers[0];
    assert!(first.body["client_secret"].is_string(), "{}", first.text);
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (201, &first.text));
    }
    assert_eq!(api.get("/apps").await.body["items"].as_array().unwrap().len(), 2);
    let other = create("/apps", "k-1", json!({"name": "another"})).await;
    assert_eq!(other.status, 422);
    // The same key for something else is another key.
    assert_eq!(create("/bots", "k-1", json!({"name": "other"})).await.status, 201);
    let channel = json!({"bot": "clerk", "app": "shop", "name": "web"});
    let made = create("/channels", "k-2", channel.clone()).await;
    let again = create("/channels", "k-2", channel).await;
    assert_eq!((made.status, &made.text), (201, &again.text));
    assert_eq!(again.body["ordinal"], 1);
}

async fn pages_hold_everything_once_and_in_order<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    for n in 0..7 {
        assert_eq!(api.post("/apps", json!({"name": format!("app {n}")})).await.status, 201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/apps?limit=3{cursor}")).await;
        let items = page.body["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|app| app["client_id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted());
    let newest = api.get("/audit?limit=2").await;
    assert_eq!(newest.body["items"][0]["action"], "app.add");
    let next = newest.body["next_cursor"].as_str().unwrap();
    let older = api.get(&format!("/audit?limit=2&cursor={next}")).await;
    assert_ne!(older.body["items"][0], newest.body["items"][1]);
    for wrong in ["limit=0", "limit=201", "limit=x", "cursor=%00", "colour=red", "limit=1&limit=2"]
    {
        assert_eq!(api.get(&format!("/apps?{wrong}")).await.status, 400, "{wrong}");
    }
}

async fn bodies_that_are_none_are_refused_in_words_without_their_values<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let send = async |media: &str, body: String| {
        let request = api.request(&Method::POST, "/apps").bearer_auth(&api.admin);
        Answer::of(request.header("content-type", media).body(body)).await
    };
    let json = "application/json";
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"name\":5}",
        "{\"name\":\"x\",\"surprise\":1}",
        "{\"name\":\"\"}",
        "{\"name\":\"x\",\"secret\":[\"CANARY\"]}",
        "{\"name\":\"x\",\"secret\":\"CANARY\"}",
        "{\"name\":\"x\\u0000\"}",
    ] {
        let answer = send(json, body.to_owned()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.text.contains("CANARY"), "{}", answer.text);
        assert_eq!(answer.body["status"], 400);
    }
    assert_eq!(send("text/plain", "{\"name\":\"x\"}".to_owned()).await.status, 415);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    assert_eq!(send(json, large).await.status, 413);
    let named = api.post("/apps", json!({"name": "ä / b?"})).await;
    assert_eq!(named.status, 201);
    let found = api.get("/apps/%C3%A4%20%2F%20b%3F").await;
    assert_eq!(found.body["client_id"], named.body["client_id"]);
    assert_eq!(api.get("/apps/%00").await.status, 404);
}

async fn the_platforms_own_shape_makes_a_channel_that_awaits_approval<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let bot = api.get("/bots/clerk").await.body["bot_id"].clone();
    let app = api.get("/apps/shop").await.body["client_id"].clone();
    let body = json!({"streamId": bot, "type": "ivr", "channelDetails": {
        "type": "ivr", "displayName": "webhook1", "createInstance": true, "enable": true,
        "enablePolling": false, "isAsync": false, "app": {"clientId": app, "appName": "shop"}}});
    let send = async |token: &str, body: &Value| {
        let request = api.http.post(format!("{}/api/public/channels", api.url));
        let request = request.header("auth", token).header("content-type", "application/json");
        Answer::of(request.body(body.to_string())).await
    };
    let made = send(&api.developer, &body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(made.body["streamId"], bot);
    assert_eq!(made.body["channelDetails"]["displayName"], "webhook1");
    assert_eq!(made.body["channelDetails"]["state"], "awaiting approval");
    assert_eq!(send("nothing", &body).await.status, 401);
    assert_eq!(send(&api.developer, &json!({"streamId": 1})).await.status, 400);
    let reader = api.token("ann", &[Scope::Read]).await;
    assert_eq!(send(&reader, &body).await.status, 403);
}

async fn one_channel_is_decided_by_itself_only_when_it_is_what_is_shown<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let draft = json!({"bot": "clerk", "app": "shop", "name": "web"});
    assert_eq!(api.post("/channels", draft).await.status, 201);
    let asked = api.post("/bots/clerk/publish-requests", json!({"channels": ["web"]})).await;
    assert_eq!(asked.status, 201, "{}", asked.text);
    // By the command line and the pages; the API has no such route.
    let rejected = api.desk.act(&Actor::command_line(), "web", ChannelAction::Reject).await;
    let refused = rejected.err().map(|problem| problem.kind);
    assert_eq!(refused, Some(Kind::Conflict), "a request asks for it");
    // What is shown from here on is the edit; what would go live is not.
    let edit = json!({"post_url": "https://elsewhere.example/"});
    let edited = api.ask(Method::PATCH, "/channels/web", Some(edit)).await;
    assert_eq!(edited.status, 200, "{}", edited.text);
    let approved = api.post("/channels/web/approve", json!({})).await;
    assert_eq!(approved.status, 409, "an edit waits beside it: {}", approved.text);
}

async fn a_suspended_channel_comes_back_as_it_was_approved_whatever_is_edited_beside_it<P: Pair>(
    pair: P,
) {
    let api = Api::start(&pair).await;
    api.shop().await;
    let draft = json!({"bot": "clerk", "app": "shop", "name": "web"});
    assert_eq!(api.post("/channels", draft).await.status, 201);
    let asked = api.post("/bots/clerk/publish-requests", json!({"channels": ["web"]})).await;
    let id = asked.body["request_id"].as_str().unwrap();
    let approved = api.post(&format!("/publish-requests/{id}/approve"), json!({})).await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    assert_eq!(api.post("/channels/web/suspend", json!({})).await.status, 200);
    for (place, edit) in [
        ("/channels/web", json!({"name": "renamed"})),
        ("/bots/clerk", json!({"error_message": "Later, please."})),
    ] {
        let edited = api.ask(Method::PATCH, place, Some(edit)).await;
        assert_eq!(edited.status, 200, "{}", edited.text);
    }
    let back = api.post("/channels/web/approve", json!({})).await;
    assert_eq!((back.status, &back.body["state"]), (200, &json!("live")), "{}", back.text);
    assert_eq!(back.body["name"], "web", "the edit still waits");
}

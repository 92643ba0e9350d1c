//! The life of a channel: nothing runs, and nothing changes of what runs, before somebody approves it.

use console::office::etag;
use console::office::problem::Kind;
use console::office::publish::Verdict;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shared::domain::channel::ChannelAction;
use shared::domain::channel::ChannelState::{
    AwaitingApproval, Disabled, Draft, Live, Rejected, Suspended,
};
use shared::registry::{Logic, RegistryStore as _};

use crate::support::{World, map, refused, selection};
use testkit::pair::Pair;

on_both! {
    a_channel_runs_from_its_approval_on_and_not_before,
    an_edit_of_what_runs_does_nothing_until_it_is_approved_and_the_diff_shows_it,
    a_first_request_shows_all_of_the_bot_and_an_edit_beside_it_does_not_change_what_is_approved,
    publishing_replaces_what_runs_and_an_admins_stop_stays,
    a_rejection_needs_a_reason_and_a_bot_has_one_open_request,
    with_the_rule_of_two_nobody_approves_what_they_asked_for,
    an_access_token_never_follows_a_changed_host,
    of_two_who_change_the_same_the_second_has_to_look_again,
    what_was_published_is_removed_by_who_may_approve,
    a_bot_becomes_a_script_when_that_is_approved_and_keeps_what_only_it_sees,
}

async fn a_channel_runs_from_its_approval_on_and_not_before<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let web = world.channel("web", json!({})).await;
    assert!(web.url.starts_with("https://hooks.example/chatbot/hooks/st-"), "{}", web.url);
    assert_eq!(world.runs(&web.webhook_id).await.state, Draft);
    let asked = world.desk.publish(&world.dev, "clerk", &selection(&["web"])).await.unwrap();
    assert_eq!(world.runs(&web.webhook_id).await.state, AwaitingApproval);
    let judge = world.desk.judge(&world.dev, &asked.request_id, Verdict::Approve, "").await;
    refused(judge, Kind::Forbidden);
    assert_eq!(world.desk.open_requests().await.unwrap().len(), 1);
    let judge = world.desk.judge(&world.ann, &asked.request_id, Verdict::Approve, "fine").await;
    let decision = judge.unwrap().decision.unwrap();
    assert_eq!((decision.outcome.as_str(), decision.by.as_str()), ("approved", "ann"));
    assert_eq!(world.runs(&web.webhook_id).await.state, Live);
    let again = world.desk.judge(&world.ann, &asked.request_id, Verdict::Reject, "no").await;
    refused(again, Kind::NotFound);
    let decided = world.desk.decided_requests(None, 10).await.unwrap();
    assert_eq!(decided[0].decision.as_ref().unwrap().why, "fine");
    assert!(world.desk.open_requests().await.unwrap().is_empty());
}

async fn an_edit_of_what_runs_does_nothing_until_it_is_approved_and_the_diff_shows_it<P: Pair>(
    pair: P,
) {
    let world = World::start(&pair, false).await;
    let post = json!({"post_url": "https://a.example/in", "access_token": "THE-OLD-TOKEN"});
    let web = world.channel("web", post).await;
    let id = web.webhook_id.as_str();
    world.publish(&["web"]).await;
    let patch = map(json!({"deadline": "7s", "access_token": "THE-NEW-TOKEN"}));
    let edited = world.desk.change_channel(&world.dev, id, &patch, None).await.unwrap();
    assert!(edited.unpublished);
    assert_eq!(edited.deadline_ms, 7_000);
    let token = async || {
        let endpoint = world.runs(id).await.endpoint.unwrap();
        endpoint.token.unwrap().expose_secret().to_owned()
    };
    assert_eq!(world.runs(id).await.deadline.as_secs(), 15);
    assert_eq!(token().await, "Bearer THE-OLD-TOKEN");
    let bot = map(json!({"http": "https://bots.example/v2", "authorization": "Bearer BOT"}));
    world.desk.change_bot(&world.dev, "clerk", &bot, None).await.unwrap();
    let logic = async || {
        let registry = world.desk.store.registry().await.unwrap();
        registry.bots.values().next().unwrap().logic.clone()
    };
    assert!(matches!(logic().await, Logic::Echo));
    let asked = world.desk.publish(&world.dev, "clerk", &selection(&["web"])).await.unwrap();
    let shown = serde_json::to_string(&asked).unwrap();
    assert!(!shown.contains("TOKEN") && !shown.contains("BOT\""), "{shown}");
    let mut words: Vec<_> = asked.differences.iter().map(|d| d.word.as_str()).collect();
    words.sort_unstable();
    let expected =
        ["access_token", "authorization", "deadline", "http", "http_attempts", "http_deadline"];
    assert_eq!(words, expected);
    let deadline = asked.differences.iter().find(|d| d.word == "deadline").unwrap();
    assert_eq!(deadline.before, Some(json!("15000ms")));
    assert_eq!(deadline.after, Some(json!("7000ms")));
    // Whoever goes on editing does not change what was asked for.
    let more = map(json!({"deadline": "9s"}));
    world.desk.change_channel(&world.dev, id, &more, None).await.unwrap();
    world.desk.judge(&world.ann, &asked.request_id, Verdict::Approve, "").await.unwrap();
    assert_eq!(world.runs(id).await.deadline.as_secs(), 7);
    assert_eq!(token().await, "Bearer THE-NEW-TOKEN");
    assert!(matches!(logic().await, Logic::Http(http) if http.authorization.is_some()));
    let left = world.desk.channel(id).await.unwrap();
    assert!(left.unpublished && left.deadline_ms == 9_000, "the later edit is still there");
    assert!(!world.desk.bot("clerk").await.unwrap().unpublished);
}

async fn a_first_request_shows_all_of_the_bot_and_an_edit_beside_it_does_not_change_what_is_approved<
    P: Pair,
>(
    pair: P,
) {
    let world = World::start(&pair, false).await;
    let web = world.channel("web", json!({})).await;
    let bot = map(json!({"http": "https://bots.example/v1"}));
    world.desk.change_bot(&world.dev, "clerk", &bot, None).await.unwrap();
    let asked = world.desk.publish(&world.dev, "clerk", &selection(&["web"])).await.unwrap();
    let http = asked.differences.iter().find(|d| d.word == "http").unwrap();
    assert_eq!((&http.before, &http.after), (&None, &Some(json!("https://bots.example/v1"))));
    let later = map(json!({"http": "https://bots.example/v2"}));
    world.desk.change_bot(&world.dev, "clerk", &later, None).await.unwrap();
    world.desk.judge(&world.ann, &asked.request_id, Verdict::Approve, "").await.unwrap();
    assert_eq!(world.runs(&web.webhook_id).await.state, Live);
    let registry = world.desk.store.registry().await.unwrap();
    let logic = &registry.bots.values().next().unwrap().logic;
    assert!(matches!(logic, Logic::Http(http) if http.url.path() == "/v1"), "what was shown");
    assert!(world.desk.bot("clerk").await.unwrap().unpublished, "the later edit still waits");
}

async fn publishing_replaces_what_runs_and_an_admins_stop_stays<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(world.channel(name, json!({})).await.webhook_id);
    }
    let states = async || {
        let mut states = Vec::new();
        for id in &ids {
            states.push(world.runs(id).await.state);
        }
        states
    };
    world.publish(&["a", "b", "c"]).await;
    assert_eq!(states().await, [Live, Live, Live]);
    world.desk.act(&world.ann, "a", ChannelAction::Suspend).await.unwrap();
    let asked = world.desk.publish(&world.dev, "clerk", &selection(&["a", "b"])).await.unwrap();
    assert_eq!(asked.differences.len(), 1, "c stops: {}", json!(asked));
    world.desk.judge(&world.ann, &asked.request_id, Verdict::Approve, "").await.unwrap();
    assert_eq!(states().await, [Suspended, Live, Disabled]);
    world.publish(&["b", "c"]).await;
    assert_eq!(states().await, [Suspended, Live, Live]);
    world.desk.act(&world.ann, "a", ChannelAction::Approve).await.unwrap();
    assert_eq!(states().await, [Live, Live, Live]);
}

async fn a_rejection_needs_a_reason_and_a_bot_has_one_open_request<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let id = world.channel("web", json!({})).await.webhook_id;
    let ask = async || world.desk.publish(&world.dev, "clerk", &selection(&["web"])).await;
    let asked = ask().await.unwrap().request_id;
    assert!(refused(ask().await, Kind::Conflict).contains(&asked));
    let judge = async |verdict, why| world.desk.judge(&world.ann, &asked, verdict, why).await;
    refused(judge(Verdict::Reject, " ").await, Kind::Invalid);
    judge(Verdict::Reject, "no receiver").await.unwrap();
    assert_eq!(world.runs(&id).await.state, Rejected);
    let asked = ask().await.unwrap().request_id;
    world.desk.judge(&world.dev, &asked, Verdict::Withdraw, "").await.unwrap();
    assert_eq!(world.runs(&id).await.state, Draft);
    let unknown = world.desk.publish(&world.dev, "clerk", &selection(&["nobody"])).await;
    refused(unknown, Kind::NotFound);
}

async fn with_the_rule_of_two_nobody_approves_what_they_asked_for<P: Pair>(pair: P) {
    let world = World::start(&pair, true).await;
    let id = world.channel("web", json!({})).await.webhook_id;
    let asked = world.desk.publish(&world.ann, "clerk", &selection(&["web"])).await.unwrap();
    let mut own_token = world.ann.clone();
    "ann (token 1)".clone_into(&mut own_token.name);
    for same in [&world.ann, &own_token] {
        let judge = world.desk.judge(same, &asked.request_id, Verdict::Approve, "").await;
        refused(judge, Kind::Forbidden);
    }
    let alone = world.desk.act(&world.bob, "web", ChannelAction::Approve).await;
    refused(alone, Kind::Forbidden);
    world.desk.judge(&world.bob, &asked.request_id, Verdict::Approve, "").await.unwrap();
    assert_eq!(world.runs(&id).await.state, Live);
}

async fn an_access_token_never_follows_a_changed_host<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let post = json!({"post_url": "https://a.example/in", "access_token": "T"});
    let id = world.channel("web", post).await.webhook_id;
    let change =
        async |patch: Value| world.desk.change_channel(&world.dev, &id, &map(patch), None).await;
    change(json!({"post_url": "https://a.example/elsewhere"})).await.unwrap();
    refused(change(json!({"post_url": "https://b.example/in"})).await, Kind::Invalid);
    change(json!({"post_url": "https://b.example/in", "access_token": "U"})).await.unwrap();
    let bare = json!({"post_url": "https://c.example/in", "access_token": ""});
    assert!(!change(bare).await.unwrap().endpoint.unwrap().has_token);
    let sync = change(json!({"post_url": null})).await.unwrap();
    assert_eq!((sync.mode.as_str(), sync.endpoint.is_none()), ("sync", true));
    let asynchronous = change(json!({"post_url": "https://a.example/"})).await.unwrap();
    assert!(asynchronous.endpoint.unwrap().signing_secret.is_some(), "a new one, shown once");
}

async fn of_two_who_change_the_same_the_second_has_to_look_again<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let id = world.channel("web", json!({})).await.webhook_id;
    let seen = etag::of(&world.desk.channel(&id).await.unwrap());
    let patch = map(json!({"deadline": "5s"}));
    let change =
        async || world.desk.change_channel(&world.dev, &id, &patch, Some(seen.as_str())).await;
    change().await.unwrap();
    refused(change().await, Kind::Stale);
    refused(world.desk.remove_channel(&world.dev, &id, Some(seen.as_str())).await, Kind::Stale);
    let now = etag::of(&world.desk.channel(&id).await.unwrap());
    world.desk.remove_channel(&world.dev, &id, Some(now.as_str())).await.unwrap();
    refused(world.desk.channel(&id).await, Kind::NotFound);
}

async fn what_was_published_is_removed_by_who_may_approve<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let id = world.channel("web", json!({})).await.webhook_id;
    world.publish(&["web"]).await;
    refused(world.desk.remove_channel(&world.dev, &id, None).await, Kind::Forbidden);
    refused(world.desk.remove_bot(&world.dev, "clerk", None).await, Kind::Conflict);
    refused(world.desk.remove_app(&world.dev, "shop", None).await, Kind::Conflict);
    world.desk.remove_channel(&world.ann, &id, None).await.unwrap();
    world.desk.remove_bot(&world.dev, "clerk", None).await.unwrap();
    world.desk.remove_app(&world.dev, "shop", None).await.unwrap();
}

async fn a_bot_becomes_a_script_when_that_is_approved_and_keeps_what_only_it_sees<P: Pair>(
    pair: P,
) {
    let world = World::start(&pair, false).await;
    world.channel("web", json!({})).await;
    world.publish(&["web"]).await;
    let change =
        async |patch: Value| world.desk.change_bot(&world.dev, "clerk", &map(patch), None).await;
    let source = "bot.onMessage(() => say('hi'));";
    change(json!({"source": source, "source_name": "clerk.js", "env": {"KEY": "CANARY"}}))
        .await
        .unwrap();
    world.publish(&["web"]).await;
    change(json!({"restart_dialogs": true})).await.unwrap();
    change(json!({"error_message": "Oh."})).await.unwrap();
    let document = serde_json::to_string(&world.desk.export("clerk").await.unwrap()).unwrap();
    assert!(document.contains("clerk.js") && !document.contains("CANARY"), "{document}");
    world.publish(&["web"]).await;
    let registry = world.desk.store.registry().await.unwrap();
    let bot = registry.bots.values().next().unwrap();
    let Logic::Script(script) = &bot.logic else { panic!("{bot:?}") };
    assert_eq!((&*script.source, bot.error_message.as_str()), (source, "Oh."));
    assert!(script.env.as_ref().unwrap().expose_secret().contains("CANARY"));
    assert!(script.restart_dialogs);
    refused(change(json!({"script": "/etc/passwd"})).await, Kind::Invalid);
    change(json!({"source": null, "http": "https://bots.example/"})).await.unwrap();
}

//! Messages of a channel's own: saved, changed by key, approved, exported, shown.

use console::office::actor::Actor;
use console::office::problem::Kind;
use console::office::publish::Verdict;
use serde_json::{Value, json};
use shared::registry::Overrides;

use crate::support::api::Api;
use crate::support::pages::Browser;
use crate::support::{World, from, map, refused, selection};
use testkit::pair::Pair;

on_both! {
    they_are_changed_key_by_key_and_run_when_they_are_approved,
    they_travel_with_an_exported_bot,
    the_page_takes_them_as_json_shows_them_and_takes_them_away,
}

fn overrides(value: Value) -> Overrides {
    from(value)
}

async fn they_are_changed_key_by_key_and_run_when_they_are_approved<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let own = json!({"overrides": {"greeting": "Ahoy!", "bye": "Farewell."}});
    let web = world.channel("web", own).await;
    assert_eq!(web.overrides["greeting"], "Ahoy!");
    world.publish(&["web"]).await;
    let id = web.webhook_id.as_str();
    let card = json!({"type": "image", "payload": {"url": "https://a.example/x"}});
    let patch = map(json!({"overrides": {"bye": null, "menu": card}}));
    let edited = world.desk.change_channel(&world.dev, id, &patch, None).await.unwrap();
    let after = json!({"greeting": "Ahoy!", "menu": card});
    assert_eq!((json!(edited.overrides), edited.unpublished), (after.clone(), true));
    let before = json!({"greeting": "Ahoy!", "bye": "Farewell."});
    assert_eq!(world.runs(id).await.overrides, overrides(before.clone()));
    let asked = world.desk.publish(&world.dev, "clerk", &selection(&["web"])).await.unwrap();
    let difference = asked.differences.iter().find(|one| one.word == "overrides").unwrap();
    assert_eq!(difference.before, Some(json!({"bye": "Farewell.", "greeting": "Ahoy!"})));
    assert_eq!(difference.after, Some(after.clone()));
    world.desk.judge(&world.ann, &asked.request_id, Verdict::Approve, "").await.unwrap();
    assert_eq!(world.runs(id).await.overrides, overrides(after));
    let wrong = map(json!({"overrides": {"greeting": 1}}));
    let why = refused(world.desk.change_channel(&world.dev, id, &wrong, None).await, Kind::Invalid);
    assert_eq!(why, "overrides.greeting: is neither a text nor an object");
    let none = map(json!({"overrides": null}));
    let edited = world.desk.change_channel(&world.dev, id, &none, None).await.unwrap();
    assert!(edited.overrides.is_empty());
}

async fn they_travel_with_an_exported_bot<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    world.channel("web", json!({"overrides": {"greeting": "Ahoy!"}})).await;
    let document = world.desk.export("clerk").await.unwrap();
    assert_eq!(document.channels[0]["overrides"], json!({"greeting": "Ahoy!"}));
    let imported = world.desk.import(&world.dev, &document, Some("twin")).await.unwrap();
    let id = &imported.placeholders[0].placeholder_id;
    let with = from(json!({"app": "shop"}));
    let channel = world.desk.associate(&world.dev, id, &with).await.unwrap();
    assert_eq!(json!(channel.overrides), json!({"greeting": "Ahoy!"}));
}

async fn the_page_takes_them_as_json_shows_them_and_takes_them_away<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let (app, bot) = (json!({"name": "shop"}), json!({"name": "clerk"}));
    api.desk.add_app(&Actor::command_line(), &from(app)).await.unwrap();
    api.desk.add_bot(&Actor::command_line(), &from(bot)).await.unwrap();
    let draft = json!({"bot": "clerk", "app": "shop", "name": "web"});
    let state = shared::domain::channel::ChannelState::Draft;
    let made = api.desk.add_channel(&Actor::command_line(), &from(draft), state).await.unwrap();
    let channel = format!("/channels/{}", made.webhook_id);
    let edit = format!("{channel}/edit");
    let fill = async |text: &str| {
        dev.fill(&edit, &edit, &[("name", "web"), ("mode", "sync"), ("overrides", text)]).await
    };
    for (text, why) in [
        ("{\"a\": ", "overrides: no JSON object, at line 1 column"),
        ("[]", "overrides: no JSON object"),
        ("{\"a\": 5}", "overrides.a: is neither a text nor an object"),
    ] {
        let again = fill(text).await;
        assert!(again.status == 422 && again.text.contains(why), "{}", again.text);
        let typed = text.replace('"', "&#34;");
        assert!(again.text.contains(&typed), "what was typed is not lost: {}", again.text);
    }
    let naughty = "<script>alert(1)</script>";
    let saved = fill(&json!({"error": naughty, "menu": {"type": "x"}}).to_string()).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    for page in [&channel, &edit] {
        let text = dev.get(page).await.text;
        assert!(text.contains("menu") && text.contains("alert(1)"), "{text}");
        assert!(!text.contains(naughty), "{text}");
    }
    assert_eq!(fill("{\"menu\": \"1. one\"}").await.status, 303);
    let view = api.desk.channel(&made.webhook_id).await.unwrap();
    assert_eq!(json!(view.overrides), json!({"menu": "1. one"}));
    assert_eq!(fill(" ").await.status, 303);
    // What becomes of messages before the answer is on the same page.
    assert_eq!(view.while_busy, "queue");
    let chosen = [("name", "web"), ("mode", "sync"), ("while_busy", "merge:500ms")];
    assert_eq!(dev.fill(&edit, &edit, &chosen).await.status, 303);
    let view = api.desk.channel(&made.webhook_id).await.unwrap();
    assert_eq!(view.while_busy, "merge:500ms");
    let chosen = "value=\"merge:500ms\" selected";
    assert!(dev.get(&edit).await.text.contains(chosen), "{chosen}");
    assert!(dev.get(&channel).await.text.contains("merge:500ms"));
    assert!(api.desk.channel(&made.webhook_id).await.unwrap().overrides.is_empty());
}

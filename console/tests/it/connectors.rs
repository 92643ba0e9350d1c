//! Settings of a bot of another platform, by the form.

use console::office::problem::Kind;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shared::registry::{Logic, RegistryStore as _};
use testkit::pair::Pair;

use crate::support::api::Api;
use crate::support::pages::Browser;
use crate::support::{World, map, refused};

on_both! {
    a_setting_that_is_emptied_in_the_form_is_gone,
    a_secret_is_asked_for_again_where_it_would_be_another_or_go_elsewhere,
}

async fn a_setting_that_is_emptied_in_the_form_is_gone<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let connector = json!({"kind": "openai", "url": "https://model.example/v1", "model": "m",
        "instructions": "Be kind.", "history": 7, "temperature": 0.5});
    let bot = api.post("/bots", json!({"name": "clerk", "connector": connector})).await;
    assert_eq!(bot.status, 201, "{}", bot.text);
    let edit = format!("/bots/{}/edit", bot.body["bot_id"].as_str().unwrap());
    let dev = Browser::signed_in(&api, "dev").await;
    let save = async |kind: &str, more: &str| {
        let words = [
            ("name", "clerk"),
            ("logic", "connector"),
            ("connector_kind", kind),
            ("connector_url", "https://model.example/v1"),
            ("connector_more", more),
        ];
        let saved = dev.fill(&edit, &edit, &words).await;
        assert_eq!(saved.status, 303, "{}", saved.text);
        let document = api.get("/bots/clerk/export").await.body;
        document["bot"]["connector"].clone()
    };
    let usual =
        |connector: &Value| [&connector["history"], &connector["deadline"]].map(Value::clone);
    let kept = save("openai", r#"{"model": "m", "temperature": 0.5}"#).await;
    assert_eq!((&kept["model"], &kept["temperature"]), (&json!("m"), &json!(0.5)));
    assert!(kept.get("instructions").is_none(), "{kept}");
    assert_eq!(usual(&kept), [json!(20), json!("10000ms")], "what is not said is as is usual");
    // Words of one kind do not stay behind with another.
    let other = save("rasa", "").await;
    assert_eq!((&other["kind"], other.get("model")), (&json!("rasa"), None), "{other}");
}

async fn a_secret_is_asked_for_again_where_it_would_be_another_or_go_elsewhere<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    world.channel("web", json!({})).await;
    world.publish(&["web"]).await;
    let change = async |patch: Value| {
        world.desk.change_bot(&world.dev, "clerk", &map(patch), None).await.map(drop)
    };
    let url = "https://peer.example/v1";
    let kit = json!({"kind": "botkit", "url": url, "client_id": "cs-1", "component": "c"});
    let model =
        json!({"kind": "openai", "url": url, "model": "m", "client_id": null, "component": null});
    let again = |what: &str| {
        format!("authorization: give it again for another {what}, or say \"\" to send none")
    };
    // Twice: as an edit that waits, and as what runs.
    for round in ["edited", "published"] {
        let secret = json!({"connector": kit, "authorization": "the-secret-that-signs"});
        change(secret).await.unwrap();
        if round == "published" {
            world.publish(&["web"]).await;
        }
        let patch = json!({"connector": model});
        assert_eq!(refused(change(patch.clone()).await, Kind::Invalid), again("kind"), "{round}");
        let patch_url = json!({"connector": {"url": "https://other.example/v1"}});
        assert_eq!(refused(change(patch_url).await, Kind::Invalid), again("host"), "{round}");
        // The same host and meaning: it stays.
        change(json!({"connector": {"component": "d"}})).await.unwrap();
    }
    change(json!({"connector": model, "authorization": "sk-1"})).await.unwrap();
    world.publish(&["web"]).await;
    let registry = world.desk.store.registry().await.unwrap();
    let Logic::Connector(runs) = &registry.bots.values().next().unwrap().logic else { panic!() };
    assert_eq!(runs.authorization.as_ref().unwrap().expose_secret(), "Bearer sk-1");
    // Another kind of logic begins without a secret.
    change(json!({"connector": null, "http": url})).await.unwrap();
    world.publish(&["web"]).await;
    let registry = world.desk.store.registry().await.unwrap();
    let Logic::Http(runs) = &registry.bots.values().next().unwrap().logic else { panic!() };
    assert!(runs.authorization.is_none());
}

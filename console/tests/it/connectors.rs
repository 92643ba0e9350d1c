//! Settings of a bot of another platform, by the form.

use serde_json::{Value, json};
use testkit::pair::Pair;

use crate::support::api::Api;
use crate::support::pages::Browser;

on_both! {
    a_setting_that_is_emptied_in_the_form_is_gone,
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

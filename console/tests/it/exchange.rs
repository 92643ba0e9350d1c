//! Bots that travel, and bots that inherit.

use console::office::problem::Kind;
use console::office::publish::Verdict;
use serde_json::{Value, json};
use shared::domain::channel::ChannelState::{Draft, Live};
use shared::registry::RegistryStore as _;

use crate::support::{World, from, refused, selection};
use testkit::pair::Pair;

on_both! {
    an_imported_channel_is_a_placeholder_until_it_has_an_app,
    a_document_with_something_else_in_it_is_refused_whole,
    a_child_gets_what_its_parent_publishes_and_each_new_channel_again,
    the_audit_log_says_who_did_what_and_never_a_secret,
}

async fn an_imported_channel_is_a_placeholder_until_it_has_an_app<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let post =
        json!({"post_url": "https://a.example/in", "access_token": "CANARY", "retry": "1s,2s"});
    world.channel("web", json!({"rate": 7})).await;
    world.channel("mail", post).await;
    let document = world.desk.export("clerk").await.unwrap();
    let text = serde_json::to_string(&document).unwrap();
    for secret in ["CANARY", "whsec_", "cs-", "ivrInst-", "st-"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let taken = world.desk.import(&world.dev, &document, None).await;
    refused(taken, Kind::Conflict);
    let imported = world.desk.import(&world.dev, &document, Some("twin")).await.unwrap();
    assert_eq!(imported.placeholders.len(), 2);
    assert!(world.desk.channels(Some("twin")).await.unwrap().is_empty(), "no URL yet");
    let mail = imported.placeholders.iter().find(|one| one.name == "mail").unwrap();
    let with = from(json!({"app": "shop", "access_token": "ANOTHER"}));
    let id = mail.placeholder_id.as_str();
    let channel = world.desk.associate(&world.dev, id, &with).await.unwrap();
    assert!(channel.url.contains(&imported.bot.bot_id), "{}", channel.url);
    assert!(channel.endpoint.as_ref().unwrap().signing_secret.is_some());
    assert_eq!(channel.endpoint.unwrap().retry, "1000ms,2000ms");
    assert_eq!(world.runs(id).await.state, Draft);
    refused(world.desk.associate(&world.dev, id, &with).await, Kind::NotFound);
    assert_eq!(world.desk.placeholders(Some("twin")).await.unwrap().len(), 1);
    let again = world.desk.export("twin").await.unwrap();
    assert_eq!(again.channels[0]["name"], "mail");
}

async fn a_document_with_something_else_in_it_is_refused_whole<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let good = json!({"format": "switchhook.bot", "version": 1, "bot": {"name": "x"},
                      "channels": [{"name": "web"}]});
    for (pointer, wrong) in [
        ("/version", json!(2)),
        ("/format", json!("other")),
        ("/bot/authorization", json!("Bearer x")),
        ("/bot/id", json!("st-1")),
        ("/bot/permits", json!("many")),
        ("/bot/shadow", json!("other")),
        ("/bot/connector", json!(["rasa", "https://rasa.example"])),
        ("/channels/0/access_token", json!("x")),
        ("/channels/0/signing_secret", json!("whsec_x")),
        ("/channels/0/approve", json!(true)),
        ("/channels/0/surprise", json!(true)),
        ("/channels/0/deadline", json!("7 weeks")),
    ] {
        let mut document = good.clone();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(last.to_owned(), wrong);
        let import = world.desk.import(&world.dev, &from(document), None).await;
        refused(import, Kind::Invalid);
    }
    assert_eq!(world.desk.bots().await.unwrap().len(), 1);
    world.desk.import(&world.dev, &from(good), None).await.unwrap();
}

async fn a_child_gets_what_its_parent_publishes_and_each_new_channel_again<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let child = json!({"name": "child"});
    let child = world.desk.add_bot(&world.dev, &from(child)).await.unwrap().bot_id;
    world.channel("web", json!({"rate": 7})).await;
    world.channel("draft", json!({})).await;
    world.publish(&["web"]).await;
    let view = world.desk.set_parent(&world.dev, "child", Some("clerk")).await.unwrap();
    assert!(view.parent_id.is_some());
    let channels = async || {
        let mut channels = world.desk.channels(Some("child")).await.unwrap();
        channels.sort_by_key(|channel| channel.ordinal);
        channels
    };
    let first = channels().await;
    assert_eq!(first.len(), 1, "what is published, not what is drafted");
    assert_eq!((first[0].name.as_str(), first[0].rate_per_second), ("web", 7));
    assert_eq!(world.runs(&first[0].webhook_id).await.state, Draft);
    let post = json!({"post_url": "https://a.example/in", "access_token": "T"});
    let parents = world.channel("mail", post).await;
    world.publish(&["web", "mail"]).await;
    let second = channels().await;
    assert_eq!(second.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["web", "mail"]);
    let [own, inherited] = [&parents, &second[1]].map(|c| c.webhook_id.clone());
    assert_ne!(own, inherited);
    let registry = world.desk.store.registry().await.unwrap();
    let secret = |id: &str| {
        use secrecy::ExposeSecret as _;
        let endpoint = registry.channels[&id.into()].endpoint.clone().unwrap();
        (endpoint.signing_secret.expose_secret().to_owned(), endpoint.token.is_some())
    };
    assert_ne!(secret(&own).0, secret(&inherited).0);
    assert!(secret(&inherited).1, "the parent's receiver wants its token");
    world.publish(&["web", "mail"]).await;
    assert_eq!(channels().await.len(), 2, "once each");
    // Live when the child's own publish is approved.
    let asked = world.desk.publish(&world.dev, "child", &selection(&["web"])).await.unwrap();
    world.desk.judge(&world.ann, &asked.request_id, Verdict::Approve, "").await.unwrap();
    assert_eq!(world.runs(&second[0].webhook_id).await.state, Live);
    assert_eq!(world.runs(&second[0].webhook_id).await.bot.as_str(), child);
    let round = world.desk.set_parent(&world.dev, "clerk", Some("child")).await;
    refused(round, Kind::Conflict);
}

async fn the_audit_log_says_who_did_what_and_never_a_secret<P: Pair>(pair: P) {
    let world = World::start(&pair, false).await;
    let post = json!({"post_url": "https://a.example/in", "access_token": "CANARY-TOKEN"});
    let id = world.channel("mail", post).await.webhook_id;
    let rotated = world.desk.rotate(&world.dev, "shop", &from(json!({}))).await.unwrap();
    let patch = crate::support::map(json!({"access_token": "CANARY-OTHER", "rate": 3}));
    world.desk.change_channel(&world.dev, &id, &patch, None).await.unwrap();
    world.publish(&["mail"]).await;
    let operator = crate::support::operator("eve", console::office::actor::Role::Admin);
    world.desk.add_operator(&world.ann, &operator).await.unwrap();
    let entries = world.desk.audit(&world.ann, None, None, 100).await.unwrap();
    let text = serde_json::to_string(&entries).unwrap();
    for secret in ["CANARY", "whsec_", crate::support::PASSWORD, &rotated.client_secret.unwrap()] {
        assert!(!text.contains(secret), "{secret}");
    }
    let actions: Vec<_> = entries.iter().rev().map(|entry| entry.action.as_str()).collect();
    let expected = [
        "app.add",
        "bot.add",
        "channel.add",
        "app.rotate",
        "channel.change",
        "publish.request",
        "publish.approve",
        "operator.add",
    ];
    assert_eq!(actions, expected);
    let change = entries.iter().find(|entry| entry.action == "channel.change").unwrap();
    assert_eq!(change.detail["secrets"], json!(["access_token"]));
    assert_eq!(
        (&change.detail["before"]["rate"], &change.detail["after"]["rate"]),
        (&json!(10), &json!(3))
    );
    let of_one = world.desk.audit(&world.ann, Some(&id), None, 100).await.unwrap();
    assert_eq!(of_one.len(), 2);
    refused(world.desk.audit(&world.dev, None, None, 1).await, Kind::Forbidden);
    let _: Value = entries[0].detail.clone();
}

use super::super::tests::heard;
use super::*;

#[test]
fn a_message_carries_what_the_request_held_and_says_how_to_reply() {
    let payload = json!({
        "message": {"attachments": [{"url": "http://a/x.png", "fileName": "x"}]},
        "customData": {"k": 1}, "interactiveLanguage": "fr",
    });
    let response = Back { service_url: None, with_response: true };
    let activity = message(heard("hi", &payload), response);
    assert_eq!(activity["deliveryMode"], "expectReplies");
    assert_eq!((&activity["text"], &activity["locale"]), (&json!("hi"), &json!("fr")));
    assert_eq!(activity["channelData"]["customData"]["k"], 1);
    assert_eq!(activity["attachments"][0]["contentType"], "image/*");
    assert_eq!(activity["conversation"]["id"], "s1");
    let calls = Back { service_url: Some("http://h/t/"), with_response: false };
    let arrived = arrival(heard("hi", &payload), calls);
    assert_eq!(arrived["deliveryMode"], "normal");
    assert_eq!(arrived["serviceUrl"], "http://h/t/");
    assert_eq!(arrived["type"], "conversationUpdate");
    assert_eq!(arrived["membersAdded"][0]["id"], "ann");
}

fn values(activity: &Value) -> Vec<Value> {
    let said = said(std::slice::from_ref(activity));
    let value = |message| match message {
        BotMessage::Text(text) => json!(text),
        BotMessage::Template(template) => {
            crate::domain::template::check(&template).unwrap();
            template
        }
    };
    said.messages.into_iter().map(value).collect()
}

#[test]
fn texts_suggestions_and_media_are_mapped() {
    // Nulls for absent fields, as one of the SDKs writes them.
    let plain =
        json!({"type": "message", "text": "a", "attachments": null, "suggestedActions": null});
    assert_eq!(values(&plain), [json!("a")]);
    let actions = json!([{"type": "imBack", "title": "R", "value": "red"}, {"type": "imBack", "title": "B", "value": "blue"}]);
    let asks = values(
        &json!({"type": "message", "text": "Colour?", "suggestedActions": {"actions": actions}}),
    );
    assert_eq!(asks[0]["payload"]["template_type"], "quick_replies");
    assert_eq!(asks[0]["payload"]["quick_replies"][1]["payload"], "blue");
    let files = json!([{"contentType": "image/png", "contentUrl": "http://i"}, {"contentType": "application/pdf", "contentUrl": "http://f", "name": "F"}]);
    let shown = values(&json!({"type": "message", "text": "see", "attachments": files}));
    assert_eq!(shown[0], "see");
    assert_eq!(shown[1], json!({"type": "image", "payload": {"url": "http://i"}}));
    assert_eq!(shown[2]["file"]["payload"]["title"], "F");
    assert_eq!(values(&json!({"type": "typing"})), Vec::<Value>::new());
}

#[test]
fn hero_and_adaptive_cards_are_mapped_and_a_carousel_stays_one() {
    let hero = |title: &str| {
        json!({"contentType": "application/vnd.microsoft.card.hero", "content": {
        "title": title, "text": "t", "images": [{"url": "http://i"}],
        "buttons": [{"type": "openUrl", "title": "Go", "value": "http://l"}, {"type": "postBack", "title": "P", "value": {"x": 1}}]}})
    };
    let one = values(
        &json!({"type": "message", "attachmentLayout": "carousel", "attachments": [hero("A"), hero("B")]}),
    );
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["payload"]["elements"][1]["buttons"][1]["payload"], "{\"x\":1}");
    let adaptive = json!({"contentType": "application/vnd.microsoft.card.adaptive", "content": {
        "body": [{"type": "TextBlock", "text": "Title"}, {"type": "Container", "items": [{"type": "TextBlock", "text": "more"}]},
                 {"type": "FactSet", "facts": [{"title": "k", "value": "v"}]}],
        "actions": [{"type": "Action.Submit", "title": "Yes", "data": "yes"}]}});
    let card = values(&json!({"type": "message", "attachments": [adaptive]}));
    assert_eq!(card[0]["payload"]["text"], "Title\nmore\nk: v");
    assert_eq!(card[0]["payload"]["buttons"][0]["payload"], "yes");
}

#[test]
fn the_end_of_a_conversation_is_told() {
    let bye = [
        json!({"type": "message", "text": "bye"}),
        json!({"type": "endOfConversation", "code": "completedSuccessfully"}),
    ];
    let said = said(&bye);
    assert!(said.ended && said.messages.len() == 1);
}

fn call(id: u128, change: Change) -> Activity {
    let turn = shared::domain::ids::TurnId::new(Uuid::from_u128(1));
    Activity { turn, run: 1, id: Uuid::from_u128(id), change }
}

fn raw(value: &Value) -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

#[test]
fn calls_keep_their_order_and_may_change_what_they_said() {
    let mut gathered = Gathered::new(10_000);
    let text = |text: &str| raw(&json!({"type": "message", "text": text}));
    gathered.hear(call(1, Change::Sent(raw(&json!({"type": "typing"}))))).unwrap();
    assert!(gathered.is_empty());
    for (id, said) in [(2, "a"), (3, "b"), (4, "c")] {
        gathered.hear(call(id, Change::Sent(text(said)))).unwrap();
    }
    gathered.hear(call(3, Change::Updated(text("B")))).unwrap();
    gathered.hear(call(4, Change::Deleted)).unwrap();
    gathered.hear(call(9, Change::Updated(text("of an earlier turn")))).unwrap();
    let texts: Vec<_> = gathered.take().iter().map(|activity| activity["text"].clone()).collect();
    assert_eq!(texts, ["a", "B"]);
    assert!(gathered.is_empty());
}

#[test]
fn calls_are_bounded_in_bytes_over_the_turn_and_in_depth() {
    let mut gathered = Gathered::new(1_000);
    let said = |text: &str| call(1, Change::Sent(raw(&json!({"text": text}))));
    gathered.hear(said(&"x".repeat(400))).unwrap();
    gathered.take();
    gathered.hear(said("a small one")).unwrap();
    assert_eq!(gathered.hear(said(&"x".repeat(400))), Err("it said too much by calls"));
    assert_eq!(gathered.hear(said("a")), Ok(()));
    assert_eq!(gathered.hear(said("a")), Err("it said too much by calls"));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep = serde_json::value::RawValue::from_string(deep).unwrap();
    let mut gathered = Gathered::new(1_000);
    assert!(gathered.hear(call(1, Change::Sent(deep))).is_err());
}

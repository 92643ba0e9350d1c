//! Kore `BotKit`'s `on_webhook`: the payload that a kit is sent, and what it gives back changed.

use serde_json::{Map, Value, json};
use shared::wire::v1::BotMessage;

use super::{Heard, object, text_at};

/// What a kit's answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub messages: Vec<BotMessage>,
    /// What the kit left in `BotUserSession`.
    pub bot_user: Option<Map<String, Value>>,
}

/// The request's body.
pub fn question(
    heard: Heard<'_>,
    component: &str,
    bot_user: &Map<String, Value>,
    user: &Map<String, Value>,
) -> Value {
    json!({
        "requestId": heard.turn,
        "botId": heard.bot,
        "componentId": component,
        "componentName": component,
        "dialogComponentName": component,
        "contextId": heard.session,
        "message": heard.text,
        "channel": {
            "type": "ivr",
            "from": heard.user,
            "channelInfos": {"from": heard.user, "channelInst": heard.channel},
        },
        "context": {
            "intent": "",
            "entities": {},
            "currentLanguage": heard.language(),
            "session": {"BotUserSession": bot_user, "UserContext": user},
        },
        "agent_transfer": false,
        "metaInfo": {},
        "metaTags": heard.payload.get("metaTags").cloned().unwrap_or_else(|| json!({})),
    })
}

/// What an answer says: the override, or the formatted message, or a message other than the user's own,
/// which a kit gives back when it has nothing to say.
pub fn answer(body: &Value, heard: Heard<'_>) -> Said {
    let over = &body["overrideMessagePayload"];
    let messages = if let Some(text) = text_at(over, "body") {
        vec![one(text, over["isTemplate"] == true)]
    } else if let Some(text) = text_at(body, "formattedMessage") {
        vec![one(text, true)]
    } else {
        match &body["message"] {
            Value::String(text) if text != heard.text && !text.is_empty() => vec![one(text, true)],
            Value::Array(all) => all.iter().filter_map(any).collect(),
            Value::Object(_) => any(&body["message"]).into_iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    };
    let kept = &body["context"]["session"]["BotUserSession"];
    let bot_user = kept.is_object().then(|| object(kept.clone()));
    Said { messages, bot_user }
}

fn any(message: &Value) -> Option<BotMessage> {
    match message {
        Value::String(text) if !text.is_empty() => Some(one(text, true)),
        Value::Object(_) => Some(BotMessage::Template(message.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

/// A template stands in a text as its JSON.
fn one(text: &str, may_be_template: bool) -> BotMessage {
    let parsed = may_be_template.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
    match parsed.filter(Value::is_object) {
        Some(template) => BotMessage::Template(template),
        None => BotMessage::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::heard;
    use super::*;

    #[test]
    fn what_a_kit_says_is_found_where_kits_put_it() {
        let payload = json!({});
        let said = |body: Value| answer(&body, heard("hi", &payload)).messages;
        let text = |text: &str| vec![BotMessage::Text(text.to_owned())];
        assert_eq!(said(json!({"message": "hi"})), []);
        assert_eq!(said(json!({"message": "hello"})), text("hello"));
        assert_eq!(said(json!({"message": ["a", "b"]})).len(), 2);
        assert_eq!(said(json!({"message": "hi", "formattedMessage": "f"})), text("f"));
        let over = json!({"body": "{\"type\":\"template\"}", "isTemplate": true});
        let template = [BotMessage::Template(json!({"type": "template"}))];
        assert_eq!(said(json!({"message": "hi", "overrideMessagePayload": over})), template);
        let over = json!({"body": "{\"type\":\"template\"}", "isTemplate": false});
        assert_eq!(said(json!({"overrideMessagePayload": over})), text("{\"type\":\"template\"}"));
    }

    #[test]
    fn the_session_goes_out_and_comes_back() {
        let payload = json!({"metaTags": {"x": 1}});
        let (kept, user) = (object(json!({"n": 1})), object(json!({"_id": "ann"})));
        let asked = question(heard("hi", &payload), "Dialog", &kept, &user);
        assert_eq!(asked["context"]["session"]["BotUserSession"]["n"], 1);
        assert_eq!(
            (&asked["metaTags"]["x"], &asked["componentName"]),
            (&json!(1), &json!("Dialog"))
        );
        let back = answer(&asked, heard("hi", &payload));
        assert_eq!(back, Said { messages: vec![], bot_user: Some(kept) });
    }
}

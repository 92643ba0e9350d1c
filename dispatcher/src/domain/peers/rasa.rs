//! Rasa's REST channel: `{"sender","message","metadata"}` → a list of messages.

use serde_json::{Value, json};
use shared::wire::v1::BotMessage;

use super::cards::{self, Card, Choice};
use super::{Heard, list_at, text_at};

/// The request's body.
pub fn question(heard: Heard<'_>) -> Value {
    let Heard { turn, user, session, channel, text, .. } = heard;
    json!({
        "sender": session,
        "message": text,
        "metadata": {
            "turnId": turn,
            "userId": user,
            "channelId": channel,
            "language": heard.language(),
            "customData": heard.custom_data(),
            "attachments": heard.payload["message"]["attachments"],
        },
    })
}

/// What an answer says: a list, or one object a line. `None` when it is neither.
pub fn answer(body: &str) -> Option<Vec<BotMessage>> {
    let items: Vec<Value> = match serde_json::from_str(body) {
        Ok(Value::Array(items)) => items,
        Ok(item @ Value::Object(_)) => vec![item],
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => return None,
        Err(_) => {
            let lines = body.lines().filter(|line| !line.trim().is_empty());
            lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?
        }
    };
    Some(items.iter().flat_map(messages).collect())
}

/// One message of Rasa's, as its channels and its actions write it.
pub fn messages(item: &Value) -> Vec<BotMessage> {
    let buttons: Vec<_> = list_at(item, "buttons").iter().filter_map(choice).collect();
    let replies: Vec<_> = list_at(item, "quick_replies").iter().filter_map(choice).collect();
    let quick = !replies.is_empty() || item["button_type"] == "inline";
    let all = [buttons, replies].concat();
    let mut said = cards::choices(text_at(item, "text").unwrap_or_default(), &all, quick);
    said.extend(text_at(item, "image").map(cards::image));
    let elements: Vec<_> = list_at(item, "elements").iter().map(card).collect();
    said.extend(cards::cards(&elements));
    said.extend(attachment(&item["attachment"]));
    let custom = [&item["custom"], &item["json_message"]];
    said.extend(custom.into_iter().filter_map(own));
    said
}

fn choice(button: &Value) -> Option<Choice> {
    let title = text_at(button, "title")?;
    match text_at(button, "url") {
        Some(url) => Some(Choice::open(title, url)),
        None => Some(Choice::say(title, text_at(button, "payload").unwrap_or(title))),
    }
}

/// An element as messengers have it.
fn card(element: &Value) -> Card {
    let text = |key: &str| text_at(element, key).unwrap_or_default().to_owned();
    Card {
        title: text("title"),
        subtitle: text("subtitle"),
        image: text_at(element, "image_url").map(str::to_owned),
        link: element.get("default_action").and_then(|act| text_at(act, "url")).map(str::to_owned),
        choices: list_at(element, "buttons").iter().filter_map(choice).collect(),
    }
}

/// A link, or `{"type","payload"}` as messengers have it.
fn attachment(attachment: &Value) -> Vec<BotMessage> {
    if let Some(url) = attachment.as_str().filter(|url| !url.is_empty()) {
        return vec![cards::file(url, url.rsplit('/').next().unwrap_or(url))];
    }
    let payload = &attachment["payload"];
    match (attachment["type"].as_str().unwrap_or_default(), text_at(payload, "url")) {
        ("image", Some(url)) => vec![cards::image(url)],
        ("audio", Some(url)) => vec![cards::audio(url)],
        ("video", Some(url)) => vec![cards::video(url)],
        (_, Some(url)) => {
            vec![cards::file(url, text_at(payload, "title").unwrap_or(url))]
        }
        ("template", None) => {
            let elements: Vec<_> = list_at(payload, "elements").iter().map(card).collect();
            if !elements.is_empty() {
                return cards::cards(&elements);
            }
            let buttons: Vec<_> = list_at(payload, "buttons").iter().filter_map(choice).collect();
            cards::choices(text_at(payload, "text").unwrap_or_default(), &buttons, false)
        }
        (_, None) => Vec::new(),
    }
}

/// What the bot's author wrote for this channel passes as it stands.
fn own(custom: &Value) -> Option<BotMessage> {
    let map = custom.as_object().filter(|map| !map.is_empty())?;
    Some(BotMessage::Template(Value::Object(map.clone())))
}

#[cfg(test)]
mod tests {
    use super::super::tests::heard;
    use super::*;

    fn values(body: &Value) -> Vec<Value> {
        let messages = answer(&body.to_string()).unwrap();
        let value = |message| match message {
            BotMessage::Text(text) => json!(text),
            BotMessage::Template(template) => template,
        };
        messages.into_iter().map(value).collect()
    }

    #[test]
    fn a_question_has_the_session_as_its_sender_and_the_user_in_its_metadata() {
        let payload = json!({"customData": {"k": 1}, "interactiveLanguage": "fr"});
        let asked = question(heard("hi", &payload));
        assert_eq!((&asked["sender"], &asked["message"]), (&json!("s1"), &json!("hi")));
        let metadata = &asked["metadata"];
        assert_eq!((&metadata["userId"], &metadata["language"]), (&json!("ann"), &json!("fr")));
        assert_eq!(metadata["customData"]["k"], 1);
    }

    #[test]
    fn texts_images_buttons_elements_and_custom_json_are_mapped() {
        let body = json!([
            {"recipient_id": "s1", "text": "hello"},
            {"recipient_id": "s1", "image": "http://i/a.png"},
            {"recipient_id": "s1", "text": "which?", "buttons": [{"title": "A", "payload": "/a"}, {"title": "B"}]},
            {"recipient_id": "s1", "custom": {"type": "template", "payload": {"template_type": "x"}}},
            {"attachment": {"type": "template", "payload": {"template_type": "generic", "elements": [{"title": "T", "image_url": "http://i"}]}}},
            {"attachment": {"type": "video", "payload": {"url": "http://v"}}},
            {"text": null, "custom": {}},
        ]);
        let expected = [
            json!("hello"),
            json!({"type": "image", "payload": {"url": "http://i/a.png"}}),
            json!({"type": "template", "payload": {"template_type": "button", "text": "which?", "buttons": [
                {"type": "postback", "title": "A", "payload": "/a"},
                {"type": "postback", "title": "B", "payload": "B"}]}}),
            json!({"type": "template", "payload": {"template_type": "x"}}),
            json!({"type": "template", "payload": {"template_type": "carousel", "elements": [{"title": "T", "image_url": "http://i"}]}}),
            json!({"type": "message", "payload": {"text": "", "videoUrl": "http://v"}}),
        ];
        assert_eq!(values(&body), expected);
    }

    #[test]
    fn lines_of_objects_are_an_answer_too_and_other_things_are_none() {
        let lines = "{\"text\":\"a\"}\n\n{\"text\":\"b\"}\n";
        let texts = ["a", "b"].map(|text| BotMessage::Text(text.to_owned()));
        assert_eq!(answer(lines).unwrap(), texts);
        assert_eq!(answer("[]"), Some(vec![]));
        for wrong in ["success", "3", "{\"text\":\"a\"}\nnope"] {
            assert_eq!(answer(wrong), None, "{wrong}");
        }
    }
}

//! Activities of the Bot Framework and the Agents SDKs, with `deliveryMode: expectReplies`: what the bot is
//! sent, and what of its replies the user is shown.

use serde_json::{Map, Value, json};
use shared::wire::v1::BotMessage;

use super::cards::{self, Card, Choice};
use super::{Heard, list_at, object, text_at};

const CARD: &str = "application/vnd.microsoft.card.";

/// What a bot's activities say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub messages: Vec<BotMessage>,
    /// The bot said that the conversation is over.
    pub ended: bool,
}

/// The user's message.
pub fn message(heard: Heard<'_>) -> Value {
    let mut activity = common(heard, "message", heard.turn);
    let mut set = |key: &str, value: Value| activity.insert(key.to_owned(), value);
    set("text", json!(heard.text));
    set("textFormat", json!("plain"));
    set("channelData", json!({"customData": heard.custom_data()}));
    let files: Vec<_> = heard
        .attachments()
        .into_iter()
        .map(|file| {
            let kind = match (file.kind.contains('/'), file.is_image()) {
                (true, _) => file.kind,
                (false, true) => "image/*".to_owned(),
                (false, false) => "application/octet-stream".to_owned(),
            };
            json!({"contentType": kind, "contentUrl": file.url, "name": file.name})
        })
        .collect();
    if !files.is_empty() {
        set("attachments", json!(files));
    }
    Value::Object(activity)
}

/// The user's arrival.
pub fn arrival(heard: Heard<'_>) -> Value {
    let id = format!("{}-arrival", heard.turn);
    let mut activity = common(heard, "conversationUpdate", &id);
    let members = json!([{"id": heard.user, "role": "user"}, {"id": heard.bot, "role": "bot"}]);
    activity.insert("membersAdded".to_owned(), members);
    Value::Object(activity)
}

fn common(heard: Heard<'_>, kind: &str, id: &str) -> Map<String, Value> {
    object(json!({
        "type": kind,
        "id": id,
        "channelId": "webhook",
        // Nobody answers there: replies come with the response.
        "serviceUrl": "https://switchhook.invalid/",
        "deliveryMode": "expectReplies",
        "from": {"id": heard.user, "role": "user"},
        "recipient": {"id": heard.bot, "role": "bot"},
        "conversation": {"id": heard.session},
        "locale": heard.language(),
    }))
}

/// The activities of an answer; `None` when there are none to be read, which is how a bot answers that
/// only knows the other way of replying.
pub fn answer(body: &Value) -> Option<Said> {
    let activities = body.get("activities").and_then(Value::as_array)?;
    let mut said = Said::default();
    for activity in activities {
        match activity["type"].as_str().unwrap_or("message") {
            "message" => said.messages.extend(messages(activity)),
            "endOfConversation" => {
                said.messages.extend(messages(activity));
                said.ended = true;
            }
            // Typing, traces, events: nothing that a reader of this channel sees.
            _ => {}
        }
    }
    Some(said)
}

fn messages(activity: &Value) -> Vec<BotMessage> {
    let text = text_at(activity, "text").unwrap_or_default();
    let actions = activity.get("suggestedActions").unwrap_or(&Value::Null);
    let quick: Vec<_> = list_at(actions, "actions").iter().filter_map(choice).collect();
    let attachments = list_at(activity, "attachments");
    let (cards, others): (Vec<_>, Vec<_>) =
        attachments.iter().map(|one| card(one).ok_or(one)).partition(Result::is_ok);
    let mut said = if quick.is_empty() { Vec::from_iter(cards::said(text)) } else { Vec::new() };
    said.extend(others.into_iter().filter_map(Result::err).filter_map(media));
    let cards: Vec<_> = cards.into_iter().filter_map(Result::ok).collect();
    if activity["attachmentLayout"] == "carousel" {
        said.extend(cards::cards(&cards));
    } else {
        said.extend(cards.iter().flat_map(|card| cards::cards(std::slice::from_ref(card))));
    }
    if !quick.is_empty() {
        said.extend(cards::choices(text, &quick, true));
    }
    said
}

/// `imBack`, `postBack`, `messageBack` say their value; `openUrl` opens it.
fn choice(action: &Value) -> Option<Choice> {
    let title = text_at(action, "title").or_else(|| text_at(action, "value"))?;
    let value = match &action["value"] {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Object(_) | Value::Array(_) | Value::Number(_) | Value::Bool(_) => {
            action["value"].to_string()
        }
        Value::Null | Value::String(_) => text_at(action, "text").unwrap_or(title).to_owned(),
    };
    let opens = ["openUrl", "signin", "downloadFile", "playVideo", "playAudio", "showImage"];
    let opens = action["type"].as_str().is_some_and(|kind| opens.contains(&kind));
    Some(if opens { Choice::open(title, &value) } else { Choice::say(title, &value) })
}

fn card(attachment: &Value) -> Option<Card> {
    let kind = attachment["contentType"].as_str()?.strip_prefix(CARD)?;
    let content = &attachment["content"];
    if kind == "adaptive" {
        return Some(adaptive(content));
    }
    let lines = [text_at(content, "subtitle"), text_at(content, "text")];
    let image = list_at(content, "images").first().and_then(|image| text_at(image, "url"));
    let media = list_at(content, "media").iter().filter_map(|media| text_at(media, "url"));
    let mut choices: Vec<_> = media.map(|url| Choice::open(url, url)).collect();
    choices.extend(list_at(content, "buttons").iter().filter_map(choice));
    Some(Card {
        title: text_at(content, "title").unwrap_or_default().to_owned(),
        subtitle: lines.into_iter().flatten().collect::<Vec<_>>().join("\n"),
        image: image.map(str::to_owned),
        link: content.get("tap").and_then(|tap| text_at(tap, "value")).map(str::to_owned),
        choices,
    })
}

/// Of an adaptive card its texts, its first picture and its buttons: there is no form on this channel.
fn adaptive(content: &Value) -> Card {
    fn gather(items: &[Value], texts: &mut Vec<String>, image: &mut Option<String>) {
        for item in items {
            if let Some(text) = text_at(item, "text") {
                texts.push(text.to_owned());
            }
            for fact in list_at(item, "facts") {
                let of = |key: &str| text_at(fact, key).unwrap_or_default();
                texts.push(format!("{}: {}", of("title"), of("value")));
            }
            if item["type"] == "Image" && image.is_none() {
                *image = text_at(item, "url").map(str::to_owned);
            }
            // The depth of an answer is bounded before it comes here.
            gather(list_at(item, "items"), texts, image);
            gather(list_at(item, "columns"), texts, image);
        }
    }
    let (mut texts, mut image) = (Vec::new(), None);
    gather(list_at(content, "body"), &mut texts, &mut image);
    let action = |action: &Value| {
        let title = text_at(action, "title")?;
        match (text_at(action, "url"), &action["data"]) {
            (Some(url), _) => Some(Choice::open(title, url)),
            (None, Value::String(data)) => Some(Choice::say(title, data)),
            (None, Value::Object(data)) => {
                Some(Choice::say(title, &Value::Object(data.clone()).to_string()))
            }
            (None, _) => Some(Choice::say(title, title)),
        }
    };
    let choices = list_at(content, "actions").iter().filter_map(action).collect();
    let title = if texts.is_empty() {
        text_at(content, "fallbackText").unwrap_or_default().to_owned()
    } else {
        texts.remove(0)
    };
    Card { title, subtitle: texts.join("\n"), image, link: None, choices }
}

fn media(attachment: &Value) -> Option<BotMessage> {
    let url = text_at(attachment, "contentUrl")?;
    let kind = attachment["contentType"].as_str().unwrap_or_default();
    Some(match kind.split('/').next() {
        Some("image") => cards::image(url),
        Some("audio") => cards::audio(url),
        Some("video") => cards::video(url),
        Some(_) | None => cards::file(url, text_at(attachment, "name").unwrap_or(url)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::heard;
    use super::*;

    #[test]
    fn a_message_carries_what_the_request_held_and_asks_for_replies_with_the_response() {
        let payload = json!({
            "message": {"attachments": [{"url": "http://a/x.png", "fileName": "x"}]},
            "customData": {"k": 1}, "interactiveLanguage": "fr",
        });
        let activity = message(heard("hi", &payload));
        assert_eq!(activity["deliveryMode"], "expectReplies");
        assert_eq!((&activity["text"], &activity["locale"]), (&json!("hi"), &json!("fr")));
        assert_eq!(activity["channelData"]["customData"]["k"], 1);
        assert_eq!(activity["attachments"][0]["contentType"], "image/*");
        assert_eq!(activity["conversation"]["id"], "s1");
        let arrived = arrival(heard("hi", &payload));
        assert_eq!(arrived["type"], "conversationUpdate");
        assert_eq!(arrived["membersAdded"][0]["id"], "ann");
    }

    fn values(activity: &Value) -> Vec<Value> {
        let said = answer(&json!({"activities": [activity]})).unwrap();
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
    fn the_end_of_a_conversation_is_told_and_an_answer_without_activities_is_none() {
        let body = json!({"activities": [{"type": "message", "text": "bye"}, {"type": "endOfConversation", "code": "completedSuccessfully"}]});
        let said = answer(&body).unwrap();
        assert!(said.ended && said.messages.len() == 1);
        assert_eq!(answer(&json!({"id": "1"})), None);
        assert_eq!(answer(&Value::Null), None);
    }
}

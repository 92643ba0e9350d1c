//! Activities of the Bot Framework and the Agents SDKs: what the bot is sent, and what of its replies, in its
//! response or by calls of its own, the user is shown.

use serde_json::{Map, Value, json};
use shared::wire::activity::{Activity, Change};
use shared::wire::v1::BotMessage;
use uuid::Uuid;

use super::cards::{self, Card, Choice};
use super::{Heard, list_at, object, text_at};
use crate::domain::clean;

const CARD: &str = "application/vnd.microsoft.card.";

/// What a bot's activities say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub messages: Vec<BotMessage>,
    /// The bot said that the conversation is over.
    pub ended: bool,
}

/// How the bot is to reply.
#[derive(Clone, Copy, Debug)]
pub struct Back<'a> {
    /// Where it may call.
    pub service_url: Option<&'a str>,
    /// With its response.
    pub with_response: bool,
}

/// The user's message.
pub fn message(heard: Heard<'_>, back: Back<'_>) -> Value {
    let mut activity = common(heard, "message", heard.turn, back);
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
pub fn arrival(heard: Heard<'_>, back: Back<'_>) -> Value {
    let id = format!("{}-arrival", heard.turn);
    let mut activity = common(heard, "conversationUpdate", &id, back);
    let members = json!([{"id": heard.user, "role": "user"}, {"id": heard.bot, "role": "bot"}]);
    activity.insert("membersAdded".to_owned(), members);
    Value::Object(activity)
}

/// That the user is typing: nothing that a bot answers.
pub fn typing(heard: Heard<'_>, back: Back<'_>) -> Value {
    Value::Object(common(heard, "typing", &format!("{}-typing", heard.turn), back))
}

fn common(heard: Heard<'_>, kind: &str, id: &str, back: Back<'_>) -> Map<String, Value> {
    object(json!({
        "type": kind,
        "id": id,
        "channelId": "webhook",
        // Where nobody answers, replies come with the response.
        "serviceUrl": back.service_url.unwrap_or("https://switchhook.invalid/"),
        "deliveryMode": if back.with_response { "expectReplies" } else { "normal" },
        "from": {"id": heard.user, "role": "user"},
        "recipient": {"id": heard.bot, "role": "bot"},
        "conversation": {"id": heard.session},
        "locale": heard.language(),
    }))
}

/// What an activity counts for at least: many small ones take room as well.
const BYTES_MIN: usize = 256;

/// What a bot has said in a turn, as it came.
#[derive(Debug)]
pub struct Gathered {
    /// Those that came by calls have an id, and can be changed until they are said.
    activities: Vec<(Option<Uuid>, Value)>,
    bytes_left: usize,
}

impl Gathered {
    /// Of at most so many bytes by calls, over the whole turn.
    pub const fn new(bytes_max: usize) -> Self {
        Self { activities: Vec::new(), bytes_left: bytes_max }
    }

    /// Takes a call. One that changes what was said in an earlier turn changes nothing: it cannot be unsaid.
    pub fn hear(&mut self, call: Activity) -> Result<(), &'static str> {
        match call.change {
            Change::Sent(text) => {
                let activity = self.read(text.get())?;
                if activity["type"] != "typing" {
                    self.activities.push((Some(call.id), activity));
                }
            }
            Change::Updated(text) => {
                let activity = self.read(text.get())?;
                let known = self.activities.iter_mut().find(|(id, _)| *id == Some(call.id));
                if let Some((_, old)) = known {
                    *old = activity;
                }
            }
            Change::Deleted => self.activities.retain(|(id, _)| *id != Some(call.id)),
        }
        Ok(())
    }

    fn read(&mut self, text: &str) -> Result<Value, &'static str> {
        let bytes = text.len().max(BYTES_MIN);
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or("it said too much by calls")?;
        let activity: Option<Value> = serde_json::from_str(text).ok();
        activity.filter(clean::is_shallow).ok_or("an activity is nested too deep")
    }

    /// Takes the activities of a response.
    pub fn add(&mut self, activities: Vec<Value>) {
        self.activities.extend(activities.into_iter().map(|activity| (None, activity)));
    }

    /// Typing does not count.
    pub const fn is_empty(&self) -> bool {
        self.activities.is_empty()
    }

    pub fn take(&mut self) -> Vec<Value> {
        self.activities.drain(..).map(|(_, activity)| activity).collect()
    }
}

/// What activities say.
pub fn said(activities: &[Value]) -> Said {
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
    said
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
#[path = "activity_tests.rs"]
mod tests;

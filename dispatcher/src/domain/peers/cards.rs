//! Buttons, cards and media of other platforms as the protocol's templates (§6).

use serde_json::{Value, json};
use shared::wire::v1::BotMessage;

/// Characters of a template's text.
const TEXT_MAX: usize = 640;
/// Buttons under a text, as the platform's editor has it; more become quick replies.
const BUTTONS_MAX: usize = 5;
const CARD_BUTTONS_MAX: usize = 3;
/// What stands above choices whose text is too long for a template, or missing.
const PLAIN: &str = "\u{2026}";

/// Something to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub title: String,
    pub act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Comes back as the user's next message.
    Say(String),
    Open(String),
}

/// A picture with a title, a text and buttons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    pub title: String,
    pub subtitle: String,
    pub image: Option<String>,
    pub link: Option<String>,
    pub choices: Vec<Choice>,
}

impl Choice {
    pub fn say(title: &str, payload: &str) -> Self {
        Self { title: title.to_owned(), act: Act::Say(payload.to_owned()) }
    }

    pub fn open(title: &str, url: &str) -> Self {
        Self { title: title.to_owned(), act: Act::Open(url.to_owned()) }
    }

    fn button(&self) -> Value {
        match &self.act {
            Act::Say(payload) => {
                json!({"type": "postback", "title": self.title, "payload": payload})
            }
            Act::Open(url) => json!({"type": "web_url", "title": self.title, "url": url}),
        }
    }
}

/// A text, and what may be chosen: buttons, or quick replies where the peer means them so or there are many.
pub fn choices(text: &str, all: &[Choice], quick: bool) -> Vec<BotMessage> {
    if all.is_empty() {
        return said(text).into_iter().collect();
    }
    let fits = !text.is_empty() && text.chars().count() <= TEXT_MAX;
    let mut messages: Vec<_> = if fits { None } else { said(text) }.into_iter().collect();
    let text = if fits { text } else { PLAIN };
    let replies: Option<Vec<Value>> = all
        .iter()
        .map(|choice| match &choice.act {
            Act::Say(payload) => {
                Some(json!({"content_type": "text", "title": choice.title, "payload": payload}))
            }
            Act::Open(_) => None,
        })
        .collect();
    messages.push(match replies {
        Some(replies) if quick || all.len() > BUTTONS_MAX => template(
            &json!({"template_type": "quick_replies", "text": text, "quick_replies": replies}),
        ),
        Some(_) | None => {
            let buttons: Vec<_> = all.iter().map(Choice::button).collect();
            template(&json!({"template_type": "button", "text": text, "buttons": buttons}))
        }
    });
    messages
}

/// Cards: one without a picture is a text with buttons, others are a carousel. A card with too many buttons
/// is continued by another.
pub fn cards(all: &[Card]) -> Vec<BotMessage> {
    if let [card] = all
        && card.image.is_none()
        && card.link.is_none()
    {
        let lines = [card.title.as_str(), card.subtitle.as_str()];
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        return choices(&lines.join("\n"), &card.choices, false);
    }
    let elements: Vec<_> = all.iter().flat_map(elements).collect();
    if elements.is_empty() {
        return Vec::new();
    }
    vec![template(&json!({"template_type": "carousel", "elements": elements}))]
}

fn elements(card: &Card) -> Vec<Value> {
    let mut groups: Vec<&[Choice]> = card.choices.chunks(CARD_BUTTONS_MAX).collect();
    if groups.is_empty() {
        groups.push(&[]);
    }
    let element = |group: &[Choice]| {
        let mut element = super::object(json!({"title": card.title}));
        let mut set = |key: &str, value: Value| element.insert(key.to_owned(), value);
        if let Some(image) = &card.image {
            set("image_url", json!(image));
        }
        if !card.subtitle.is_empty() {
            set("subtitle", json!(card.subtitle));
        }
        if let Some(link) = &card.link {
            set("default_action", json!({"type": "web_url", "url": link}));
        }
        if !group.is_empty() {
            set("buttons", group.iter().map(Choice::button).collect());
        }
        Value::Object(element)
    };
    groups.into_iter().map(element).collect()
}

pub fn image(url: &str) -> BotMessage {
    BotMessage::Template(json!({"type": "image", "payload": {"url": url}}))
}

pub fn audio(url: &str) -> BotMessage {
    BotMessage::Template(json!({"type": "message", "payload": {"text": "", "audioUrl": url}}))
}

pub fn video(url: &str) -> BotMessage {
    BotMessage::Template(json!({"type": "message", "payload": {"text": "", "videoUrl": url}}))
}

/// A file as the platform's clients know it.
pub fn file(url: &str, title: &str) -> BotMessage {
    let payload = json!({"url": url, "title": title, "template_type": "attachment"});
    BotMessage::Template(json!({"file": {"type": "link", "payload": payload}}))
}

/// A text; an empty one is nothing.
pub fn said(text: &str) -> Option<BotMessage> {
    (!text.is_empty()).then(|| BotMessage::Text(text.to_owned()))
}

fn template(payload: &Value) -> BotMessage {
    BotMessage::Template(json!({"type": "template", "payload": payload}))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::template::check;

    fn values(messages: &[BotMessage]) -> Vec<Value> {
        let value = |message: &BotMessage| match message {
            BotMessage::Text(text) => json!(text),
            BotMessage::Template(template) => {
                check(template).unwrap();
                template.clone()
            }
        };
        messages.iter().map(value).collect()
    }

    fn a_choice() -> impl Strategy<Value = Choice> {
        let say = ("[a-z]{1,8}", "[a-z]{1,8}").prop_map(|(title, said)| Choice::say(&title, &said));
        let open = "[a-z]{1,8}".prop_map(|title| Choice::open(&title, "https://a.test/"));
        prop_oneof![4 => say, 1 => open]
    }

    /// The titles of all buttons and quick replies, in order.
    fn titles(value: &Value) -> Vec<String> {
        let payload = &value["payload"];
        let places = [&payload["buttons"], &payload["quick_replies"]];
        let elements = payload["elements"].as_array().into_iter().flatten();
        let lists = places.into_iter().chain(elements.map(|element| &element["buttons"]));
        let all = lists.filter_map(Value::as_array).flatten();
        all.map(|one| one["title"].as_str().unwrap().to_owned()).collect()
    }

    proptest! {
        #[test]
        fn however_a_text_is_split_from_its_choices_nothing_is_lost(
            text in "\\PC{0,40}|[a-z😀]{600,700}",
            all in vec(a_choice(), 0..12),
            quick in any::<bool>(),
        ) {
            let said = values(&choices(&text, &all, quick));
            let shown: Vec<_> = said
                .iter()
                .filter_map(|one| one.as_str().or_else(|| one["payload"]["text"].as_str()))
                .filter(|shown| *shown != PLAIN)
                .collect();
            prop_assert_eq!(shown.concat(), if text == PLAIN { String::new() } else { text });
            let expected: Vec<_> = all.iter().map(|choice| choice.title.clone()).collect();
            prop_assert_eq!(said.iter().flat_map(titles).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn however_cards_are_split_no_button_is_lost_or_moved(
            all in vec((vec(a_choice(), 0..9), any::<bool>()), 0..5),
        ) {
            let expected: Vec<_> =
                all.iter().flat_map(|(choices, _)| choices).map(|choice| choice.title.clone()).collect();
            let card = |(choices, image): (Vec<Choice>, bool)| Card {
                title: "T".to_owned(),
                image: image.then(|| "https://a.test/a.png".to_owned()),
                choices,
                ..Card::default()
            };
            let said = values(&cards(&all.into_iter().map(card).collect::<Vec<_>>()));
            prop_assert_eq!(said.iter().flat_map(titles).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn few_choices_are_buttons_and_many_or_quick_ones_are_quick_replies() {
        let some = |n: usize| -> Vec<_> {
            (0..n).map(|n| Choice::say(&format!("C{n}"), &format!("c{n}"))).collect()
        };
        let kind = |messages: Vec<BotMessage>| {
            let all = values(&messages);
            all.last().unwrap()["payload"]["template_type"].clone()
        };
        assert_eq!(kind(choices("t", &some(5), false)), "button");
        assert_eq!(kind(choices("t", &some(6), false)), "quick_replies");
        assert_eq!(kind(choices("t", &some(2), true)), "quick_replies");
        let mut with_link = some(7);
        with_link.push(Choice::open("L", "http://l"));
        assert_eq!(kind(choices("t", &with_link, true)), "button");
        assert_eq!(values(&choices("t", &[], true)), [json!("t")]);
        assert_eq!(choices("", &[], true), []);
    }

    #[test]
    fn a_text_that_no_template_holds_is_said_before_it() {
        let long = "x".repeat(TEXT_MAX + 1);
        let all = values(&choices(&long, &[Choice::say("Y", "y")], false));
        assert_eq!(all[0], json!(long));
        assert_eq!(all[1]["payload"]["text"], PLAIN);
        let all = values(&choices("", &[Choice::say("Y", "y")], false));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn cards_become_a_carousel_and_no_button_is_lost() {
        let choices = (0..4).map(|n| Choice::say(&n.to_string(), "x")).collect();
        let card =
            Card { title: "A".into(), image: Some("http://i".into()), choices, ..Card::default() };
        let all = values(&cards(&[card, Card { title: "B".into(), ..Card::default() }]));
        let elements = all[0]["payload"]["elements"].as_array().unwrap().clone();
        let buttons = |n: usize| elements[n]["buttons"].as_array().map_or(0, Vec::len);
        assert_eq!((elements.len(), buttons(0), buttons(1), buttons(2)), (3, 3, 1, 0));
        let alone = Card { title: "A".into(), subtitle: "b".into(), ..Card::default() };
        assert_eq!(values(&cards(&[alone])), [json!("A\nb")]);
    }
}

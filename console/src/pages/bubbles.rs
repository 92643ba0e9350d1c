//! What a bot said, as it can be shown: plain text, and the protocol's templates. A bot's words are a
//! stranger's: addresses lead to the web or nowhere.

use serde_json::Value;

use super::ui::{Bubble, Element, Picture, Press, Rich};

/// Things of one kind that are shown of one template.
const MOST: usize = 50;

/// The bubbles of a body of protocol version 1: an answer, or a delivery's.
pub(super) fn of_body(body: &str) -> Vec<Bubble> {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return vec![Bubble::Text(body.to_owned())];
    };
    match value.get("text") {
        Some(Value::Array(all)) => all.iter().take(MOST).map(of_message).collect(),
        Some(one) => vec![of_message(one)],
        // The end of a task, or something of a newer protocol.
        None => vec![Bubble::Meta(value.to_string())],
    }
}

fn of_message(message: &Value) -> Bubble {
    let Value::String(text) = message else { return of_template(message) };
    // Templates travel as text, their quotes perhaps escaped.
    let plain = text.replace("&quot;", "\"");
    match serde_json::from_str::<Value>(&plain) {
        Ok(value) if value.is_object() => of_template(&value),
        Ok(_) | Err(_) => Bubble::Text(text.clone()),
    }
}

fn of_template(value: &Value) -> Bubble {
    let payload = value.get("payload").unwrap_or(&Value::Null);
    let kind = payload.get("template_type").and_then(Value::as_str).unwrap_or_default();
    let text = word(payload, "text");
    let mut rich = Rich { text, ..Rich::default() };
    match (word(value, "type").as_str(), kind) {
        ("image", _) => rich.picture = picture(&word(payload, "url")),
        (_, "button") => rich.buttons = presses(payload, "buttons"),
        (_, "quick_replies") => rich.buttons = presses(payload, "quick_replies"),
        (_, "list" | "carousel") => {
            rich.elements = all(payload, "elements").map(element).collect();
            rich.buttons = presses(payload, "buttons");
        }
        (_, "table") => {
            let head = all(payload, "columns");
            rich.head = head.map(|column| cell(column.get(0).unwrap_or(column))).collect();
            rich.rows = all(payload, "elements").map(|row| cells(row, "Values")).collect();
        }
        (_, "mini_table") => {
            for table in all(payload, "elements") {
                let head = all(table, "primary");
                let head: Vec<_> = head.map(|one| cell(one.get(0).unwrap_or(one))).collect();
                rich.head = head;
                rich.rows.extend(all(table, "additional").map(|row| {
                    row.as_array().into_iter().flatten().take(MOST).map(cell).collect()
                }));
            }
        }
        ("error" | "message", _) if !rich.text.is_empty() => return Bubble::Text(rich.text),
        _ if value.get("text").is_some() => return Bubble::Text(word(value, "text")),
        // Charts, feedback, dates: shown as they are sent.
        _ => return Bubble::Text(value.to_string()),
    }
    Bubble::Rich(rich)
}

fn element(value: &Value) -> Element {
    let mut buttons = presses(value, "buttons");
    if let Some(url) = value.get("default_action").map(|action| word(action, "url"))
        && let Some(url) = web(&url)
    {
        buttons.push(Press::Open { title: "Open".to_owned(), url });
    }
    Element {
        title: word(value, "title"),
        subtitle: word(value, "subtitle"),
        picture: picture(&word(value, "image_url")),
        buttons,
    }
}

fn presses(value: &Value, name: &str) -> Vec<Press> {
    all(value, name).map(press).collect()
}

fn press(value: &Value) -> Press {
    let title = word(value, "title");
    if let Some(url) = web(&word(value, "url")) {
        return Press::Open { title, url };
    }
    let payload = word(value, "payload");
    let payload = if payload.is_empty() { title.clone() } else { payload };
    Press::Say { title, payload }
}

/// A picture that is in the message is shown; one that is elsewhere only linked: the page asks nobody else.
fn picture(url: &str) -> Option<Picture> {
    let kinds = ["data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;"];
    if kinds.iter().any(|kind| url.starts_with(kind)) {
        return Some(Picture::Inline(url.to_owned()));
    }
    web(url).map(Picture::Elsewhere)
}

fn web(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    ["http", "https"].contains(&url.scheme()).then(|| url.to_string())
}

fn all<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().take(MOST)
}

fn cells(row: &Value, name: &str) -> Vec<String> {
    all(row, name).map(cell).collect()
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn word(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(kind: &str, payload: &Value) -> Bubble {
        let mut payload = payload.clone();
        payload["template_type"] = kind.into();
        let text = json!({"type": "template", "payload": payload}).to_string();
        let body = json!({"text": text.replace('"', "&quot;")}).to_string();
        of_body(&body).remove(0)
    }

    fn rich(bubble: Bubble) -> Rich {
        let Bubble::Rich(rich) = bubble else { panic!("{bubble:?}") };
        rich
    }

    #[test]
    fn plain_texts_stay_as_they_are() {
        for (body, texts) in [
            (r#"{"text":"hi"}"#, vec!["hi"]),
            (r#"{"text":["a","{b"]}"#, vec!["a", "{b"]),
            ("no json <b>", vec!["no json <b>"]),
            (r#"{"text":"<script>alert(1)</script>"}"#, vec!["<script>alert(1)</script>"]),
        ] {
            let expected: Vec<_> =
                texts.into_iter().map(|text| Bubble::Text(text.to_owned())).collect();
            assert_eq!(of_body(body), expected);
        }
    }

    #[test]
    fn buttons_lead_to_the_web_or_say_something_and_to_nothing_else() {
        let buttons = json!({"text": "Well?", "buttons": [
            {"type": "postback", "title": "Yes", "payload": "yes"},
            {"type": "web_url", "title": "Site", "url": "https://example.com/"},
            {"type": "web_url", "title": "Evil", "url": "javascript:alert(1)"},
        ]});
        let rich = rich(template("button", &buttons));
        assert_eq!(rich.text, "Well?");
        let open = |title: &str, url: &str| Press::Open { title: title.into(), url: url.into() };
        let say = |title: &str, payload: &str| Press::Say {
            title: title.into(),
            payload: payload.into(),
        };
        let expected =
            [say("Yes", "yes"), open("Site", "https://example.com/"), say("Evil", "Evil")];
        assert_eq!(rich.buttons, expected);
    }

    #[test]
    fn lists_tables_and_pictures_are_shown() {
        let elements = json!({"elements": [
            {"title": "One", "subtitle": "first", "image_url": "data:image/png;base64,AA==",
             "default_action": {"url": "https://example.com/1"}},
        ]});
        let carousel = rich(template("carousel", &elements));
        assert_eq!(carousel.elements[0].title, "One");
        assert!(matches!(carousel.elements[0].picture, Some(Picture::Inline(_))));
        let table = json!({"text": "T", "columns": [["Sl", "center"], ["Name"]],
                           "elements": [{"Values": ["1", "Peter"]}]});
        let table = rich(template("table", &table));
        assert_eq!(
            (table.head, table.rows),
            (vec!["Sl".into(), "Name".into()], vec![vec!["1".into(), "Peter".into()]])
        );
        let image = json!({"text": json!({"type": "image", "payload": {"url": "https://a.example/x.png"}}).to_string()});
        let image = rich(of_body(&image.to_string()).remove(0));
        assert_eq!(image.picture, Some(Picture::Elsewhere("https://a.example/x.png".into())));
        let chart = template("piechart", &json!({"elements": []}));
        assert!(matches!(chart, Bubble::Text(text) if text.contains("piechart")));
    }
}

//! The templates of the protocol (§6): what each must have. What is said goes out as it stands, byte for
//! byte; a template that no client could show is refused where it is said. Types that are not known here
//! pass: clients have templates of their own.

use serde_json::{Map, Value};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    /// A text of at most so many characters.
    Text(usize),
    /// Objects or lists, at least one and at most so many.
    List(usize),
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Fields that a template must have; others are its own affair.
type Fields = &'static [(&'static str, Holds)];

const LONG: Holds = Holds::Text(640);
const ANY: Holds = Holds::Text(usize::MAX);
const MANY: Holds = Holds::List(usize::MAX);

const TYPES: &[(&str, Fields)] = &[
    ("button", &[("text", LONG), ("buttons", MANY)]),
    ("quick_replies", &[("text", LONG), ("quick_replies", MANY)]),
    ("list", &[("elements", Holds::List(4))]),
    ("carousel", &[("elements", MANY)]),
    ("table", &[("columns", MANY), ("elements", MANY)]),
    ("mini_table", &[("elements", MANY)]),
    ("piechart", &[("elements", MANY)]),
    ("pie chart", &[("elements", MANY)]),
    ("linechart", &[("X_axis", MANY), ("elements", MANY)]),
    ("barchart", &[("X_axis", MANY), ("elements", MANY)]),
    ("feedbackTemplate", &[("view", Holds::Word(&["NPS", "CSAT", "ThumbsUpDown"]))]),
    ("dropdown_template", &[("elements", MANY)]),
    ("multi_select", &[("elements", MANY), ("buttons", MANY)]),
    ("like_dislike", &[]),
    ("dateTemplate", &[("title", ANY), ("format", ANY)]),
];
const CARD_BUTTONS_MAX: usize = 3;

/// What is wrong with a message that is an object, in words for who wrote it.
pub fn check(message: &Value) -> Result<(), String> {
    if message.get("type").and_then(Value::as_str) != Some("template") {
        return Ok(());
    }
    let Some(payload) = message.get("payload").and_then(Value::as_object) else {
        return Err("a template has a payload, which is an object".to_owned());
    };
    let Some(name) = payload.get("template_type").and_then(Value::as_str) else {
        return Ok(());
    };
    let Some((name, fields)) = TYPES.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    for (field, holds) in *fields {
        field_of(payload, field, *holds)
            .map_err(|why| format!("template {name}: {field} {why}"))?;
    }
    buttons(payload, name)
}

fn field_of(payload: &Map<String, Value>, field: &str, holds: Holds) -> Result<(), String> {
    let value = payload.get(field).ok_or("is missing")?;
    match holds {
        Holds::Text(most) => {
            let text = value.as_str().ok_or("is no text")?;
            if text.chars().count() > most {
                return Err(format!("has more than {most} characters"));
            }
        }
        Holds::List(most) => {
            let items = value.as_array().ok_or("is no list")?;
            if items.is_empty() {
                return Err("is empty".to_owned());
            }
            if items.len() > most {
                return Err(format!("has more than {most} entries"));
            }
        }
        Holds::Word(words) => {
            if !value.as_str().is_some_and(|word| words.contains(&word)) {
                return Err(format!("is none of {}", words.join(", ")));
            }
        }
    }
    Ok(())
}

/// Buttons of the message and of its cards have a title and what it takes to act on them.
fn buttons(payload: &Map<String, Value>, name: &str) -> Result<(), String> {
    let list = |value: &Value| value.get("buttons").and_then(Value::as_array).cloned();
    for button in payload.get("buttons").and_then(Value::as_array).into_iter().flatten() {
        is_button(button).map_err(|why| format!("template {name}: {why}"))?;
    }
    let cards = payload.get("elements").and_then(Value::as_array).into_iter().flatten();
    for (number, card) in (1..).zip(cards) {
        let own = list(card).unwrap_or_default();
        if name == "carousel" && own.len() > CARD_BUTTONS_MAX {
            return Err(format!(
                "template carousel: card {number} has more than {CARD_BUTTONS_MAX} buttons"
            ));
        }
        for button in &own {
            is_button(button).map_err(|why| format!("template {name}: card {number}: {why}"))?;
        }
    }
    Ok(())
}

fn is_button(button: &Value) -> Result<(), String> {
    let has = |key: &str| button.get(key).is_some_and(Value::is_string);
    if !has("title") {
        return Err("a button has a title".to_owned());
    }
    let kind = button.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "postback" if !has("payload") => Err("a postback button has a payload".to_owned()),
        "web_url" | "url" if !has("url") => Err("a link button has a url".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::v1::BotMessage;
    use super::*;
    use serde_json::json;

    /// The page's own examples, and what clients were seen to get: as the wire has them.
    const SAMPLES: &[&str] = &[
        r#"{"type":"template","payload":{"template_type":"button","text":"What do you want to do next?","buttons":[{"type":"web_url","title":"Show Website","url":"https://example.com"},{"type":"postback","title":"Start Chatting","payload":"USER_DEFINED_PAYLOAD"}]}}"#,
        r#"{"type":"template","payload":{"template_type":"button","text":"sometext","buttons":[{"type":"postback","title":"Button1","payload":"button1","value":"button1"}]},"allPostbackButtons":[{"type":"postback","title":"Button1","payload":"button1","value":"button1"}]}"#,
        r#"{"type":"template","payload":{"template_type":"quick_replies","text":"Choose","quick_replies":[{"content_type":"text","title":"A","payload":"a","image_url":"https://example.com/a.png"}]}}"#,
        r#"{"type":"template","AlwaysShowGlobalButtons":false,"payload":{"template_type":"list","elements":[{"title":"A","image_url":"https://example.com/a.png","subtitle":"s","default_action":{"type":"web_url","url":"https://example.com"},"buttons":[{"title":"Go","type":"web_url","url":"https://example.com"}]}],"buttons":[{"title":"More","type":"postback","payload":"more"}]}}"#,
        r#"{"type":"template","payload":{"template_type":"carousel","elements":[{"title":"A","buttons":[]}]}}"#,
        r#"{"type":"template","payload":{"template_type":"table","text":"t","columns":[["Sl","center"],["Name"]],"table_design":"regular","elements":[{"Values":["1","Peter"]}],"speech_hint":"h"}}"#,
        r#"{"type":"template","payload":{"template_type":"mini_table","text":"t","layout":"horizontal","elements":[{"primary":[["Acct"],["300","right"]],"additional":[["CA1","150"]]}]}}"#,
        r#"{"type":"template","payload":{"template_type":"piechart","pie_type":"regular","text":"t","elements":[{"title":"A","value":"10","displayValue":"10%"}]}}"#,
        r#"{"type":"template","payload":{"template_type":"pie chart","pie_type":"donut","text":"t","elements":[{"title":"A","value":10.50,"displayValue":"10%"}]}}"#,
        r#"{"type":"template","payload":{"template_type":"linechart","text":"t","X_axis":["Jan"],"Auto_adjust_X_axis":"yes","elements":[{"title":"A","values":["1"],"displayValues":["$1"]}]}}"#,
        r#"{"type":"template","payload":{"template_type":"barchart","text":"t","X_axis":["Jan"],"direction":"vertical","stacked":false,"elements":[{"title":"A","values":["1"]}]}}"#,
        r#"{"type":"template","payload":{"template_type":"feedbackTemplate","text":"t","view":"ThumbsUpDown","sliderView":false,"thumpsUpDownArrays":[{"thumpUpId":"1","value":1,"reviewText":"good"}],"messageTodisplay":"Thanks"}}"#,
        r#"{"type":"template","payload":{"template_type":"dropdown_template","heading":"h","elements":[{"title":"A","value":"a"}]}}"#,
        r#"{"type":"template","payload":{"template_type":"multi_select","elements":[{"title":"A","value":"a"}],"buttons":[{"title":"Done","type":"postback","payload":"d"}]}}"#,
        r#"{"type":"template","payload":{"template_type":"like_dislike"}}"#,
        r#"{"type":"template","payload":{"template_type":"dateTemplate","title":"t","text_message":"Pick","format":"MM-DD-YYYY"}}"#,
        r##"{"type":"error","payload":{"color":"#F35A00","text":"sample"}}"##,
        r#"{"type":"image","payload":{"url":"https://example.com/a.png"}}"#,
        r#"{"type":"message","payload":{"text":"","audioUrl":"https://example.com/a.mp3"}}"#,
        r#"{"type":"message","payload":{"text":"","videoUrl":"https://example.com/a.mp4"}}"#,
        r#"{"text":"message"}"#,
        r#"{"type":"template","payload":{"template_type":"a_clients_own","x":1}}"#,
    ];

    #[test]
    fn every_kind_of_the_protocol_passes_and_goes_out_byte_for_byte() {
        for sample in SAMPLES {
            let value: Value = serde_json::from_str(sample).unwrap();
            assert_eq!(check(&value), Ok(()), "{sample}");
            let message = BotMessage::Template(value);
            // Numbers are the one thing that JSON readers write their own way.
            assert_eq!(message.to_text(false), sample.replace("10.50", "10.5"));
            assert_eq!(
                message.to_text(true).replace("&quot;", "\""),
                sample.replace("10.50", "10.5")
            );
        }
    }

    #[test]
    fn what_no_client_could_show_is_refused_with_the_reason() {
        let template = |payload: Value| json!({"type": "template", "payload": payload});
        let four = vec![json!({"title": "B"}); 4];
        let card = json!({"title": "A", "buttons": four});
        let table = [
            (json!({"type": "template"}), "a payload, which is an object"),
            (
                template(json!({"template_type": "button", "buttons": []})),
                "button: text is missing",
            ),
            (
                template(json!({"template_type": "button", "text": "t", "buttons": []})),
                "buttons is empty",
            ),
            (
                template(
                    json!({"template_type": "button", "text": "x".repeat(641), "buttons": [1]}),
                ),
                "640",
            ),
            (
                template(json!({"template_type": "button", "text": "t", "buttons": [{}]})),
                "has a title",
            ),
            (
                template(
                    json!({"template_type": "button", "text": "t", "buttons": [{"title": "A", "type": "postback"}]}),
                ),
                "has a payload",
            ),
            (
                template(json!({"template_type": "list", "elements": [1, 2, 3, 4, 5]})),
                "more than 4",
            ),
            (
                template(json!({"template_type": "table", "columns": "x", "elements": []})),
                "is no list",
            ),
            (
                template(json!({"template_type": "feedbackTemplate", "view": "STARS"})),
                "none of NPS",
            ),
            (
                template(json!({"template_type": "carousel", "elements": [card]})),
                "card 1 has more than 3",
            ),
        ];
        for (message, why) in table {
            let refused = check(&message).unwrap_err();
            assert!(refused.contains(why), "{message}: {refused}");
        }
    }
}

//! What a channel says instead of its bot's messages, on its way into the registry.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::registry::Overrides;
use shared::wire::{clean, template};

use super::validate::Wrong;

pub(super) fn of(draft: Option<&BTreeMap<String, Value>>, wrong: &mut Wrong) -> Overrides {
    let Some(messages) = draft else { return Overrides::NONE };
    let mut bytes = 0;
    for (key, message) in messages {
        bytes += key.len() + message.to_string().len();
        if let Err(why) = check(key, message) {
            wrong.push(why);
        }
    }
    if messages.len() > Overrides::COUNT_MAX {
        wrong.push(format!("overrides: at most {}", Overrides::COUNT_MAX));
    }
    if bytes > Overrides::BYTES_MAX {
        wrong.push(format!("overrides: at most {} bytes together", Overrides::BYTES_MAX));
    }
    Overrides::new(messages.clone())
}

fn check(key: &str, message: &Value) -> Result<(), String> {
    let most = Overrides::KEY_MAX;
    if key.is_empty() || key.len() > most || key.contains(char::is_control) {
        let key: String = key.chars().take(20).collect();
        return Err(format!(
            "overrides: {key:?}: a key has 1 to {most} bytes, no control characters"
        ));
    }
    let wrong = |why: &str| Err(format!("overrides.{key}: {why}"));
    if !message.is_string() && !message.is_object() {
        return wrong("is neither a text nor an object");
    }
    if !clean::is_shallow(message) {
        return wrong("is nested too deep");
    }
    if clean::value(message.clone()) != *message {
        return wrong("has a NUL in it");
    }
    let most = Overrides::MESSAGE_MAX;
    if message.to_string().len() > most {
        return wrong(&format!("has more than {most} bytes"));
    }
    template::check(message).or_else(|why| wrong(&why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(messages: Value) -> Wrong {
        let mut wrong = Wrong::new();
        let messages = serde_json::from_value(messages).unwrap();
        of(Some(&messages), &mut wrong);
        wrong
    }

    #[test]
    fn texts_and_templates_that_a_client_can_show_are_taken() {
        let button = json!({"type": "postback", "title": "Go", "payload": "go"});
        let template = json!({"type": "template", "payload":
            {"template_type": "button", "text": "Well?", "buttons": [button]}});
        let own = json!({"type": "a_clients_own"});
        let messages = json!({"error": "Oh.", "say it": "", "menu": template, "own": own});
        assert_eq!(wrong(messages), Wrong::new());
        assert_eq!(of(None, &mut Wrong::new()), Overrides::NONE);
    }

    #[test]
    fn every_mistake_is_told_with_its_key() {
        let deep = (0..40).fold(json!(1), |inner, _| json!({"a": inner}));
        let table = [
            (json!({"": "x"}), "overrides: \"\": a key has 1 to 100 bytes"),
            (json!({"a\nb": "x"}), "no control characters"),
            (json!({"x".repeat(101): "x"}), "a key has 1 to 100 bytes"),
            (json!({"a": 1}), "overrides.a: is neither a text nor an object"),
            (json!({"a": null}), "overrides.a: is neither a text nor an object"),
            (json!({"a": ["x"]}), "overrides.a: is neither a text nor an object"),
            (json!({"a": deep}), "overrides.a: is nested too deep"),
            (json!({"a": "x\0"}), "overrides.a: has a NUL in it"),
            (json!({"a": "x".repeat(16 * 1024)}), "overrides.a: has more than 16384 bytes"),
            (json!({"a": {"type": "template"}}), "overrides.a: a template has a payload"),
        ];
        for (messages, why) in table {
            let wrong = wrong(messages);
            assert!(wrong.len() == 1 && wrong[0].contains(why), "{why}: {wrong:?}");
        }
        let many: BTreeMap<_, _> = (0..=100).map(|n| (n.to_string(), json!("x"))).collect();
        assert_eq!(wrong(json!(many)), ["overrides: at most 100"]);
        let large: BTreeMap<_, _> =
            (0..5).map(|n| (n.to_string(), json!("x".repeat(15_000)))).collect();
        assert_eq!(wrong(json!(large)), ["overrides: at most 65536 bytes together"]);
    }
}

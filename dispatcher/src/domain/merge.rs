//! Messages that are answered as one: what of them the bot hears.

use serde_json::Value;
use shared::domain::turn::Turn;

/// The most messages that are kept for the next.
const TEXTS_MAX: usize = 20;
/// Bytes of their texts together.
const BYTES_MAX: usize = 64 * 1024;

/// Whether a request has nothing but a text that would be lost if only that were kept of it.
pub fn is_plain(payload: &str) -> bool {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    match &payload["message"]["attachments"] {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
}

/// Adds a text to those that are kept; `false` when there are enough.
pub fn keep(texts: &mut Vec<String>, text: &str) -> bool {
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() >= TEXTS_MAX || bytes + text.len() > BYTES_MAX {
        return false;
    }
    texts.push(text.to_owned());
    true
}

/// The turn as its bot hears it, after the texts that were kept for it: a line each. Everything else is the
/// turn's own.
pub fn joined(turn: &Turn, before: &[String]) -> Turn {
    let all = before.iter().map(String::as_str).chain([turn.text.as_str()]);
    let text = all.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    let mut payload: Value = serde_json::from_str(&turn.payload).unwrap_or_default();
    if let Some(said) = payload.pointer_mut("/message/text") {
        *said = text.as_str().into();
    }
    Turn { text, payload: payload.to_string(), ..turn.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::domain::ids::TurnId;
    use shared::domain::turn::Mode;

    use super::*;

    #[test]
    fn texts_are_lines_before_the_turns_own_and_the_rest_of_the_body_is_its_own() {
        let turn = Turn {
            id: TurnId::new(uuid::Uuid::from_u128(1)),
            client: "cs-1".into(),
            channel: "ivrInst-1".into(),
            bot: "st-1".into(),
            user: "ann".into(),
            mode: Mode::Sync,
            new_session: false,
            text: "c".to_owned(),
            payload: json!({"message": {"text": "c", "x": 1}, "customData": {"k": 1}}).to_string(),
        };
        let heard = joined(&turn, &["a".to_owned(), String::new(), "b".to_owned()]);
        assert_eq!(heard.text, "a\nb\nc");
        let payload = r#"{"message":{"text":"a\nb\nc","x":1},"customData":{"k":1}}"#;
        assert_eq!((heard.payload.as_str(), heard.id), (payload, turn.id));
        assert_eq!(joined(&turn, &[]).payload, turn.payload);
    }

    #[test]
    fn a_message_with_attachments_is_more_than_its_text() {
        let with = |attachments: Value| {
            is_plain(&json!({"message": {"text": "a", "attachments": attachments}}).to_string())
        };
        assert!(with(json!(null)) && with(json!([])) && is_plain(r#"{"message":{"text":"a"}}"#));
        assert!(!with(json!(["http://a/x.png"])) && !with(json!({"url": "http://a/x.png"})));
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_bytes() {
        let mut texts = Vec::new();
        assert!((0..TEXTS_MAX).all(|_| keep(&mut texts, "x")));
        assert!(!keep(&mut texts, "x"));
        let mut texts = vec!["x".repeat(BYTES_MAX - 1)];
        assert!(!keep(&mut texts, "xy") && keep(&mut texts, "x") && !keep(&mut texts, "x"));
        assert_eq!(texts.len(), 2);
    }
}

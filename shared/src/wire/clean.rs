//! What a bot says, or a channel says for it, made fit to be stored: no NUL, bounded depth.

use serde_json::{Map, Value};

/// How deep JSON of a bot may be nested.
pub const DEPTH_MAX: usize = 32;

/// Databases refuse NUL in text: it becomes U+FFFD, as in any other text that lost a character.
pub fn text(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

/// The same for every string and every key inside.
pub fn value(value: Value) -> Value {
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(items) => Value::Array(items.into_iter().map(self::value).collect()),
        Value::Object(map) => Value::Object(object(map)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

pub fn object(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().map(|(key, item)| (text(key), value(item))).collect()
}

/// Whether nothing is nested deeper than [`DEPTH_MAX`]. The parser has bounded it before, so that
/// this recursion is bounded too.
pub fn is_shallow(value: &Value) -> bool {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| within(item, left - 1)),
            Value::Object(map) => left > 0 && map.values().all(|item| within(item, left - 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    within(value, DEPTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nul_is_replaced_in_texts_and_keys_at_any_depth() {
        let dirty = json!({"a\0": ["x\0y", {"b": "\0", "c": 1}]});
        let clean = json!({"a\u{FFFD}": ["x\u{FFFD}y", {"b": "\u{FFFD}", "c": 1}]});
        assert_eq!(value(dirty), clean);
        assert_eq!(text("plain".into()), "plain");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(is_shallow(&nested(DEPTH_MAX)));
        assert!(!is_shallow(&nested(DEPTH_MAX + 1)));
    }
}

//! What a change changes, word by word; of a secret only that it does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::domain::channel::ChannelState;

/// One word that is not the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The id of the bot or channel.
    pub subject: String,
    pub word: String,
    /// Missing where there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Difference {
    pub fn state(subject: &str, before: ChannelState, after: ChannelState) -> Self {
        Self {
            subject: subject.to_owned(),
            word: "state".to_owned(),
            before: Some(before.as_str().into()),
            after: Some(after.as_str().into()),
        }
    }
}

/// `before` is `None` for what never ran.
pub fn diff(
    subject: &str,
    before: Option<&Map<String, Value>>,
    after: &Map<String, Value>,
    secrets: &[String],
) -> Vec<Difference> {
    let none = Map::new();
    let before = before.unwrap_or(&none);
    let mut words: Vec<&String> = before.keys().chain(after.keys()).collect();
    words.sort_unstable();
    words.dedup();
    let changed = words.into_iter().filter(|word| before.get(*word) != after.get(*word));
    let mut all: Vec<Difference> = changed
        .map(|word| Difference {
            subject: subject.to_owned(),
            word: word.clone(),
            before: before.get(word).cloned(),
            after: after.get(word).cloned(),
        })
        .collect();
    all.extend(secrets.iter().map(|secret| Difference {
        subject: subject.to_owned(),
        word: secret.clone(),
        before: None,
        after: Some("(a new secret)".into()),
    }));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_names_what_went_what_came_and_what_changed_but_no_secret() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let before = map(json!({"a": 1, "b": 2, "c": 3}));
        let after = map(json!({"a": 1, "b": 5, "d": 4}));
        let found = diff("x", Some(&before), &after, &["token".to_owned()]);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.word.as_str(), one.before.clone(), one.after.clone()))
            .collect();
        assert_eq!(
            found,
            [
                ("b", Some(json!(2)), Some(json!(5))),
                ("c", Some(json!(3)), None),
                ("d", None, Some(json!(4))),
                ("token", None, Some(json!("(a new secret)"))),
            ]
        );
        assert_eq!(diff("x", Some(&before), &before, &[]), []);
        assert_eq!(diff("x", None, &before, &[]).len(), 3);
    }
}

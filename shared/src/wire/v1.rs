//! Version 1 of the webhook protocol: the bodies that go out (protocol §4).

use bytes::Bytes;
use serde::Serialize;

/// One message of a bot: plain text, or a template or other JSON object that travels inside the text.
#[derive(Clone, Debug, PartialEq)]
pub enum BotMessage {
    Text(String),
    Template(serde_json::Value),
}

impl BotMessage {
    /// The text that the wire carries. V1 sends templates as a JSON string, its quotes escaped as
    /// `&quot;` where the channel says so (protocol §4.1).
    pub fn to_text(&self, escape_templates: bool) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Template(value) if escape_templates => value.to_string().replace('"', "&quot;"),
            Self::Template(value) => value.to_string(),
        }
    }
}

/// Why the platform says a task ended (protocol §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEnd {
    pub end_of_task: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_task_name: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    One(&'a str),
    Many(&'a [String]),
}

#[derive(Serialize)]
struct SyncBody<'a> {
    text: Text<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<&'a TaskEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
}

/// The body of a synchronous answer: `{"text":"…"}` for one message where the channel says so, else
/// `{"text":["…",…]}`.
pub fn sync_body(texts: &[String], single_as_string: bool, end: Option<&TaskEnd>) -> Bytes {
    to_bytes(&SyncBody { text: text(texts, single_as_string), end, outcome: None })
}

/// The same for a message that was not answered by itself: `outcome` says why.
pub fn aside_body(texts: &[String], single_as_string: bool, outcome: &str) -> Bytes {
    let text = text(texts, single_as_string);
    to_bytes(&SyncBody { text, end: None, outcome: Some(outcome) })
}

fn text(texts: &[String], single_as_string: bool) -> Text<'_> {
    match texts {
        [one] if single_as_string => Text::One(one),
        many => Text::Many(many),
    }
}

#[derive(Serialize)]
struct PostBody<'a> {
    text: &'a str,
    to: &'a str,
    from: &'a str,
}

/// The body of one POST to POST_URL (protocol §4.4).
pub fn post_body(text: &str, user: &str, bot: &str) -> Bytes {
    to_bytes(&PostBody { text, to: user, from: bot })
}

fn to_bytes<T: Serialize>(body: &T) -> Bytes {
    serde_json::to_vec(body).expect("invariant: strings and maps of strings are JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(texts: &[&str], single: bool, end: Option<&TaskEnd>) -> String {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        String::from_utf8(sync_body(&texts, single, end).to_vec()).unwrap()
    }

    #[test]
    fn one_message_is_a_string_or_an_array_as_the_channel_says() {
        assert_eq!(body(&["a"], true, None), r#"{"text":"a"}"#);
        assert_eq!(body(&["a"], false, None), r#"{"text":["a"]}"#);
        assert_eq!(body(&["a", "b"], true, None), r#"{"text":["a","b"]}"#);
        assert_eq!(body(&[], true, None), r#"{"text":[]}"#);
    }

    #[test]
    fn a_message_that_was_not_answered_by_itself_is_told_so() {
        let aside = aside_body(&[], true, "merged");
        assert_eq!(aside, r#"{"text":[],"outcome":"merged"}"#);
        let aside = aside_body(&["wait".to_owned()], true, "rejected");
        assert_eq!(aside, r#"{"text":"wait","outcome":"rejected"}"#);
    }

    #[test]
    fn the_end_of_a_task_stands_beside_the_text() {
        let end = TaskEnd {
            end_of_task: true,
            end_reason: Some("Fulfilled".into()),
            completed_task_id: None,
            completed_task_name: Some("show balance".into()),
        };
        let expected = r#"{"text":"a","endOfTask":true,"endReason":"Fulfilled","completedTaskName":"show balance"}"#;
        assert_eq!(body(&["a"], true, Some(&end)), expected);
    }

    #[test]
    fn templates_are_escaped_as_the_platform_does() {
        let template = BotMessage::Template(serde_json::json!({"type":"template"}));
        assert_eq!(template.to_text(true), "{&quot;type&quot;:&quot;template&quot;}");
        assert_eq!(template.to_text(false), r#"{"type":"template"}"#);
    }

    #[test]
    fn a_post_body_names_text_user_and_bot() {
        assert_eq!(post_body("hi", "ann", "st-1"), r#"{"text":"hi","to":"ann","from":"st-1"}"#);
    }
}

//! Dify's `chat-messages`: the question, and an answer that came whole or as events.

use serde_json::{Value, json};

use super::{Heard, chat, sse, text_at};

/// What an app answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// To be named with the next question.
    pub conversation: Option<String>,
}

/// The request's body. `conversation` is empty in a session's first question.
pub fn question(heard: Heard<'_>, conversation: &str, stream: bool) -> Value {
    let files: Vec<_> = heard
        .attachments()
        .into_iter()
        .map(|file| {
            let kind = if file.is_image() { "image" } else { "document" };
            json!({"type": kind, "transfer_method": "remote_url", "url": file.url})
        })
        .collect();
    let inputs = heard.custom_data().get("inputs").filter(|inputs| inputs.is_object());
    json!({
        "inputs": inputs.cloned().unwrap_or_else(|| json!({})),
        "query": heard.text,
        "response_mode": if stream { "streaming" } else { "blocking" },
        "conversation_id": conversation,
        "user": heard.user,
        "files": files,
    })
}

/// Reads an answer, whole or as events.
pub fn answer(body: &str) -> Result<Answer, String> {
    let mut answer = Answer::default();
    if sse::is_json(body) {
        let body: Value =
            serde_json::from_str(body).map_err(|_| "its answer is no JSON".to_owned())?;
        let text = body.get("answer").and_then(Value::as_str);
        text.ok_or("its answer has no answer")?.clone_into(&mut answer.text);
        answer.conversation = text_at(&body, "conversation_id").map(str::to_owned);
        return Ok(answer);
    }
    let mut ended = false;
    for event in sse::events(body) {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
        if let Some(conversation) = text_at(&data, "conversation_id") {
            answer.conversation = Some(conversation.to_owned());
        }
        let piece = text_at(&data, "answer").unwrap_or_default();
        match text_at(&data, "event").unwrap_or(&event.name) {
            "message" | "agent_message" => answer.text.push_str(piece),
            "message_replace" => piece.clone_into(&mut answer.text),
            "message_end" => ended = true,
            "error" => return Err(format!("it answered with an error{}", chat::word(&data))),
            // Pings, thoughts, the nodes of a workflow.
            _ => {}
        }
    }
    if ended { Ok(answer) } else { Err("its answer has no end".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::heard;
    use super::*;

    #[test]
    fn a_question_names_the_conversation_and_brings_files() {
        let payload = json!({"message": {"attachments": ["http://a/x.png"]}, "customData": {"inputs": {"k": 1}, "secret": 2}});
        let body = question(heard("hi", &payload), "c1", true);
        assert_eq!((&body["query"], &body["conversation_id"]), (&json!("hi"), &json!("c1")));
        assert_eq!(
            (&body["inputs"], &body["response_mode"]),
            (&json!({"k": 1}), &json!("streaming"))
        );
        assert_eq!(body["files"][0]["type"], "image");
    }

    #[test]
    fn answers_are_read_whole_or_as_events_with_their_end() {
        let expected = Answer { text: "Hello".into(), conversation: Some("c1".into()) };
        assert_eq!(answer(r#"{"answer":"Hello","conversation_id":"c1"}"#), Ok(expected.clone()));
        let events = "event: ping\n\ndata: {\"event\":\"message\",\"answer\":\"Hel\",\"conversation_id\":\"c1\"}\n\ndata: {\"event\":\"agent_message\",\"answer\":\"lo\"}\n\ndata: {\"event\":\"message_end\"}\n\n";
        assert_eq!(answer(events), Ok(expected));
        for wrong in [
            "{}",
            "data: {\"event\":\"message\",\"answer\":\"a\"}\n\n",
            "data: {\"event\":\"error\",\"code\":\"x\"}\n\n",
        ] {
            answer(wrong).unwrap_err();
        }
    }
}

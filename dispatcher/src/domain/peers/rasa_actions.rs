//! A Rasa action server as bot logic: the tracker that it is shown, and what its events do to it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::wire::v1::BotMessage;

use super::{Heard, list_at, rasa, text_at};

/// What is kept of a conversation. The slots are the whole memory of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    #[serde(default)]
    pub slots: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_loop: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_action: Option<String>,
}

/// What one action came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub messages: Vec<BotMessage>,
    /// The action to run next.
    pub followup: Option<String>,
}

/// The request's body.
pub fn question(heard: Heard<'_>, tracker: &Tracker, action: &str) -> Value {
    let Heard { session, channel, text, turn, user, .. } = heard;
    // `/greet` names an intent, as on Rasa's own channels.
    let intent = text.strip_prefix('/').and_then(|rest| rest.split(['{', ' ']).next());
    let confidence = if intent.is_some() { 1.0 } else { 0.0 };
    let metadata = json!({
        "turnId": turn,
        "userId": user,
        "language": heard.language(),
        "customData": heard.custom_data(),
    });
    let message = json!({
        "text": text,
        "intent": {"name": intent, "confidence": confidence},
        "intent_ranking": [],
        "entities": [],
        "metadata": metadata,
    });
    let event = json!({
        "event": "user", "timestamp": null, "text": text, "parse_data": message,
        "input_channel": channel, "message_id": turn, "metadata": metadata,
    });
    json!({
        "next_action": action,
        "sender_id": session,
        "version": "3.0",
        "domain": {"intents": [], "entities": [], "slots": {}, "responses": {}, "actions": [action]},
        "tracker": {
            "sender_id": session,
            "slots": tracker.slots,
            "latest_message": message,
            "events": [event],
            "paused": false,
            "followup_action": null,
            "active_loop": {"name": tracker.active_loop},
            "latest_action_name": tracker.latest_action,
            "latest_input_channel": channel,
        },
    })
}

/// What an answer says, and does to the tracker.
pub fn answer(body: &Value, tracker: &mut Tracker, action: &str) -> Result<Done, String> {
    if !body.is_object() {
        return Err("its answer is no object".to_owned());
    }
    let mut followup = None;
    for event in list_at(body, "events") {
        let name = text_at(event, "name");
        match event["event"].as_str().unwrap_or_default() {
            "slot" => {
                let name = name.ok_or("it sets a slot that has no name")?;
                tracker.slots.insert(name.to_owned(), event["value"].clone());
            }
            "reset_slots" => tracker.slots.clear(),
            "restart" => *tracker = Tracker::default(),
            "active_loop" | "form" => tracker.active_loop = name.map(str::to_owned),
            "followup" => followup = name.map(str::to_owned),
            // Events of a dialog engine that is not here.
            _ => {}
        }
    }
    tracker.latest_action = Some(action.to_owned());
    let mut messages = Vec::new();
    for response in list_at(body, "responses") {
        let said = rasa::messages(response);
        let name = text_at(response, "response").or_else(|| text_at(response, "template"));
        if let (true, Some(name)) = (said.is_empty(), name) {
            return Err(format!("it utters {name:?}, which only Rasa's own domain knows"));
        }
        messages.extend(said);
    }
    Ok(Done { messages, followup })
}

#[cfg(test)]
mod tests {
    use super::super::tests::heard;
    use super::*;

    #[test]
    fn an_action_sees_its_slots_and_changes_them_by_events() {
        let mut tracker = Tracker::default();
        let body = json!({
            "events": [
                {"event": "slot", "name": "n", "value": 2}, {"event": "followup", "name": "b"},
                {"event": "active_loop", "name": "form"}, {"event": "unknown"},
            ],
            "responses": [{"text": "two", "buttons": [], "template": null, "response": null, "image": null}],
        });
        let done = answer(&body, &mut tracker, "a").unwrap();
        assert_eq!(done.messages, [BotMessage::Text("two".into())]);
        assert_eq!(done.followup.as_deref(), Some("b"));
        let payload = json!({});
        let asked = question(heard("/greet{\"x\":1}", &payload), &tracker, "b");
        assert_eq!(asked["tracker"]["slots"], json!({"n": 2}));
        assert_eq!(asked["tracker"]["active_loop"]["name"], "form");
        assert_eq!(asked["tracker"]["latest_action_name"], "a");
        assert_eq!(asked["tracker"]["latest_message"]["intent"]["name"], "greet");
        answer(&json!({"events": [{"event": "restart"}]}), &mut tracker, "b").unwrap();
        assert_eq!(tracker.slots, Map::new());
    }

    #[test]
    fn a_response_of_the_domain_cannot_be_said() {
        let body = json!({"events": [], "responses": [{"text": null, "response": "utter_x"}]});
        let why = answer(&body, &mut Tracker::default(), "a").unwrap_err();
        assert!(why.contains("utter_x"), "{why}");
        answer(&json!([]), &mut Tracker::default(), "a").unwrap_err();
    }
}

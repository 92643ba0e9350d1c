//! The session of a conversation: when it begins anew, what a bot sees of it, what is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::ids::TurnId;

/// Set anew on every turn, so never stored, whatever a bot writes there.
const LAST_MESSAGE: &str = "lastMessage";
const SESSION_ID: &str = "conversationSessionId";

/// One bounded run of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The id of its first turn.
    pub id: String,
    /// Whether it begins with this turn.
    pub is_new: bool,
    /// What the bot has put there.
    pub bot_user: Map<String, Value>,
    /// Where a script waits for an answer; only scripts read it.
    pub dialog: Option<Box<Value>>,
}

/// As it is stored. Keys of a later release are dropped: they belong to a bot kind that this one
/// cannot run.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    #[serde(rename = "BotUserSession", default)]
    bot_user: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialog: Option<Box<Value>>,
}

/// How the session of a turn is found.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub turn: TurnId,
    /// Time since the conversation's last turn.
    pub idle: Duration,
    /// Inactivity after which a session has ended.
    pub timeout: Duration,
    /// The client asked for a new one (`session.new`).
    pub wants_new: bool,
}

/// The session that a turn belongs to. Empty, unreadable or expired state begins a new one.
pub fn open(stored: &[u8], rules: Rules) -> Session {
    let ended = rules.wants_new || rules.idle > rules.timeout;
    let kept = serde_json::from_slice::<Stored>(stored).ok().filter(|_| !ended);
    match kept {
        Some(Stored { id, bot_user, dialog }) => Session { id, is_new: false, bot_user, dialog },
        None => {
            Session { id: rules.turn.to_string(), is_new: true, bot_user: Map::new(), dialog: None }
        }
    }
}

impl Session {
    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bot_user = self.bot_user.clone();
        bot_user.retain(|key, _| key != LAST_MESSAGE && key != SESSION_ID);
        let stored = Stored { id: self.id.clone(), bot_user, dialog: self.dialog.clone() };
        serde_json::to_vec(&stored).expect("invariant: maps of strings are JSON")
    }

    /// `context.session.BotUserSession` as bots see it: with the whole request body at
    /// `lastMessage`, and once more at `lastMessage.messagePayload`, for both are in use.
    pub fn with_last_message(&self, payload: &Value, channel: &Value) -> Map<String, Value> {
        let mut last = payload.as_object().cloned().unwrap_or_default();
        last.insert("messagePayload".into(), payload.clone());
        last.insert("channel".into(), channel.clone());
        let mut bot_user = self.bot_user.clone();
        bot_user.insert(SESSION_ID.into(), json!(self.id));
        bot_user.insert(LAST_MESSAGE.into(), Value::Object(last));
        bot_user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_mins(15);

    fn turn(n: u128) -> TurnId {
        TurnId::new(uuid::Uuid::from_u128(n))
    }

    fn rules(idle: Duration, wants_new: bool) -> Rules {
        Rules { turn: turn(2), idle, timeout: TIMEOUT, wants_new }
    }

    fn stored() -> Vec<u8> {
        let bot_user = json!({"cart": [1]}).as_object().cloned().unwrap();
        Session { id: turn(1).to_string(), is_new: false, bot_user, dialog: None }.to_bytes()
    }

    #[test]
    fn a_session_goes_on_until_it_is_idle_too_long_or_a_new_one_is_asked_for() {
        let table = [
            (stored(), TIMEOUT, false, false),
            (stored(), TIMEOUT + Duration::from_millis(1), false, true),
            (stored(), Duration::ZERO, true, true),
            (Vec::new(), Duration::ZERO, false, true),
            (b"garbage".to_vec(), Duration::ZERO, false, true),
        ];
        for (bytes, idle, wants_new, is_new) in table {
            let session = open(&bytes, rules(idle, wants_new));
            assert_eq!(session.is_new, is_new, "{idle:?} {wants_new}");
            assert_eq!(session.bot_user.is_empty(), is_new);
            assert_eq!(session.id, turn(if is_new { 2 } else { 1 }).to_string());
        }
    }

    #[test]
    fn the_last_message_is_seen_and_never_stored() {
        let payload = json!({"message": {"text": "hi"}, "customData": {"userToken": "t"}});
        let mut session = open(&stored(), rules(Duration::ZERO, false));
        let seen = session.with_last_message(&payload, &json!({"id": "ivrInst-1"}));
        let last = &seen["lastMessage"];
        assert_eq!(last["customData"]["userToken"], "t");
        assert_eq!(last["messagePayload"]["customData"]["userToken"], "t");
        assert_eq!(last["channel"]["id"], "ivrInst-1");
        session.bot_user = seen;
        assert_eq!(session.to_bytes(), stored());
    }
}

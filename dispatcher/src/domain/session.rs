//! The session of a conversation: when it begins anew, what a bot sees of it, what is kept.

use std::time::Duration;

use bytes::Bytes;
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
    /// Texts that wait to be answered with the next turn's. They outlive the session's end.
    pub merged: Vec<String>,
    /// The bot has ended it: the conversation's next turn begins another.
    pub closed: bool,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merged: Vec<String>,
    /// It began with a turn that did not run: the next that does is its first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unseen: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    closed: bool,
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

/// The session that a turn belongs to. Empty, unreadable, closed or expired state begins a new one.
pub fn open(stored: &[u8], rules: Rules) -> Session {
    let ended = rules.wants_new || rules.idle > rules.timeout;
    match serde_json::from_slice::<Stored>(stored).ok() {
        Some(Stored { id, bot_user, dialog, merged, unseen, closed: false }) if !ended => {
            Session { id, is_new: unseen, bot_user, dialog, merged, closed: false }
        }
        kept => Session {
            id: rules.turn.to_string(),
            is_new: true,
            bot_user: Map::new(),
            dialog: None,
            merged: kept.map(|kept| kept.merged).unwrap_or_default(),
            closed: false,
        },
    }
}

/// The state of a turn that is given up: the texts that waited for it go with it, for they may be why.
pub fn without_texts(stored: &Bytes) -> Bytes {
    match serde_json::from_slice::<Stored>(stored) {
        Ok(kept) if !kept.merged.is_empty() => to_bytes(&Stored { merged: Vec::new(), ..kept }),
        Ok(_) | Err(_) => stored.clone(),
    }
}

fn to_bytes(stored: &Stored) -> Bytes {
    serde_json::to_vec(stored).expect("invariant: maps of strings are JSON").into()
}

impl Session {
    /// The bytes to store.
    pub fn to_bytes(&self) -> Bytes {
        to_bytes(&self.stored(false))
    }

    /// The bytes to store after a turn that did not run.
    pub fn to_bytes_unseen(&self) -> Bytes {
        to_bytes(&self.stored(self.is_new))
    }

    fn stored(&self, unseen: bool) -> Stored {
        let mut bot_user = self.bot_user.clone();
        bot_user.retain(|key, _| key != LAST_MESSAGE && key != SESSION_ID);
        let (id, dialog) = (self.id.clone(), self.dialog.clone());
        Stored { id, bot_user, dialog, merged: self.merged.clone(), unseen, closed: self.closed }
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

    fn session() -> Session {
        let bot_user = json!({"cart": [1]}).as_object().cloned().unwrap();
        let (id, merged) = (turn(1).to_string(), Vec::new());
        Session { id, is_new: false, bot_user, dialog: None, merged, closed: false }
    }

    fn stored() -> Bytes {
        session().to_bytes()
    }

    #[test]
    fn a_session_goes_on_until_it_is_idle_too_long_or_a_new_one_is_asked_for() {
        let table = [
            (stored(), TIMEOUT, false, false),
            (stored(), TIMEOUT + Duration::from_millis(1), false, true),
            (stored(), Duration::ZERO, true, true),
            (Session { closed: true, ..session() }.to_bytes(), Duration::ZERO, false, true),
            (Bytes::new(), Duration::ZERO, false, true),
            ("garbage".into(), Duration::ZERO, false, true),
        ];
        for (bytes, idle, wants_new, is_new) in table {
            let session = open(&bytes, rules(idle, wants_new));
            assert_eq!(session.is_new, is_new, "{idle:?} {wants_new}");
            assert_eq!(session.bot_user.is_empty(), is_new);
            assert_eq!(session.id, turn(if is_new { 2 } else { 1 }).to_string());
        }
    }

    #[test]
    fn texts_that_wait_outlive_a_session_and_go_with_a_turn_that_is_given_up() {
        let merged = vec!["a".to_owned(), "b".to_owned()];
        let kept = Session { merged: merged.clone(), ..session() }.to_bytes();
        for (idle, is_new) in [(Duration::ZERO, false), (TIMEOUT * 2, true)] {
            let opened = open(&kept, rules(idle, false));
            assert_eq!((opened.is_new, &opened.merged), (is_new, &merged));
        }
        assert_eq!(without_texts(&kept), stored());
        for other in [stored(), Bytes::new(), "garbage".into()] {
            assert_eq!(without_texts(&other), other);
        }
    }

    #[test]
    fn a_session_that_began_with_a_turn_that_did_not_run_is_new_to_the_next() {
        for is_new in [true, false] {
            let unseen = Session { is_new, ..session() }.to_bytes_unseen();
            let opened = open(&unseen, rules(Duration::ZERO, false));
            assert_eq!(opened.is_new, is_new);
            assert!(!open(&opened.to_bytes(), rules(Duration::ZERO, false)).is_new);
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

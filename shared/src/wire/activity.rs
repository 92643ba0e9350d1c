//! What a bot says by calls of its own, on its way to the process that runs its turn: the ticket in the URL
//! that the bot is told to call, and the message that carries a call over the broker (`docs/adr/0028`).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::envelope::{self, Keys, Kind};
use super::jobs::DecodeError;
use crate::domain::ids::{ClientId, TurnId};

/// Lets whoever holds it speak in one run of one turn, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The reply address of the process that runs the turn.
    pub to: String,
    turn: Uuid,
    /// Chance: a turn may be run twice, and by two bots at once.
    pub run: u64,
    /// By the wall clock of who made it, in milliseconds.
    pub until_unix_ms: u64,
    /// Whose turn it is, where the run has ended when the turn is settled. A shadow runs after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
}

impl Ticket {
    /// `client`: see [`Self::settled_by`].
    pub fn new(
        to: String,
        (turn, client): (TurnId, Option<&ClientId>),
        run: u64,
        until_unix_ms: u64,
    ) -> Self {
        let client = client.map(ToString::to_string);
        Self { to, turn: turn.uuid(), run, until_unix_ms, client }
    }

    /// The turn by whose row one sees that the run is over; `None` for a run that goes on after it.
    pub fn settled_by(&self) -> Option<(ClientId, TurnId)> {
        self.client.as_deref().map(|client| (client.into(), self.turn()))
    }

    pub const fn turn(&self) -> TurnId {
        TurnId::new(self.turn)
    }

    /// As a part of a URL's path.
    pub fn seal(&self, keys: &Keys) -> String {
        let body = serde_json::to_vec(self).expect("invariant: text and numbers are JSON");
        BASE64_URL_SAFE_NO_PAD.encode(keys.seal(Kind::Ticket, &body))
    }

    /// `None` for a ticket of others and for one that has expired: whoever shows it learns no more.
    pub fn open(keys: &Keys, text: &str, now_unix_ms: u64) -> Option<Self> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let body = keys.open(Kind::Ticket, &sealed.into()).ok()?;
        let ticket: Self = serde_json::from_slice(&body).ok()?;
        (now_unix_ms < ticket.until_unix_ms).then_some(ticket)
    }
}

/// One call of a bot.
#[derive(Clone, Debug)]
pub struct Activity {
    pub turn: TurnId,
    pub run: u64,
    /// The activity's id: what the bot is told when it sends one, and names when it changes that.
    pub id: Uuid,
    pub change: Change,
}

/// What becomes of an activity. The text is the bot's, and JSON.
#[derive(Clone, Debug)]
pub enum Change {
    Sent(Box<RawValue>),
    Updated(Box<RawValue>),
    Deleted,
}

#[derive(Serialize, Deserialize)]
struct ActivityBody {
    turn: Uuid,
    run: u64,
    id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<Box<RawValue>>,
}

impl Activity {
    pub fn seal(self, keys: &Keys) -> Bytes {
        let (sent, updated) = match self.change {
            Change::Sent(activity) => (Some(activity), None),
            Change::Updated(activity) => (None, Some(activity)),
            Change::Deleted => (None, None),
        };
        let (turn, run, id) = (self.turn.uuid(), self.run, self.id);
        let body = ActivityBody { turn, run, id, sent, updated };
        let body = serde_json::to_vec(&body).expect("invariant: JSON in JSON is JSON");
        keys.seal(Kind::Activity, &body)
    }

    pub fn open(keys: &Keys, sealed: &Bytes) -> Result<Self, DecodeError> {
        let body = keys.open(Kind::Activity, sealed)?;
        let ActivityBody { turn, run, id, sent, updated } = serde_json::from_slice(&body)?;
        let change = match (sent, updated) {
            (Some(activity), _) => Change::Sent(activity),
            (None, Some(activity)) => Change::Updated(activity),
            (None, None) => Change::Deleted,
        };
        Ok(Self { turn: TurnId::new(turn), run, id, change })
    }

    /// Whether a body of the broker says that it is one, which is not proved yet.
    pub fn is(sealed: &Bytes) -> bool {
        envelope::says(sealed, Kind::Activity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn keys(seeds: &[u8]) -> Keys {
        Keys::new(&seeds.iter().map(|seed| vec![*seed; 32]).collect::<Vec<_>>()).unwrap()
    }

    fn turn(number: u128) -> TurnId {
        TurnId::new(Uuid::from_u128(number))
    }

    fn ticket(number: u128) -> Ticket {
        let to = "switchhook.replies.p.n".to_owned();
        Ticket::new(to, (turn(number), Some(&"cs-1".into())), 7, NOW + 1)
    }

    #[test]
    fn a_ticket_comes_back_as_it_went_until_it_expires_and_with_the_previous_key() {
        let text = ticket(5).seal(&keys(&[1]));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(Ticket::open(&keys(&[1]), &text, NOW), Some(ticket(5)));
        assert_eq!(Ticket::open(&keys(&[2, 1]), &text, NOW), Some(ticket(5)));
        assert_eq!(Ticket::open(&keys(&[1]), &text, NOW + 1), None);
        assert_eq!(ticket(5).settled_by(), Some(("cs-1".into(), turn(5))));
    }

    #[test]
    fn a_ticket_of_the_release_before_says_nothing_of_the_runs_end() {
        let body = br#"{"to":"t","turn":"00000000-0000-0000-0000-000000000005","run":7,"until_unix_ms":1000001}"#;
        let text = BASE64_URL_SAFE_NO_PAD.encode(keys(&[1]).seal(Kind::Ticket, body));
        let ticket = Ticket::open(&keys(&[1]), &text, NOW).unwrap();
        assert_eq!((ticket.turn(), ticket.settled_by()), (turn(5), None));
        assert_eq!(ticket.seal(&keys(&[1])).len(), text.len());
    }

    #[test]
    fn a_ticket_of_another_key_or_for_another_turn_opens_nothing() {
        let keys = keys(&[1]);
        let (own, other) = (ticket(5).seal(&keys), ticket(6).seal(&keys));
        assert_eq!(Ticket::open(&self::keys(&[2]), &own, NOW), None);
        // The seal of one on the words of the other.
        let [own, other] = [own, other].map(|text| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap());
        let forged = [&own[..35], &other[35..]].concat();
        assert_eq!(Ticket::open(&keys, &BASE64_URL_SAFE_NO_PAD.encode(forged), NOW), None);
        // What is sealed for something else is none.
        let body = &own[35..];
        let session = BASE64_URL_SAFE_NO_PAD.encode(keys.seal(Kind::Session, body));
        assert_eq!(Ticket::open(&keys, &session, NOW), None);
        assert_eq!(Ticket::open(&keys, "", NOW), None);
        assert_eq!(Ticket::open(&keys, "no ticket", NOW), None);
    }

    #[test]
    fn every_forged_character_of_a_ticket_is_found() {
        let text = ticket(5).seal(&keys(&[1]));
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(Ticket::open(&keys(&[1]), &forged, NOW), None, "{at}");
        }
    }

    #[test]
    fn a_call_comes_back_as_it_went_byte_for_byte() {
        let text = r#"{"type": "message",   "text":"a", "n":1.00}"#;
        let raw = || RawValue::from_string(text.to_owned()).unwrap();
        for change in [Change::Sent(raw()), Change::Updated(raw()), Change::Deleted] {
            let expected = format!("{change:?}");
            let call = Activity { turn: turn(5), run: 7, id: Uuid::from_u128(3), change };
            let sealed = call.seal(&keys(&[1]));
            assert!(Activity::is(&sealed));
            let opened = Activity::open(&keys(&[1]), &sealed).unwrap();
            assert_eq!((opened.turn, opened.run, opened.id), (turn(5), 7, Uuid::from_u128(3)));
            assert_eq!(format!("{:?}", opened.change), expected);
            assert!(Activity::open(&keys(&[2]), &sealed).is_err());
        }
        assert!(!Activity::is(&keys(&[1]).seal(Kind::Replies, b"[]")));
        assert!(!Activity::is(&Bytes::new()));
    }
}

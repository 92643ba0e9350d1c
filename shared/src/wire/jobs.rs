//! The bodies inside the envelopes. Unknown fields are ignored, so that a newer release's jobs can be
//! read by an older one as long as the envelope's version is the same.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::envelope::{Keys, Kind, OpenError};
use crate::domain::delivery::{Delivery, Place};
use crate::domain::ids::{ConversationId, DeliveryId, TurnId};
use crate::domain::turn::{Mode, Turn};

/// Why a body is no job.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Envelope(#[from] OpenError),
    #[error("the body cannot be read: {0}")]
    Body(#[from] serde_json::Error),
}

/// A turn on its way to a dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnJob {
    pub turn: Turn,
    /// Where a caller waits for the answer. It belongs to the job, not to the turn: a repeat of the
    /// same turn has its own.
    pub reply_to: Option<String>,
    pub traceparent: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct TurnBody<'a> {
    turn: Uuid,
    #[serde(borrow)]
    client: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    channel: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    bot: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    user: std::borrow::Cow<'a, str>,
    is_async: bool,
    new_session: bool,
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

impl TurnJob {
    /// Fails only when the payload is no JSON, which admission has ruled out.
    pub fn seal(&self, keys: &Keys) -> Result<Bytes, serde_json::Error> {
        let turn = &self.turn;
        let body = TurnBody {
            turn: turn.id.uuid(),
            client: turn.client.as_str().into(),
            channel: turn.channel.as_str().into(),
            bot: turn.bot.as_str().into(),
            user: turn.user.as_str().into(),
            is_async: turn.mode == Mode::Async,
            new_session: turn.new_session,
            text: turn.text.as_str().into(),
            payload: serde_json::from_str(&turn.payload)?,
            reply_to: self.reply_to.clone(),
            traceparent: self.traceparent.clone(),
        };
        Ok(keys.seal(Kind::Turn, &serde_json::to_vec(&body)?))
    }

    pub fn open(keys: &Keys, sealed: &Bytes) -> Result<Self, DecodeError> {
        let payload = keys.open(Kind::Turn, sealed)?;
        let body: TurnBody<'_> = serde_json::from_slice(&payload)?;
        let turn = Turn {
            id: TurnId::new(body.turn),
            client: body.client.as_ref().into(),
            channel: body.channel.as_ref().into(),
            bot: body.bot.as_ref().into(),
            user: body.user.as_ref().into(),
            mode: if body.is_async { Mode::Async } else { Mode::Sync },
            new_session: body.new_session,
            text: body.text.into_owned(),
            payload: body.payload.get().to_owned(),
        };
        Ok(Self { turn, reply_to: body.reply_to, traceparent: body.traceparent })
    }
}

/// Rings for a conversation's lowest unsettled delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryJob {
    /// The delivery that the bell was rung for. A fresh one, rung by the dispatcher that wrote the row,
    /// carries the whole of it; the sweep's only names its place.
    pub place: Place,
    pub channel: String,
    pub fresh: Option<Fresh>,
    pub traceparent: Option<String>,
}

/// What the writer of a row knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub delivery: Delivery,
    /// The dispatcher's wall clock when it rang, in milliseconds.
    pub rung_unix_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct DeliveryBody {
    conversation: Uuid,
    number: i64,
    channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fresh: Option<FreshBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct FreshBody {
    turn: Uuid,
    index: u16,
    /// The POST's body: always text, for it is JSON.
    body: String,
    rung_unix_ms: u64,
}

impl DeliveryJob {
    pub fn seal(&self, keys: &Keys) -> Result<Bytes, serde_json::Error> {
        let fresh = self.fresh.as_ref().map(|fresh| FreshBody {
            turn: fresh.delivery.id.turn.uuid(),
            index: fresh.delivery.id.index,
            body: String::from_utf8_lossy(&fresh.delivery.body).into_owned(),
            rung_unix_ms: fresh.rung_unix_ms,
        });
        let body = DeliveryBody {
            conversation: self.place.conversation.uuid(),
            number: self.place.number,
            channel: self.channel.clone(),
            fresh,
            traceparent: self.traceparent.clone(),
        };
        Ok(keys.seal(Kind::Delivery, &serde_json::to_vec(&body)?))
    }

    pub fn open(keys: &Keys, sealed: &Bytes) -> Result<Self, DecodeError> {
        let payload = keys.open(Kind::Delivery, sealed)?;
        let body: DeliveryBody = serde_json::from_slice(&payload)?;
        let place =
            Place { conversation: ConversationId::new(body.conversation), number: body.number };
        let fresh = body.fresh.map(|fresh| Fresh {
            delivery: Delivery {
                place,
                id: DeliveryId { turn: TurnId::new(fresh.turn), index: fresh.index },
                channel: body.channel.as_str().into(),
                body: fresh.body.into(),
                attempt: 0,
                failures: 0,
                deferrals: 0,
                redriven: false,
            },
            rung_unix_ms: fresh.rung_unix_ms,
        });
        Ok(Self { place, channel: body.channel, fresh, traceparent: body.traceparent })
    }
}

/// Answers on their way to the ingress where callers wait: those that were ready at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies(pub Vec<Reply>);

/// A turn's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub turn: TurnId,
    /// The body that the caller gets.
    pub answer: Bytes,
    /// `None` when no bot ran for it now.
    pub spent: Option<Spent>,
}

/// Where a turn's time in a dispatcher went, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Behind earlier turns of its own conversation, and in its bot.
    pub own: Duration,
    /// Waiting until its bot had room for it.
    pub waited: Duration,
}

#[derive(Serialize, Deserialize)]
struct ReplyBody {
    turn: Uuid,
    body: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spent_ms: Option<(u32, u32)>,
}

impl Reply {
    fn to_body(&self) -> Result<ReplyBody, serde_json::Error> {
        let body = RawValue::from_string(String::from_utf8_lossy(&self.answer).into_owned())?;
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let spent_ms = self.spent.map(|spent| (ms(spent.own), ms(spent.waited)));
        Ok(ReplyBody { turn: self.turn.uuid(), body, spent_ms })
    }
}

impl From<ReplyBody> for Reply {
    fn from(reply: ReplyBody) -> Self {
        let time = |ms: u32| Duration::from_millis(ms.into());
        Self {
            turn: TurnId::new(reply.turn),
            answer: Bytes::from(String::from(Box::<str>::from(reply.body))),
            spent: reply
                .spent_ms
                .map(|(own, waited)| Spent { own: time(own), waited: time(waited) }),
        }
    }
}

impl Replies {
    /// Fails only when a stored answer is no JSON.
    pub fn seal(&self, keys: &Keys) -> Result<Bytes, serde_json::Error> {
        let bodies = self.0.iter().map(Reply::to_body).collect::<Result<Vec<_>, _>>()?;
        Ok(keys.seal(Kind::Replies, &serde_json::to_vec(&bodies)?))
    }

    pub fn open(keys: &Keys, sealed: &Bytes) -> Result<Self, DecodeError> {
        let payload = keys.open(Kind::Replies, sealed)?;
        let bodies: Vec<ReplyBody> = serde_json::from_slice(&payload)?;
        Ok(Self(bodies.into_iter().map(Reply::from).collect()))
    }
}

/// What processes tell each other on `control`. An unknown kind is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Announcement {
    /// The registry has changed: read it again.
    RegistryChanged,
    /// A worker is alive; partitions are spread over those that are.
    Alive { process: Uuid, room: String },
    /// A worker is going: it no longer counts.
    Leaving { process: Uuid, room: String },
    /// This bot's turns wait too long in a dispatcher (or no longer do).
    Saturated { process: Uuid, bot: String, saturated: bool },
    #[serde(other)]
    Unknown,
}

impl Announcement {
    pub fn seal(&self, keys: &Keys) -> Result<Bytes, serde_json::Error> {
        Ok(keys.seal(Kind::Announcement, &serde_json::to_vec(self)?))
    }

    pub fn open(keys: &Keys, sealed: &Bytes) -> Result<Self, DecodeError> {
        Ok(serde_json::from_slice(&keys.open(Kind::Announcement, sealed)?)?)
    }
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;

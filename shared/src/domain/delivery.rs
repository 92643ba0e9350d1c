//! A delivery: the duty to bring one message of a turn to one endpoint.

use std::fmt;

use super::ids::{ChannelId, ConversationId, DeliveryId};

/// Where a delivery stands in its conversation. Numbers are dense from the conversation's birth.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Place {
    pub conversation: ConversationId,
    pub number: i64,
}

/// An unsettled delivery as its row tells it. The row is the truth; a job is only a doorbell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub place: Place,
    pub id: DeliveryId,
    pub channel: ChannelId,
    /// The POST's body, the same bytes on every attempt.
    pub body: bytes::Bytes,
    /// Attempts begun so far. Attempt numbers never restart; an outcome is written only where the
    /// row still shows the attempt's number.
    pub attempt: u32,
    /// Recorded failures since the schedule (re)started: the only thing that the schedule counts.
    pub failures: u32,
    /// How often a receiver has moved the time by `Retry-After` without using up an attempt.
    pub deferrals: u32,
    /// Whether an operator sent it again after it was parked.
    pub redriven: bool,
}

/// How a delivery ended. Stored as its number: never renumber.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Settled {
    Delivered = 1,
    Parked = 2,
}

/// Why a delivery was parked. Stored as its number: never renumber.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParkReason {
    /// Every attempt of the schedule failed.
    Exhausted = 1,
    /// The receiver answered 410 Gone: the endpoint is disabled.
    Gone = 2,
    /// It stood behind a parked delivery of its conversation.
    Behind = 3,
    /// Its endpoint was already disabled when its turn came.
    Disabled = 4,
}

impl ParkReason {
    pub const ALL: [Self; 4] = [Self::Exhausted, Self::Gone, Self::Behind, Self::Disabled];

    pub const fn code(self) -> i16 {
        self as i16
    }
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Gone => "gone",
            Self::Behind => "behind",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

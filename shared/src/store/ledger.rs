//! What operators look at: turns as they ended, deliveries, attempts. Nothing here is on the path of a turn. A
//! list looks at a bounded number of rows, found by an index, and says where to go on.

use std::future::Future;

use bytes::Bytes;

use super::StoreError;
use super::tally::{Tally, TallyAsk};
use crate::domain::delivery::{ParkReason, Place};
use crate::domain::ids::{ChannelId, ClientId, ConversationId, DeliveryId, TurnId};
use crate::domain::outcome::Outcome;

/// The most rows that one page of a list looks at.
pub const SCAN: u32 = 5_000;
/// The most endpoints that a page of what waits looks at.
pub const ENDPOINTS: u32 = 1_000;
/// The most deliveries of one turn that are shown; a turn says far less.
pub const OF_TURN: u32 = 200;

/// Which turns are asked for, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnsAsk {
    pub conversation: Option<ConversationId>,
    /// Not looked at beside a conversation, which has one.
    pub channel: Option<ChannelId>,
    pub outcome: Option<Outcome>,
    /// Only those with smaller ids.
    pub before: Option<TurnId>,
    pub limit: u32,
}

/// A turn's row, without what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerTurn {
    pub turn: TurnId,
    pub conversation: ConversationId,
    /// `from.id`; `None` once the conversation is cleaned or erased.
    pub user: Option<String>,
    pub client: ClientId,
    pub channel: ChannelId,
    pub outcome: Outcome,
    pub detail: String,
    pub queued_ms: u64,
    pub bot_ms: u64,
    /// Milliseconds since the Unix epoch, by the database.
    pub committed_at_ms: u64,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<T, C> {
    pub rows: Vec<T>,
    /// Where to go on, when there may be more: after a page that found little, too.
    pub next: Option<C>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Delivered,
    Parked,
}

impl<T, C> Leaf<T, C> {
    /// Of rows that were read up to one more than the limit, in order.
    pub(super) fn of(mut rows: Vec<T>, limit: usize, place: impl Fn(&T) -> C) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(place);
        Self { rows, next }
    }
}

impl Standing {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Parked];

    /// As the row has it: never renumber.
    pub const fn code(self) -> i16 {
        match self {
            Self::Waiting => 0,
            Self::Delivered => 1,
            Self::Parked => 2,
        }
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.code() == code)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == text)
    }
}

/// Which deliveries are asked for. Waiting ones: the first of each conversation, the longest due first, of at
/// most [`ENDPOINTS`] channels.
/// Settled ones: the last settled first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveriesAsk {
    pub standing: Standing,
    pub channel: Option<ChannelId>,
    /// Goes on behind it; waiting ones have no such place.
    pub after: Option<Settled>,
    pub limit: u32,
}

/// A place in the list of settled deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Microseconds since the Unix epoch.
    pub at_us: i64,
    pub place: Place,
}

/// A delivery's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerDelivery {
    pub place: Place,
    pub id: DeliveryId,
    pub channel: ChannelId,
    /// `from.id` of the conversation.
    pub user: Option<String>,
    pub standing: Standing,
    pub reason: Option<ParkReason>,
    pub attempt: u32,
    pub failures: u32,
    pub redriven: bool,
    /// Milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// Microseconds since the Unix epoch; 0 when it is not settled.
    pub settled_us: i64,
    pub body: Bytes,
}

/// One POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAttempt {
    pub id: DeliveryId,
    pub attempt: u32,
    /// 0 when there was no response.
    pub status: u16,
    pub error: Option<String>,
    pub took_ms: u64,
    /// The head of the response's body.
    pub response: Bytes,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// A place among a turn's attempts: by message, then by attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    pub index: u16,
    pub attempt: u32,
}

/// All that is known of a turn but the attempts at its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeTurn {
    pub turn: LedgerTurn,
    /// The stored answer; empty once erased.
    pub reply: Bytes,
    pub deliveries: Vec<LedgerDelivery>,
}

impl LedgerAttempt {
    pub fn place(&self) -> Tried {
        Tried { index: self.id.index, attempt: self.attempt }
    }
}

/// See the module's documentation.
pub trait LedgerStore: Clone + Send + Sync + 'static {
    fn turns(
        &self,
        ask: &TurnsAsk,
    ) -> impl Future<Output = Result<Leaf<LedgerTurn, TurnId>, StoreError>> + Send {
        let _ = ask;
        async { Err(none()) }
    }

    fn turn(
        &self,
        turn: TurnId,
    ) -> impl Future<Output = Result<Option<WholeTurn>, StoreError>> + Send {
        let _ = turn;
        async { Err(none()) }
    }

    /// Attempts at a turn's deliveries, those behind `after`: each may have a long response.
    fn attempts(
        &self,
        turn: TurnId,
        after: Option<Tried>,
        limit: u32,
    ) -> impl Future<Output = Result<Leaf<LedgerAttempt, Tried>, StoreError>> + Send {
        let _ = (turn, after, limit);
        async { Err(none()) }
    }

    fn deliveries(
        &self,
        ask: &DeliveriesAsk,
    ) -> impl Future<Output = Result<Leaf<LedgerDelivery, Settled>, StoreError>> + Send {
        let _ = ask;
        async { Err(none()) }
    }

    /// Figures of a channel over time.
    fn tally(&self, ask: &TallyAsk) -> impl Future<Output = Result<Tally, StoreError>> + Send {
        let _ = ask;
        async { Err(none()) }
    }
}

/// Stores that are there for other things (a simulation's) keep no ledger for people.
fn none() -> StoreError {
    StoreError::Refused("this store keeps no ledger".to_owned())
}

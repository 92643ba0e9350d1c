//! Settled deliveries that an operator has sent again: one, or those of a channel that were settled in a range
//! of time.
//!
//! A replay is a row, with an item for each delivery, chosen in the transaction that makes it. A step takes one
//! conversation: in one transaction its items go, and its deliveries are appended behind what is there, in
//! their old order. What is appended has another number, and numbers are never given twice: whoever dies in
//! between, or works at the same replay, one replay sends no delivery again twice and forgets none.

use std::future::Future;

use uuid::Uuid;

use super::StoreError;
use super::ledger::Standing;
use crate::domain::ids::{ChannelId, DeliveryId};
use crate::registry::control::Audit;

/// The most deliveries of one replay.
pub const MOST: u32 = 10_000;
/// The most settled deliveries that a range may hold, whichever of them are meant.
pub const SEEN: u32 = 100_000;

/// What is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    One(DeliveryId),
    Range(Range),
}

/// Deliveries of a channel by when they were settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub channel: ChannelId,
    /// Milliseconds since the Unix epoch, by the database's clock.
    pub from_ms: i64,
    /// Not included.
    pub to_ms: i64,
    /// Delivered or parked ones; `None`: both.
    pub standing: Option<Standing>,
}

impl Range {
    /// The settled standings that are meant.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        let wanted = self.standing;
        [Standing::Delivered, Standing::Parked]
            .into_iter()
            .filter(move |one| wanted.is_none_or(|wanted| wanted == *one))
    }
}

/// A replay that is asked for.
#[derive(Clone, Debug)]
pub struct ReplayDraft {
    /// A UUID of version 7: newer replays have greater ids.
    pub id: Uuid,
    pub chosen: Chosen,
    /// What makes a repeat the same request: a key, and a fingerprint of what was asked.
    pub once: Option<(String, String)>,
    /// Written with it; its actor is the replay's.
    pub audit: Audit,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is there: made now, or before with the same key.
    Yes(Replay),
    /// The key was used for something else.
    Reused,
    /// Nothing settled is like this.
    Nothing,
    /// More than [`MOST`].
    TooMany,
    /// More than [`SEEN`] to look at.
    TooWide,
}

/// How many a range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// At most [`MOST`].
    Exactly(u32),
    TooMany,
    TooWide,
}

/// Where a replay stands. Stored as its number: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    Running = 0,
    Done = 1,
    Cancelled = 2,
}

impl ReplayState {
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    pub const fn code(self) -> i16 {
        self as i16
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A replay's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub id: Uuid,
    pub channel: ChannelId,
    pub chosen: Chosen,
    /// Who asked, as the audit log names them.
    pub actor: String,
    pub state: ReplayState,
    /// Deliveries that were chosen.
    pub total: u64,
    /// Those of them that were appended again.
    pub sent: u64,
    /// Those that were not settled any more when their turn came: redriven, erased or cleaned meanwhile.
    pub passed: u64,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    pub ended_ms: Option<u64>,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// No replay is running, or others work at all of them.
    Idle,
    /// One conversation's deliveries were appended.
    Appended(u64),
    /// Nothing was left of a replay: it is done now.
    Ended(Replay),
}

/// See the module's documentation.
pub trait ReplayStore: Clone + Send + Sync + 'static {
    /// How many deliveries a range holds now.
    fn count_settled(
        &self,
        range: &Range,
    ) -> impl Future<Output = Result<Counted, StoreError>> + Send {
        let _ = range;
        async { Err(none()) }
    }

    /// Makes a replay, with all that it is to send again and its entry in the audit log, or nothing.
    fn begin_replay(
        &self,
        draft: &ReplayDraft,
    ) -> impl Future<Output = Result<Begun, StoreError>> + Send {
        let _ = draft;
        async { Err(none()) }
    }

    fn replay(&self, id: Uuid) -> impl Future<Output = Result<Option<Replay>, StoreError>> + Send {
        let _ = id;
        async { Err(none()) }
    }

    /// Replays, newest first, those with smaller ids than `before`.
    fn replays(
        &self,
        before: Option<Uuid>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Replay>, StoreError>> + Send {
        let _ = (before, limit);
        async { Err(none()) }
    }

    /// Ends a running replay; what it has appended stays. The replay as it is then, `None` when there is none.
    /// `audit` is written when it was running.
    fn cancel_replay(
        &self,
        id: Uuid,
        audit: &Audit,
    ) -> impl Future<Output = Result<Option<Replay>, StoreError>> + Send {
        let _ = (id, audit);
        async { Err(none()) }
    }

    /// Sends one conversation's deliveries of the oldest replay again.
    fn step_replay(&self) -> impl Future<Output = Result<Stepped, StoreError>> + Send {
        async { Err(none()) }
    }
}

/// Stores that are there for other things (a simulation's) send nothing again.
fn none() -> StoreError {
    StoreError::Refused("this store has no replays".to_owned())
}

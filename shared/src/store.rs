//! The store's contract, split by what a room needs. Two implementations, one conformance suite
//! (`tests/it/store/`).
//!
//! * Times in rows are the database's own. Processes hand over durations and get remainders back.
//! * A conversation's `version` is the fence: whatever writes a turn's row moves it by compare and
//!   swap, parking included.
//! * "Settled" only moves forward.

pub mod ledger;
pub mod postgres;
pub mod replay;
pub mod sqlite;
pub mod tally;
mod text;
mod upkeep;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::delivery::{Delivery, ParkReason, Place};
use crate::domain::ids::{ChannelId, ClientId, ConversationId, ConversationKey, TurnId};
use crate::domain::outcome::Outcome;
use crate::domain::wider::{Change, Kept, Scope};
use crate::topology::Queue;

/// Why a store call failed, by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection, shutting down, a serialization failure, a deadlock or a time-out: wait and
    /// try again. For a write: its outcome is unknown.
    #[error("the database is away: {0}")]
    Away(String),
    /// The database refuses this very data; it will again.
    #[error("the database refuses the data: {0}")]
    Refused(String),
}

/// Why a turn was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The version has moved or the turn is in the inbox already. Never a verdict: load again.
    #[error("the conversation has moved on")]
    Missed,
    /// It may have been committed: load again, when the database is back.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
    /// The database refuses this member's data, whatever its neighbours do.
    #[error("the database refuses the data: {0}")]
    Refused(String),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(why) => Self::Unknown(why),
            StoreError::Refused(why) => Self::Refused(why),
        }
    }
}

/// A turn that has its row: the inbox says it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledTurn {
    pub outcome: Outcome,
    /// The stored answer, the same bytes for ever: a V1 body (protocol §4.1). Empty once erased.
    pub reply: Bytes,
}

/// A conversation as its row tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    /// Born as the database's time in microseconds, so that no life repeats another's numbers.
    pub version: i64,
    pub session: Session,
    /// Age of the session's last use, by the database's clock.
    pub idle: Duration,
}

/// The state of one bounded run of a conversation: one JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Session {
    /// Empty means `{}`.
    pub state: Bytes,
}

/// What a bot's turn leaves behind, written once, all or nothing.
#[derive(Clone, Debug)]
pub struct TurnCommit {
    pub conversation: ConversationKey,
    /// The version that the bot's run was based on.
    pub version: i64,
    pub session: Session,
    pub record: TurnRecord,
    /// Bodies of the POSTs to make, in order; numbered densely from the conversation's next number.
    pub deliveries: Vec<Bytes>,
    /// What it changes beyond its conversation, in the order in which it did. Applied with the rest or not at
    /// all.
    pub wider: Vec<Change>,
}

/// One row that is inbox, ledger and stored answer at once.
#[derive(Clone, Debug)]
pub struct TurnRecord {
    pub turn: TurnId,
    pub client: ClientId,
    pub channel: ChannelId,
    pub outcome: Outcome,
    /// Why, for an operator; empty when all went well. At most 1,000 bytes are kept.
    pub detail: String,
    pub reply: Bytes,
    /// For a parked turn: the sealed job, so that it can be looked at and redriven.
    pub parked: Option<Bytes>,
    /// From the turn's id to the start of its run, in milliseconds (two clocks: an indication).
    pub queued_ms: u32,
    /// How long the bot took, in milliseconds.
    pub bot_ms: u32,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The conversation's new version.
    pub version: i64,
    /// The number of the first delivery, when there were any.
    pub first_delivery: i64,
    /// Whether the first delivery is the conversation's lowest unsettled one.
    pub head: bool,
}

/// What the marks of a redelivered turn say, after its own was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deaths {
    /// Runs whose process could not remove its mark.
    pub all: u32,
    /// Those of them that ran alone in their process.
    pub solo: u32,
}

/// What a dispatcher needs.
pub trait Turns: Clone + Send + Sync + 'static {
    /// Reads a conversation, creating it when it is new, together with the turn's row when the inbox
    /// has one.
    fn load(
        &self,
        key: &ConversationKey,
        turn: TurnId,
    ) -> impl Future<Output = Result<(Conversation, Option<SettledTurn>), StoreError>> + Send;

    /// Commits one turn; the engine groups what is ready when it is free, nobody waits for company.
    fn commit(
        &self,
        commit: TurnCommit,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send;

    /// What is kept in these scopes now.
    fn wider(&self, scopes: &[Scope])
    -> impl Future<Output = Result<Vec<Kept>, StoreError>> + Send;

    /// The unsettled deliveries of a turn, lowest first, for ringing them again.
    fn unsettled(
        &self,
        conversation: ConversationId,
        turn: TurnId,
    ) -> impl Future<Output = Result<Vec<Delivery>, StoreError>> + Send;

    /// Marks a redelivered turn as running in this process, and counts the deaths before. Set before
    /// the run; the mark of a process is replaced by its own later one.
    fn mark(
        &self,
        turn: TurnId,
        process: uuid::Uuid,
        solo: bool,
    ) -> impl Future<Output = Result<Deaths, StoreError>> + Send;

    /// Removes this process's mark: its run has ended, however it ended.
    fn unmark(
        &self,
        turn: TurnId,
        process: uuid::Uuid,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps a job that cannot be decoded, or that the broker dead-lettered, for an operator.
    fn keep_stray(
        &self,
        queue: Queue,
        body: Bytes,
        reason: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The answer to an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// First use: this turn id is the key's for 24 h.
    New,
    /// Used before, with the same body: the turn id of the first use.
    Repeat(TurnId),
    /// Used before, with another body.
    Mismatch,
}

/// What ingress needs.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Claims a key of a channel for a turn, in one statement that also replaces an expired row.
    fn use_key(
        &self,
        channel: &ChannelId,
        key: &str,
        fingerprint: [u8; 32],
        turn: TurnId,
    ) -> impl Future<Output = Result<KeyUse, StoreError>> + Send;

    /// The settled ones among these turns of this app, at most 1,000 of them asked for at once.
    /// Another app's turn is as if it had no row; so is one committed more than 24 h ago.
    fn outcomes(
        &self,
        turns: &[(ClientId, TurnId)],
    ) -> impl Future<Output = Result<Vec<(TurnId, SettledTurn)>, StoreError>> + Send;

    /// Answers within a second whether the database works.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Proof that an attempt may be made: the row shows this attempt number now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// With `attempt` already counted up.
    pub delivery: Delivery,
}

/// What the store says to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    Yes(Claim),
    /// Settled, not due, claimed by another, or its attempt number has moved.
    No,
    /// The endpoint is disabled: park it (`Disabled`) without a POST.
    Disabled(Delivery),
}

/// The lowest unsettled delivery of a conversation, as its lane finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowest {
    pub delivery: Delivery,
    /// Time until it is due; zero when it is.
    pub due_in: Duration,
    /// Time until another's claim on it ends; zero when there is none.
    pub claimed_for: Duration,
    /// Whether its endpoint is disabled.
    pub disabled: bool,
    /// The conversation's hash, for its partition.
    pub hash: u64,
}

/// One POST, for the attempt log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    pub attempt: u32,
    /// 0 when there was no response.
    pub status: u16,
    /// What went wrong before or instead of a status; closed words, see `deliverer`.
    pub error: Option<String>,
    pub took_ms: u32,
    /// The head of the response's body, capped.
    pub response: Bytes,
}

/// What is to become of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Failed: try again after this wait. Counts towards the schedule.
    Retry(Duration),
    /// The receiver moved the time (`Retry-After`): no attempt is used up.
    Defer(Duration),
    /// Our own fault (address guard, store): no attempt is used up, shown as ours.
    Ours(Duration),
    /// Given up; the conversation's unsettled deliveries up to now go with it ("behind"). `Gone`
    /// also disables the endpoint.
    Park(ParkReason),
}

/// What a delivery's outcome did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Written. `next` is the conversation's lowest unsettled delivery afterwards.
    Written { next: Option<Lowest> },
    /// The row no longer shows this attempt: another has taken it on. Nothing was written; the lane
    /// forgets what it knows.
    Missed,
}

/// What the sweep found: a doorbell to ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub place: Place,
    /// The conversation's hash, for its partition.
    pub hash: u64,
    pub channel: ChannelId,
    pub turn: TurnId,
}

/// What a deliverer needs. The sweep is every dispatcher's too.
pub trait Deliveries: Clone + Send + Sync + 'static {
    /// The lowest unsettled delivery of a conversation.
    fn lowest(
        &self,
        conversation: ConversationId,
    ) -> impl Future<Output = Result<Option<Lowest>, StoreError>> + Send;

    /// `attempt = attempt + 1, claimed_until = now + lease`, where the row is unsettled and due, shows
    /// `seen_attempt`, and no claim on it is running.
    fn claim(
        &self,
        place: Place,
        seen_attempt: u32,
        lease: Duration,
    ) -> impl Future<Output = Result<Claimed, StoreError>> + Send;

    /// Writes the outcome of an attempt with its log row, conditional on the attempt number: the row
    /// shows `seen_attempt`, which is `record.attempt` after a claim and one less for the unclaimed
    /// first POST. Locks the conversation, moves its head. Repeat it while it is [`StoreError::Away`].
    fn settle(
        &self,
        place: Place,
        seen_attempt: u32,
        record: Option<AttemptRecord>,
        verdict: Verdict,
    ) -> impl Future<Output = Result<Settlement, StoreError>> + Send;

    /// The oldest due heads of one endpoint that nobody has claimed, for permits that came free.
    fn due(
        &self,
        channel: &ChannelId,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Lowest>, StoreError>> + Send;

    /// Takes rows that are due, unclaimed and not hinted at for 30 s: heads only, at most
    /// `per_endpoint` of each endpoint and `limit` in all, oldest due first, none of a disabled
    /// endpoint. `paused` endpoints (open breakers) give one probe each. Sets their hint time.
    fn sweep(
        &self,
        per_endpoint: u32,
        limit: u32,
        paused: &[ChannelId],
    ) -> impl Future<Output = Result<Vec<Hint>, StoreError>> + Send;

    /// How much is due and in nobody's hands, over all endpoints that are not disabled.
    fn backlog(&self) -> impl Future<Output = Result<Backlog, StoreError>> + Send;
}

/// Heads that are due and that nobody has claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Of each endpoint at most [`Backlog::PER_ENDPOINT`] are counted.
    pub due: u64,
    /// How long the oldest of them has been due; zero when there is none.
    pub oldest: Duration,
}

impl Backlog {
    pub const PER_ENDPOINT: u32 = 1_000;
}

/// Everything, for what needs a whole engine.
pub trait Store:
    Turns + Intake + Deliveries + Upkeep + RegistryStore + ControlStore + LedgerStore + ReplayStore
{
}
impl<T> Store for T where
    T: Turns
        + Intake
        + Deliveries
        + Upkeep
        + RegistryStore
        + ControlStore
        + LedgerStore
        + ReplayStore
{
}

pub use crate::registry::RegistryStore;
pub use crate::registry::control::ControlStore;
pub use ledger::LedgerStore;
pub use replay::ReplayStore;
pub use upkeep::{Cleaned, Retention, Upkeep};

//! What the suite needs of an engine besides its doors.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use shared::domain::delivery::ParkReason;
use shared::domain::ids::ConversationId;
use shared::store::Store;
use shared::vault::Vault;

/// No test takes longer, on a busy machine either.
pub(super) const LIMIT: Duration = Duration::from_mins(3);

/// One database of one engine, all of it the test's own.
pub(super) trait Harness: Send + Sync + Sized + 'static {
    type S: Store;

    /// A new, empty database, without a schema as far as the engine allows.
    fn start() -> impl Future<Output = Self> + Send;

    /// The first process's handle.
    fn store(&self) -> Self::S;

    /// Another process's handle, where the engine serves several processes.
    fn other(&self) -> impl Future<Output = Self::S> + Send;

    /// As [`Harness::other`], of a process with other vault keys.
    fn keyed(&self, vault: Vault) -> impl Future<Output = Self::S> + Send;

    /// Lets time pass for the rows: all their times move back by this.
    fn pass(&self, by: Duration) -> impl Future<Output = ()> + Send;

    /// Writes a bot's settings as another release may have.
    fn write_spec(&self, bot: &str, spec: &str) -> impl Future<Output = ()> + Send;

    /// The tables and columns in which these bytes occur, as `table.column`.
    fn traces(&self, needle: &str) -> impl Future<Output = Vec<String>> + Send;

    /// How many rows each table has.
    fn rows(&self) -> impl Future<Output = BTreeMap<String, i64>> + Send;

    /// The parked deliveries of a conversation, in order, with their reasons.
    fn parked(
        &self,
        conversation: ConversationId,
    ) -> impl Future<Output = Vec<(i64, ParkReason)>> + Send;
}

/// What an engine that can be away can do.
pub(super) trait Unreliable: Harness {
    /// Breaks every connection at this moment.
    fn cut(&self) -> impl Future<Output = ()> + Send;

    /// Refuses new connections (and breaks the old), or takes them again.
    fn away(&self, away: bool) -> impl Future<Output = ()> + Send;
}

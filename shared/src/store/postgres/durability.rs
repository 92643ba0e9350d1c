//! What the server's settings promise about a commit, for `doctor` and for benchmarks.

use super::pool::Held;
use crate::store::StoreError;

/// The settings that decide whether what was committed stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    pub version: String,
    /// Of our own connections: at least `on`, whatever the server's default is.
    pub synchronous_commit: String,
    pub fsync: bool,
    pub full_page_writes: bool,
    /// Standbys that stream now.
    pub standbys: u32,
    /// Those among them that a commit waits for. With a standby and none of these, a failover may
    /// lose what was committed.
    pub synchronous_standbys: u32,
}

impl Durability {
    /// Whether a crash of this server loses nothing that was committed.
    pub fn survives_a_crash(&self) -> bool {
        self.fsync
            && self.full_page_writes
            && !["off", "local"].contains(&&*self.synchronous_commit)
    }
}

const READ: &str = "
select current_setting('server_version'), current_setting('synchronous_commit'),
       current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
       (select count(*) from pg_stat_replication where state = 'streaming'),
       (select count(*) from pg_stat_replication
         where state = 'streaming' and sync_state in ('sync', 'quorum'))";

pub(super) async fn read(client: &Held) -> Result<Durability, StoreError> {
    let row = client.query_one(READ, &[]).await?;
    let count = |column: i64| u32::try_from(column).unwrap_or(u32::MAX);
    Ok(Durability {
        version: row.try_get(0)?,
        synchronous_commit: row.try_get(1)?,
        fsync: row.try_get(2)?,
        full_page_writes: row.try_get(3)?,
        standbys: count(row.try_get(4)?),
        synchronous_standbys: count(row.try_get(5)?),
    })
}

//! Retention in bounded rounds, and operations on one user; see [`Upkeep`].

use std::time::Duration;

use rusqlite::{Connection, params};

use super::rows::{self, millis};
use super::wider;
use super::{Sqlite, erase};
use crate::domain::ids::{ChannelId, ConversationId, ConversationKey, UserId};
use crate::registry::ScriptLogic;
use crate::registry::control::AUDIT_KEPT;
use crate::store::{Cleaned, Retention, StoreError, Upkeep};

/// Rows that one round removes from one table, at most: a moment's work for the writer.
const BATCH: u32 = 500;
/// Pages that one round gives back to the file system, at most.
const PAGES: u32 = 256;

/// `?1` is the oldest that is kept, `?2` the batch.
const TURNS: &str = "delete from turn where turn_id in (
    select turn_id from turn where turn_id < ?1 order by turn_id limit ?2)";
const ATTEMPTS: &str = "delete from attempt where (turn_id, idx, attempt) in (
    select turn_id, idx, attempt from attempt where turn_id < ?1 order by turn_id limit ?2)";
const DELIVERED: &str = "delete from delivery where (conversation, number) in (
    select conversation, number from delivery
     where state <> 0 and state = 1 and settled_at < ?1 order by settled_at limit ?2)";
const PARKED: &str = "delete from delivery where (conversation, number) in (
    select conversation, number from delivery
     where state <> 0 and state = 2 and settled_at < ?1 order by settled_at limit ?2)";
const KEYS: &str = "delete from idempotency where (channel_id, key) in (
    select channel_id, key from idempotency where expires_at < ?1 order by expires_at limit ?2)";
const MARKS: &str = "delete from mark where (turn_id, process) in (
    select turn_id, process from mark where at < ?1 limit ?2)";
const STRAYS: &str =
    "delete from stray where id in (select id from stray where at < ?1 order by at limit ?2)";
const ERASURES: &str = "delete from erasure where conversation in (
    select conversation from erasure where erased_at < ?1 order by erased_at limit ?2)";
const RECORDS: &str = "delete from record where (kind, id) in (
    select kind, id from record where expires_at < ?1 order by expires_at limit ?2)";
const WIDER: &str = "delete from wider_context where (scope, key) in (
    select scope, key from wider_context where expires_at < ?1 order by expires_at limit ?2)";
const AUDIT: &str =
    "delete from audit where id in (select id from audit where at < ?1 order by at limit ?2)";
const SCRIPTS: &str = "delete from script_version where (bot_id, version) in (
    select bot_id, version from script_version where replaced_at < ?1 order by replaced_at limit ?2)";
const REPLAYS: &str = "delete from replay where id in (
    select id from replay where ended_at < ?1 order by ended_at limit ?2)";
/// A conversation goes with its deliveries when all of them came home.
const IDLE: &str = "
select id from conversation c
 where c.touched_at < ?1
   and not exists (select 1 from delivery d where d.conversation = c.id and d.state <> 1)
 order by c.touched_at limit ?2";
const ITS_DELIVERIES: &str = "delete from delivery where conversation = ?1";
const CONVERSATION: &str = "delete from conversation where id = ?1";

impl Upkeep for Sqlite {
    /// The schema is brought up to date when the file is opened.
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn clean(&self, retention: Retention) -> Result<Cleaned, StoreError> {
        let now = self.now();
        let before = |kept: Duration| now.saturating_sub(millis(kept));
        let mut cleaned = Cleaned::default();
        let oldest = first_id(before(retention.turns));
        for sql in [TURNS, ATTEMPTS] {
            let rows = self.write(move |c| delete(c, sql, &oldest)).await?;
            cleaned.count(rows);
        }
        let aged = [
            (DELIVERED, before(retention.deliveries)),
            (PARKED, before(retention.parked)),
            (KEYS, now),
            (MARKS, before(retention.turns)),
            (STRAYS, before(retention.parked)),
            (ERASURES, before(retention.turns)),
            (RECORDS, now),
            (WIDER, now),
            (AUDIT, before(AUDIT_KEPT)),
            (SCRIPTS, before(ScriptLogic::KEPT)),
            (REPLAYS, before(retention.parked)),
        ];
        for (sql, oldest) in aged {
            let rows = self.write(move |c| delete(c, sql, &oldest)).await?;
            cleaned.count(rows);
        }
        let oldest = before(retention.conversations);
        let rows = self.write(move |c| conversations(c, oldest)).await?;
        cleaned.count(rows.0);
        cleaned.rows += rows.1;
        self.write(give_back_pages).await?;
        Ok(cleaned)
    }

    async fn erase(&self, channel: &ChannelId, user: &UserId) -> Result<u64, StoreError> {
        let (id, now) = (ConversationKey::new(channel.clone(), user.clone()).id(), self.now());
        let (channel, user) = (channel.clone(), user.clone());
        self.write(move |c| {
            let rows = erase::erase(c, id, now)?;
            Ok(rows + wider::erase(c, channel.as_str(), user.as_str())?)
        })
        .await
    }

    async fn redrive(&self, conversation: ConversationId) -> Result<u64, StoreError> {
        let now = self.now();
        self.write(move |c| erase::redrive(c, conversation, now)).await
    }
}

impl Cleaned {
    fn count(&mut self, rows: usize) {
        self.rows += rows as u64;
        self.more |= rows >= BATCH as usize;
    }
}

/// The smallest id of a turn of this moment.
pub(super) fn first_id(unix_ms: i64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&unix_ms.max(0).to_be_bytes()[2..]);
    id
}

fn delete(
    connection: &Connection,
    sql: &str,
    oldest: &(dyn rusqlite::ToSql + Send + Sync),
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params![oldest, BATCH])
}

/// Conversations removed, and deliveries with them.
fn conversations(connection: &Connection, oldest: i64) -> rusqlite::Result<(usize, u64)> {
    let mut statement = connection.prepare_cached(IDLE)?;
    let ids = statement.query_map(params![oldest, BATCH], |row| row.get(0))?;
    let ids: Vec<rows::Id> = ids.collect::<rusqlite::Result<_>>()?;
    let mut deliveries = 0;
    for rows::Id(id) in &ids {
        let id = id.as_bytes();
        deliveries += connection.prepare_cached(ITS_DELIVERIES)?.execute(params![id])? as u64;
        connection.prepare_cached(CONVERSATION)?.execute(params![id])?;
    }
    Ok((ids.len(), deliveries))
}

fn give_back_pages(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("pragma incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

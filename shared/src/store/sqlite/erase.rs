//! Erasing one user, and putting parked work back.

use rusqlite::{Connection, params};

use super::settle::move_head;
use crate::domain::ids::ConversationId;

/// Numbers of lives before are never given again.
const TOMBSTONE: &str = "
insert into erasure (conversation, erased_at, version, next_delivery)
select ?1, ?2, coalesce(max(c.version), 0), coalesce(max(c.next_delivery), 0)
  from conversation c where c.id = ?1
    on conflict (conversation) do update
   set erased_at = excluded.erased_at, version = max(version, excluded.version),
       next_delivery = max(next_delivery, excluded.next_delivery)";
const ATTEMPTS: &str = "delete from attempt where turn_id in (
    select turn_id from turn where conversation = ?1
    union select turn_id from delivery where conversation = ?1)";
const DELIVERIES: &str = "delete from delivery where conversation = ?1";
/// The rows stay: they are the inbox.
const TURNS: &str =
    "update turn set reply = x'', detail = '', parked = null where conversation = ?1";
const CONVERSATION: &str = "delete from conversation where id = ?1";

/// Returns the number of rows touched.
pub(super) fn erase(
    connection: &Connection,
    conversation: ConversationId,
    now: i64,
) -> rusqlite::Result<u64> {
    let key = conversation.uuid();
    let key = key.as_bytes();
    connection.prepare_cached(TOMBSTONE)?.execute(params![key, now])?;
    let mut rows = 0;
    for sql in [ATTEMPTS, DELIVERIES, TURNS, CONVERSATION] {
        rows += connection.prepare_cached(sql)?.execute(params![key])? as u64;
    }
    Ok(rows)
}

const PARKED: &str =
    "select number from delivery where conversation = ?1 and state = 2 order by number";
const NUMBERS: &str = "
update conversation set next_delivery = next_delivery + ?2 where id = ?1
returning next_delivery - ?2";
/// Attempt numbers go on, the schedule restarts. The new numbers lie above all old ones.
const REDRIVE: &str = "
update delivery
   set number = ?3, state = 0, reason = null, settled_at = null, redriven = 1, failures = 0,
       deferrals = 0, due = ?4, hinted_at = 0
 where conversation = ?1 and number = ?2";
/// Nobody has been told of them: the sweep shall ring at once.
const RING: &str = "update delivery set hinted_at = 0
                     where conversation = ?1 and state = 0 and redriven = 1 and head = 1";

/// Returns the number of deliveries put back.
pub(super) fn redrive(
    connection: &Connection,
    conversation: ConversationId,
    now: i64,
) -> rusqlite::Result<u64> {
    let key = conversation.uuid();
    let key = key.as_bytes();
    let mut statement = connection.prepare_cached(PARKED)?;
    let parked = statement.query_map(params![key], |row| row.get(0))?;
    let parked: Vec<i64> = parked.collect::<rusqlite::Result<_>>()?;
    append(connection, conversation, &parked, now)
}

/// Appends settled deliveries behind what is there, in this order; returns their number.
pub(super) fn append(
    connection: &Connection,
    conversation: ConversationId,
    settled: &[i64],
    now: i64,
) -> rusqlite::Result<u64> {
    if settled.is_empty() {
        return Ok(0);
    }
    let key = conversation.uuid();
    let key = key.as_bytes();
    let count = i64::try_from(settled.len()).unwrap_or(i64::MAX);
    let first: i64 =
        connection.prepare_cached(NUMBERS)?.query_row(params![key, count], |row| row.get(0))?;
    for (number, old) in (first..).zip(settled) {
        connection.prepare_cached(REDRIVE)?.execute(params![key, old, number, now])?;
    }
    move_head(connection, conversation, now)?;
    connection.prepare_cached(RING)?.execute(params![key])?;
    Ok(settled.len() as u64)
}

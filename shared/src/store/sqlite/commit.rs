//! The commit of one turn, a member of the file's write group: compare, swap, insert.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::unix_ms;
use super::wider;
use crate::domain::ids::{ConversationId, TurnId};
use crate::fault::{self, Point};
use crate::store::text::clipped;
use crate::store::{Committed, TurnCommit};

const IN_INBOX: &str = "select exists (select 1 from turn where turn_id = ?1)";
const ERASED: &str =
    "select exists (select 1 from erasure where conversation = ?1 and erased_at >= ?2)";
const MOVE_ON: &str = "
update conversation
   set version = version + 1, next_delivery = next_delivery + ?3, state = ?4, touched_at = ?5
 where id = ?1 and version = ?2
returning version, next_delivery - ?3, hash";
const LEDGER: &str = "
insert into turn (turn_id, conversation, client_id, channel_id, outcome, detail, reply, parked,
                  queued_ms, bot_ms, committed_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const PENDING: &str =
    "select exists (select 1 from delivery where conversation = ?1 and state = 0)";
const DELIVERY: &str = "
insert into delivery (conversation, number, channel_id, turn_id, idx, body, head, due, hinted_at,
                      hash, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?8)";

/// Whether the user of this conversation was erased when this turn existed already.
pub(super) fn erased(
    connection: &Connection,
    conversation: ConversationId,
    turn: TurnId,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(ERASED)?
        .query_row(params![conversation.uuid().as_bytes(), unix_ms(turn)], |row| row.get(0))
}

/// `None`: the version has moved, or the turn is in the inbox.
pub(super) fn commit(
    connection: &Connection,
    commit: &TurnCommit,
    now: i64,
) -> rusqlite::Result<Option<Committed>> {
    let record = &commit.record;
    let (id, turn) = (commit.conversation.id(), record.turn.uuid());
    let turn = turn.as_bytes();
    let known: bool =
        connection.prepare_cached(IN_INBOX)?.query_row(params![turn], |row| row.get(0))?;
    if known || erased(connection, id, record.turn)? {
        return Ok(None);
    }
    let key = id.uuid();
    let key = key.as_bytes();
    let count = i64::try_from(commit.deliveries.len()).unwrap_or(i64::MAX);
    let state: &[u8] = &commit.session.state;
    let moved = connection
        .prepare_cached(MOVE_ON)?
        .query_row(params![key, commit.version, count, state, now], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })
        .optional()?;
    let Some((version, first_delivery, hash)) = moved else { return Ok(None) };
    let parked: Option<&[u8]> = record.parked.as_deref();
    connection.prepare_cached(LEDGER)?.execute(params![
        turn,
        key,
        record.client.as_str(),
        record.channel.as_str(),
        record.outcome.code(),
        clipped(&record.detail, 1_000),
        &*record.reply,
        parked,
        record.queued_ms,
        record.bot_ms,
        now,
    ])?;
    let mut head = false;
    if count > 0 {
        let pending: bool =
            connection.prepare_cached(PENDING)?.query_row(params![key], |row| row.get(0))?;
        head = !pending;
        let channel = record.channel.as_str();
        let mut insert = connection.prepare_cached(DELIVERY)?;
        for (index, body) in (0i64..).zip(&commit.deliveries) {
            let number = first_delivery + index;
            let first = head && index == 0;
            insert
                .execute(params![key, number, channel, turn, index, &**body, first, now, hash])?;
        }
    }
    wider::apply(connection, &commit.wider, now)?;
    fault::point(Point::TurnInTransaction);
    Ok(Some(Committed { version, first_delivery, head }))
}

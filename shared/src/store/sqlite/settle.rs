//! The outcome of an attempt: written where the row still shows the attempt's number, with its log
//! row; then the conversation's head moves.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{self, millis};
use crate::domain::delivery::{ParkReason, Place};
use crate::domain::ids::{ConversationId, TurnId};
use crate::store::text::clipped;
use crate::store::{AttemptRecord, Settlement, Verdict};

const SHOWN: &str = "select turn_id, idx, channel_id from delivery
  where conversation = ?1 and number = ?2 and state = 0 and attempt = ?3
    and (claimed_until <> 0 or not ?4)";
const DELIVERED: &str = "
update delivery set attempt = ?3, state = 1, head = 0, claimed_until = 0, settled_at = ?4
 where conversation = ?1 and number = ?2";
const LATER: &str = "
update delivery
   set attempt = ?3, due = ?4, failures = failures + ?5, deferrals = deferrals + ?6,
       hinted_at = 0, claimed_until = 0
 where conversation = ?1 and number = ?2";
const PARKED: &str = "
update delivery
   set attempt = ?3, state = 2, reason = ?4, failures = failures + ?5, head = 0, claimed_until = 0,
       settled_at = ?6
 where conversation = ?1 and number = ?2";
const BEHIND: &str = "
update delivery set state = 2, reason = ?3, head = 0, claimed_until = 0, settled_at = ?4
 where conversation = ?1 and number > ?2 and state = 0";
const DISABLE: &str = "update channel set disabled = 1 where id = ?1";
const LOG: &str = "
insert or ignore into attempt (turn_id, idx, attempt, status, error, took_ms, response, at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
/// The lane that settled the one before goes on with it now; should its process have died, the sweep is
/// there in five seconds.
const HEAD: &str = "
update delivery set head = 1, hinted_at = ?2 - 25000
 where conversation = ?1 and head = 0 and number =
       (select number from delivery where conversation = ?1 and state = 0 order by number limit 1)";

/// The lowest unsettled row becomes its conversation's head.
pub(super) fn move_head(
    connection: &Connection,
    conversation: ConversationId,
    now: i64,
) -> rusqlite::Result<()> {
    let key = conversation.uuid();
    connection.prepare_cached(HEAD)?.execute(params![key.as_bytes(), now]).map(drop)
}

/// An outcome to write.
pub(super) struct Outcome {
    pub(super) place: Place,
    pub(super) seen: u32,
    pub(super) record: Option<AttemptRecord>,
    pub(super) now: i64,
}

impl Outcome {
    /// The attempt number that the row shows afterwards: the log's, which an unclaimed POST counts up.
    fn after(&self) -> u32 {
        self.record.as_ref().map_or(self.seen, |record| record.attempt)
    }

    /// What leaves the row unsettled could be counted twice. After a claim it asks for the claim,
    /// which it ends; without one it counts the attempt up, which it asks for.
    fn must_be_claimed(&self, verdict: &Verdict) -> bool {
        let unsettled = matches!(verdict, Verdict::Retry(_) | Verdict::Defer(_) | Verdict::Ours(_));
        unsettled && self.record.is_some() && self.after() == self.seen
    }

    pub(super) fn write(
        &self,
        connection: &Connection,
        verdict: &Verdict,
    ) -> rusqlite::Result<Settlement> {
        let key = self.place.conversation.uuid();
        let (key, number) = (key.as_bytes(), self.place.number);
        let asked = params![key, number, self.seen, self.must_be_claimed(verdict)];
        let shown = connection
            .prepare_cached(SHOWN)?
            .query_row(asked, |row| {
                let rows::Id(turn) = row.get(0)?;
                Ok((TurnId::new(turn), row.get::<_, u16>(1)?, row.get::<_, String>(2)?))
            })
            .optional()?;
        let Some((turn, index, channel)) = shown else { return Ok(Settlement::Missed) };
        let after = self.after();
        match verdict {
            Verdict::Delivered => {
                let row = params![key, number, after, self.now];
                connection.prepare_cached(DELIVERED)?.execute(row)?;
            }
            Verdict::Retry(wait) | Verdict::Defer(wait) | Verdict::Ours(wait) => {
                let due = self.now.saturating_add(millis(*wait));
                let failed = matches!(verdict, Verdict::Retry(_));
                let deferred = matches!(verdict, Verdict::Defer(_));
                let row = params![key, number, after, due, failed, deferred];
                connection.prepare_cached(LATER)?.execute(row)?;
            }
            Verdict::Park(reason) => self.park(connection, *reason, &channel)?,
        }
        self.log(connection, turn, index)?;
        move_head(connection, self.place.conversation, self.now)?;
        let next = rows::lowest(connection, self.place.conversation, self.now)?;
        Ok(Settlement::Written { next })
    }

    /// Parks the delivery and all that stand behind it.
    fn park(
        &self,
        connection: &Connection,
        reason: ParkReason,
        channel: &str,
    ) -> rusqlite::Result<()> {
        let key = self.place.conversation.uuid();
        let (key, number) = (key.as_bytes(), self.place.number);
        let failed = reason != ParkReason::Disabled;
        let row = params![key, number, self.after(), reason.code(), failed, self.now];
        connection.prepare_cached(PARKED)?.execute(row)?;
        let behind = ParkReason::Behind.code();
        connection.prepare_cached(BEHIND)?.execute(params![key, number, behind, self.now])?;
        if reason == ParkReason::Gone {
            connection.prepare_cached(DISABLE)?.execute([channel])?;
        }
        Ok(())
    }

    fn log(&self, connection: &Connection, turn: TurnId, index: u16) -> rusqlite::Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let error = record.error.as_ref().map(|error| clipped(error, 1_000));
        let turn = turn.uuid();
        connection.prepare_cached(LOG)?.execute(params![
            turn.as_bytes(),
            index,
            record.attempt,
            record.status,
            error,
            record.took_ms,
            &*record.response,
            self.now,
        ])?;
        Ok(())
    }
}

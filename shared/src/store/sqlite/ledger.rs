//! What operators look at, see [`LedgerStore`].

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::lists::{delivery_columns, turn_columns};
use super::rows::{Id, bytes};
use super::{Sqlite, lists, tally};
use crate::domain::delivery::{ParkReason, Place};
use crate::domain::ids::{ChannelId, ClientId, ConversationId, DeliveryId, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::StoreError;
use crate::store::ledger::{
    DeliveriesAsk, Leaf, LedgerAttempt, LedgerDelivery, LedgerStore, LedgerTurn, OF_TURN, Settled,
    Standing, Tried, TurnsAsk, WholeTurn,
};
use crate::store::tally::{Tally, TallyAsk};

pub(super) const TURN: &str =
    concat!("select ", turn_columns!(), ", t.reply from turn t where t.turn_id = ?1");
pub(super) const ITS_DELIVERIES: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d where d.conversation = ?1 and d.turn_id = ?2 order by d.idx limit ?3"
);
pub(super) const ATTEMPTS: &str =
    "select turn_id, idx, attempt, status, error, took_ms, response, at
       from attempt where turn_id = ?1 and (idx, attempt) > (?2, ?3)
      order by idx, attempt limit ?4";

impl LedgerStore for Sqlite {
    async fn turns(&self, ask: &TurnsAsk) -> Result<Leaf<LedgerTurn, TurnId>, StoreError> {
        let ask = ask.clone();
        self.read(move |c| lists::turns(c, &ask)).await
    }

    async fn turn(&self, id: TurnId) -> Result<Option<WholeTurn>, StoreError> {
        self.read(move |c| whole(c, id)).await
    }

    async fn attempts(
        &self,
        turn: TurnId,
        after: Option<Tried>,
        limit: u32,
    ) -> Result<Leaf<LedgerAttempt, Tried>, StoreError> {
        self.read(move |c| attempts(c, turn, after, limit)).await
    }

    async fn deliveries(
        &self,
        ask: &DeliveriesAsk,
    ) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
        let ask = ask.clone();
        self.read(move |c| match ask.standing {
            Standing::Waiting => lists::waiting(c, &ask),
            Standing::Delivered | Standing::Parked => lists::settled(c, &ask),
        })
        .await
    }

    async fn tally(&self, ask: &TallyAsk) -> Result<Tally, StoreError> {
        let ask = ask.clone();
        self.read(move |c| tally::tally(c, &ask)).await
    }
}

fn whole(c: &Connection, id: TurnId) -> rusqlite::Result<Option<WholeTurn>> {
    let key = id.uuid().into_bytes();
    let found = c
        .prepare_cached(TURN)?
        .query_row([key], |row| Ok((turn(row)?, bytes(row, 10)?)))
        .optional()?;
    let Some((turn, reply)) = found else { return Ok(None) };
    let conversation = turn.conversation.uuid().into_bytes();
    let deliveries = c
        .prepare_cached(ITS_DELIVERIES)?
        .query_map(params![conversation, key, OF_TURN], delivery)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(WholeTurn { turn, reply, deliveries }))
}

fn attempts(
    c: &Connection,
    id: TurnId,
    after: Option<Tried>,
    limit: u32,
) -> rusqlite::Result<Leaf<LedgerAttempt, Tried>> {
    let (index, number) = after.map_or((-1, 0), |at| (i64::from(at.index), at.attempt));
    let most = i64::from(limit) + 1;
    let rows = c
        .prepare_cached(ATTEMPTS)?
        .query_map(params![id.uuid().into_bytes(), index, number, most], attempt)?
        .collect::<rusqlite::Result<_>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Leaf::of(rows, limit, LedgerAttempt::place))
}

pub(super) fn turn(row: &Row<'_>) -> rusqlite::Result<LedgerTurn> {
    let (Id(turn), Id(conversation)) = (row.get(0)?, row.get(1)?);
    let code: i16 = row.get(5)?;
    Ok(LedgerTurn {
        turn: TurnId::new(turn),
        conversation: ConversationId::new(conversation),
        user: row.get(2)?,
        client: ClientId::from(row.get::<_, String>(3)?),
        channel: ChannelId::from(row.get::<_, String>(4)?),
        outcome: Outcome::from_code(code).ok_or_else(|| newer(5, code))?,
        detail: row.get(6)?,
        queued_ms: count(row, 7)?,
        bot_ms: count(row, 8)?,
        committed_at_ms: count(row, 9)?,
    })
}

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<LedgerDelivery> {
    let (Id(conversation), Id(turn)) = (row.get(0)?, row.get(2)?);
    let (state, reason): (i16, Option<i16>) = (row.get(6)?, row.get(7)?);
    Ok(LedgerDelivery {
        place: Place { conversation: ConversationId::new(conversation), number: row.get(1)? },
        id: DeliveryId { turn: TurnId::new(turn), index: row.get(3)? },
        channel: ChannelId::from(row.get::<_, String>(4)?),
        user: row.get(5)?,
        standing: Standing::from_code(state).ok_or_else(|| newer(6, state))?,
        reason: reason.and_then(ParkReason::from_code),
        attempt: row.get(8)?,
        failures: row.get(9)?,
        redriven: row.get(10)?,
        due_ms: count(row, 11)?,
        settled_us: row.get::<_, i64>(12)?.saturating_mul(1_000),
        body: bytes(row, 13)?,
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<LedgerAttempt> {
    let Id(turn) = row.get(0)?;
    Ok(LedgerAttempt {
        id: DeliveryId { turn: TurnId::new(turn), index: row.get(1)? },
        attempt: row.get(2)?,
        status: row.get(3)?,
        error: row.get(4)?,
        took_ms: count(row, 5)?,
        response: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
        at_ms: count(row, 7)?,
    })
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn newer(column: usize, code: i16) -> rusqlite::Error {
    let why = format!("a newer release wrote {code}");
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, why.into())
}

//! What operators look at, see [`LedgerStore`].

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::Sqlite;
use super::rows::{Id, bytes};
use crate::domain::delivery::{ParkReason, Place};
use crate::domain::ids::{ChannelId, ClientId, ConversationId, DeliveryId, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::StoreError;
use crate::store::ledger::{
    DeliveriesAsk, Leaf, LedgerAttempt, LedgerDelivery, LedgerStore, LedgerTurn, OF_TURN, SCAN,
    Settled, Standing, TurnsAsk, WholeTurn,
};

macro_rules! turn_columns {
    () => {
        "t.turn_id, t.conversation, c.user_id, t.client_id, t.channel_id, t.outcome, t.detail, \
         t.queued_ms, t.bot_ms, t.committed_at"
    };
}
macro_rules! delivery_columns {
    () => {
        "d.conversation, d.number, d.turn_id, d.idx, d.channel_id, c.user_id, d.state, d.reason, \
         d.attempt, d.failures, d.redriven, d.due, coalesce(d.settled_at, 0), d.body"
    };
}

/// As a bound: no id of ours is as great. A bound that may be missing would keep SQLite from its index.
const AFTER_ALL: [u8; 16] = [0xff; 16];

/// `?1` before, `?2` rows that are looked at, `?3` channel, `?4` outcome, `?5` limit.
const TURNS: &str = concat!(
    "select ",
    turn_columns!(),
    " from (select * from turn where turn_id < ?1 order by turn_id desc limit ?2) t
      left join conversation c on c.id = t.conversation
     where (?3 is null or t.channel_id = ?3) and (?4 is null or t.outcome = ?4)
     order by t.turn_id desc limit ?5"
);
/// `?6` conversation.
const OF_CONVERSATION: &str = concat!(
    "select ",
    turn_columns!(),
    " from (select * from turn where conversation = ?6 and turn_id < ?1
             order by turn_id desc limit ?2) t
      left join conversation c on c.id = t.conversation
     where (?3 is null or t.channel_id = ?3) and (?4 is null or t.outcome = ?4)
     order by t.turn_id desc limit ?5"
);
/// The last row that was looked at, when as many were as may be.
const SCANNED: &str = "select turn_id from turn where turn_id < ?1
                        order by turn_id desc limit 1 offset ?2";
const TURN: &str = concat!(
    "select ",
    turn_columns!(),
    ", t.reply from turn t left join conversation c on c.id = t.conversation where t.turn_id = ?1"
);
const ITS_DELIVERIES: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d left join conversation c on c.id = d.conversation
     where d.conversation = ?1 and d.turn_id = ?2 order by d.idx limit ?3"
);
const ATTEMPTS: &str = "select turn_id, idx, attempt, status, error, took_ms, response, at
                          from attempt where turn_id = ?1 order by idx, attempt limit ?2";
const WAITING: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select * from delivery where head = 1 and (?1 is null or channel_id = ?1) limit ?2) d
      left join conversation c on c.id = d.conversation order by d.due limit ?3"
);
/// `?1` state, `?2` channel, `?3` rows that are looked at, `?4` limit, `?5` to `?7` the place before.
const SETTLED: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select * from delivery
             where state = ?1 and state <> 0 and settled_at <= ?5
               and (settled_at, conversation, number) < (?5, ?6, ?7)
             order by settled_at desc, conversation desc, number desc limit ?3) d
      left join conversation c on c.id = d.conversation
     where ?2 is null or d.channel_id = ?2
     order by d.settled_at desc, d.conversation desc, d.number desc limit ?4"
);
const SETTLED_SCANNED: &str = "select settled_at, conversation, number from delivery
     where state = ?1 and state <> 0 and settled_at <= ?3
       and (settled_at, conversation, number) < (?3, ?4, ?5)
     order by settled_at desc, conversation desc, number desc limit 1 offset ?2";

impl LedgerStore for Sqlite {
    async fn turns(&self, ask: &TurnsAsk) -> Result<Leaf<LedgerTurn, TurnId>, StoreError> {
        let ask = ask.clone();
        self.read(move |c| turns(c, &ask)).await
    }

    async fn turn(&self, id: TurnId) -> Result<Option<WholeTurn>, StoreError> {
        self.read(move |c| whole(c, id)).await
    }

    async fn deliveries(
        &self,
        ask: &DeliveriesAsk,
    ) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
        let ask = ask.clone();
        self.read(move |c| match ask.standing {
            Standing::Waiting => waiting(c, &ask),
            Standing::Delivered | Standing::Parked => settled(c, &ask),
        })
        .await
    }
}

fn turns(c: &Connection, ask: &TurnsAsk) -> rusqlite::Result<Leaf<LedgerTurn, TurnId>> {
    let before = ask.before.map_or(AFTER_ALL, |turn| turn.uuid().into_bytes());
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let outcome = ask.outcome.map(Outcome::code);
    let mut all: Vec<&dyn ToSql> = vec![&before, &SCAN, &channel, &outcome, &ask.limit];
    let of = ask.conversation.map(|id| id.uuid().into_bytes());
    let sql = if of.is_some() { OF_CONVERSATION } else { TURNS };
    if of.is_some() {
        all.push(&of);
    }
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map(&all[..], turn)?.collect::<rusqlite::Result<Vec<_>>>()?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| row.turn);
        return Ok(Leaf { rows, next });
    }
    if of.is_some() {
        return Ok(Leaf { rows, next: None });
    }
    let last = c.prepare_cached(SCANNED)?;
    let next = { last }
        .query_row(params![before, SCAN - 1], |row| row.get::<_, Id>(0))
        .optional()?
        .map(|Id(id)| TurnId::new(id));
    Ok(Leaf { rows, next })
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
    let attempts = c
        .prepare_cached(ATTEMPTS)?
        .query_map(params![key, SCAN], attempt)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(WholeTurn { turn, reply, deliveries, attempts }))
}

fn waiting(c: &Connection, ask: &DeliveriesAsk) -> rusqlite::Result<Leaf<LedgerDelivery, Settled>> {
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let mut statement = c.prepare_cached(WAITING)?;
    let rows = statement.query_map(params![channel, SCAN, ask.limit], delivery)?;
    Ok(Leaf { rows: rows.collect::<rusqlite::Result<_>>()?, next: None })
}

fn settled(c: &Connection, ask: &DeliveriesAsk) -> rusqlite::Result<Leaf<LedgerDelivery, Settled>> {
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let state = ask.standing.code();
    let (at, of, number) = ask.after.map_or((i64::MAX, AFTER_ALL, i64::MAX), |after| {
        let place = after.place;
        (after.at_us / 1_000, place.conversation.uuid().into_bytes(), place.number)
    });
    let mut statement = c.prepare_cached(SETTLED)?;
    let rows = statement
        .query_map(params![state, channel, SCAN, ask.limit, at, of, number], delivery)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| Settled { at_us: row.settled_us, place: row.place });
        return Ok(Leaf { rows, next });
    }
    let next = c
        .prepare_cached(SETTLED_SCANNED)?
        .query_row(params![state, SCAN - 1, at, of, number], |row| {
            let Id(conversation) = row.get(1)?;
            let place =
                Place { conversation: ConversationId::new(conversation), number: row.get(2)? };
            Ok(Settled { at_us: row.get::<_, i64>(0)?.saturating_mul(1_000), place })
        })
        .optional()?;
    Ok(Leaf { rows, next })
}

fn turn(row: &Row<'_>) -> rusqlite::Result<LedgerTurn> {
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

fn delivery(row: &Row<'_>) -> rusqlite::Result<LedgerDelivery> {
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

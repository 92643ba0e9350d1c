//! What operators look at, see [`LedgerStore`].

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::pool::{DEADLINE, Held};
use super::{Postgres, within};
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
        "t.turn_id, t.conversation_id, c.user_id, t.client_id, t.channel_id, t.outcome, t.detail, \
         t.queued_ms, t.bot_ms, (extract(epoch from t.committed_at) * 1000)::int8"
    };
}
macro_rules! delivery_columns {
    () => {
        "d.conversation_id, d.number, d.turn_id, d.message, d.channel_id, c.user_id, d.state, \
         d.reason, d.attempt, d.failures, d.redriven, (extract(epoch from d.due) * 1000)::int8, \
         coalesce((extract(epoch from d.settled_at) * 1000000)::int8, 0), d.body"
    };
}
macro_rules! moment {
    ($us:literal) => {
        concat!("(timestamptz 'epoch' + ", $us, "::int8 * interval '1 microsecond')")
    };
}

/// `$1` below this id, `$2` rows that are looked at, `$3` channel, `$4` outcome, `$5` limit.
const TURNS: &str = concat!(
    "select ",
    turn_columns!(),
    " from (select * from turn where turn_id < $1 order by turn_id desc limit $2::int8) t
      left join conversation c on c.id = t.conversation_id
     where ($3::text is null or t.channel_id = $3) and ($4::int2 is null or t.outcome = $4)
     order by t.turn_id desc limit $5::int8"
);
/// `$6` conversation.
const OF_CONVERSATION: &str = concat!(
    "select ",
    turn_columns!(),
    " from (select * from turn where conversation_id = $6 and turn_id < $1
             order by turn_id desc limit $2::int8) t
      left join conversation c on c.id = t.conversation_id
     where ($3::text is null or t.channel_id = $3) and ($4::int2 is null or t.outcome = $4)
     order by t.turn_id desc limit $5::int8"
);
const SCANNED: &str =
    "select turn_id from turn where turn_id < $1 order by turn_id desc limit 1 offset $2::int8";
const TURN: &str = concat!(
    "select ",
    turn_columns!(),
    ", t.reply from turn t left join conversation c on c.id = t.conversation_id
     where t.turn_id = $1"
);
const ITS_DELIVERIES: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d left join conversation c on c.id = d.conversation_id
     where d.conversation_id = $1 and d.turn_id = $2 order by d.message limit $3::int8"
);
const ATTEMPTS: &str = "
select turn_id, message, attempt, status, error, took_ms, response,
       (extract(epoch from at) * 1000)::int8
  from attempt where turn_id = $1 order by message, attempt limit $2::int8";
const WAITING: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select * from delivery where head and state = 0
               and ($1::text is null or channel_id = $1) limit $2::int8) d
      left join conversation c on c.id = d.conversation_id order by d.due limit $3::int8"
);
/// `$1` state, `$2` to `$4` the place before, `$5` rows that are looked at, `$6` channel, `$7` limit.
const SETTLED: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select * from delivery
             where state = $1 and state <> 0 and settled_at <= ",
    moment!("$2"),
    "          and (settled_at, conversation_id, number) < (",
    moment!("$2"),
    ", $3::uuid, $4::int8)
             order by settled_at desc, conversation_id desc, number desc limit $5::int8) d
      left join conversation c on c.id = d.conversation_id
     where $6::text is null or d.channel_id = $6
     order by d.settled_at desc, d.conversation_id desc, d.number desc limit $7::int8"
);
const SETTLED_SCANNED: &str = concat!(
    "select (extract(epoch from settled_at) * 1000000)::int8, conversation_id, number from delivery
     where state = $1 and state <> 0 and settled_at <= ",
    moment!("$2"),
    "  and (settled_at, conversation_id, number) < (",
    moment!("$2"),
    ", $3::uuid, $4::int8)
     order by settled_at desc, conversation_id desc, number desc limit 1 offset $5::int8"
);

/// Behind everything: the year 9999.
const END_US: i64 = 253_402_300_799_000_000;

impl LedgerStore for Postgres {
    async fn turns(&self, ask: &TurnsAsk) -> Result<Leaf<LedgerTurn, TurnId>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = turns(&held, ask).await;
            held.settle(result)
        })
        .await
    }

    async fn turn(&self, id: TurnId) -> Result<Option<WholeTurn>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = whole(&held, id).await;
            held.settle(result)
        })
        .await
    }

    async fn deliveries(
        &self,
        ask: &DeliveriesAsk,
    ) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = match ask.standing {
                Standing::Waiting => waiting(&held, ask).await,
                Standing::Delivered | Standing::Parked => settled(&held, ask).await,
            };
            held.settle(result)
        })
        .await
    }
}

async fn query(
    held: &Held,
    sql: &'static str,
    words: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let statement = held.prepare_cached(sql).await?;
    Ok(held.query(&statement, words).await?)
}

fn all<T>(rows: &[Row], one: fn(&Row) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(one).collect()
}

async fn turns(held: &Held, ask: &TurnsAsk) -> Result<Leaf<LedgerTurn, TurnId>, StoreError> {
    let before = ask.before.map_or(Uuid::max(), TurnId::uuid);
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let outcome = ask.outcome.map(Outcome::code);
    let (scan, limit) = (i64::from(SCAN), i64::from(ask.limit));
    let of = ask.conversation.map(ConversationId::uuid);
    let mut words: Vec<&(dyn ToSql + Sync)> = vec![&before, &scan, &channel, &outcome, &limit];
    if of.is_some() {
        words.push(&of);
    }
    let sql = if of.is_some() { OF_CONVERSATION } else { TURNS };
    let rows = all(&query(held, sql, &words).await?, turn)?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| row.turn);
        return Ok(Leaf { rows, next });
    }
    if of.is_some() {
        return Ok(Leaf { rows, next: None });
    }
    let last = query(held, SCANNED, &[&before, &(scan - 1)]).await?;
    let next = last.first().map(|row| row.try_get(0)).transpose()?.map(TurnId::new);
    Ok(Leaf { rows, next })
}

async fn whole(held: &Held, id: TurnId) -> Result<Option<WholeTurn>, StoreError> {
    let key = id.uuid();
    let rows = query(held, TURN, &[&key]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (turn, reply) = (turn(row)?, bytes(row, 10)?);
    let (conversation, most, scan) =
        (turn.conversation.uuid(), i64::from(OF_TURN), i64::from(SCAN));
    let rows = query(held, ITS_DELIVERIES, &[&conversation, &key, &most]).await?;
    let deliveries = all(&rows, delivery)?;
    let attempts = all(&query(held, ATTEMPTS, &[&key, &scan]).await?, attempt)?;
    Ok(Some(WholeTurn { turn, reply, deliveries, attempts }))
}

async fn waiting(
    held: &Held,
    ask: &DeliveriesAsk,
) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let (scan, limit) = (i64::from(SCAN), i64::from(ask.limit));
    let rows = query(held, WAITING, &[&channel, &scan, &limit]).await?;
    Ok(Leaf { rows: all(&rows, delivery)?, next: None })
}

async fn settled(
    held: &Held,
    ask: &DeliveriesAsk,
) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let (state, scan, limit) = (ask.standing.code(), i64::from(SCAN), i64::from(ask.limit));
    let at = ask.after.map_or(END_US, |after| after.at_us);
    let of = ask.after.map_or(Uuid::max(), |after| after.place.conversation.uuid());
    let number = ask.after.map_or(i64::MAX, |after| after.place.number);
    let words: [&(dyn ToSql + Sync); 7] = [&state, &at, &of, &number, &scan, &channel, &limit];
    let rows = all(&query(held, SETTLED, &words).await?, delivery)?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| Settled { at_us: row.settled_us, place: row.place });
        return Ok(Leaf { rows, next });
    }
    let last = query(held, SETTLED_SCANNED, &[&state, &at, &of, &number, &(scan - 1)]).await?;
    let Some(row) = last.first() else { return Ok(Leaf { rows, next: None }) };
    let conversation = ConversationId::new(row.try_get(1)?);
    let place = Place { conversation, number: row.try_get(2)? };
    Ok(Leaf { rows, next: Some(Settled { at_us: row.try_get(0)?, place }) })
}

fn turn(row: &Row) -> Result<LedgerTurn, StoreError> {
    let code: i16 = row.try_get(5)?;
    Ok(LedgerTurn {
        turn: TurnId::new(row.try_get(0)?),
        conversation: ConversationId::new(row.try_get(1)?),
        user: row.try_get(2)?,
        client: ClientId::from(row.try_get::<_, String>(3)?),
        channel: ChannelId::from(row.try_get::<_, String>(4)?),
        outcome: Outcome::from_code(code).ok_or_else(|| newer(code))?,
        detail: row.try_get(6)?,
        queued_ms: count(row, 7)?,
        bot_ms: count(row, 8)?,
        committed_at_ms: count(row, 9)?,
    })
}

fn delivery(row: &Row) -> Result<LedgerDelivery, StoreError> {
    let (state, reason): (i16, Option<i16>) = (row.try_get(6)?, row.try_get(7)?);
    let conversation = ConversationId::new(row.try_get(0)?);
    Ok(LedgerDelivery {
        place: Place { conversation, number: row.try_get(1)? },
        id: id(row, 2, 3)?,
        channel: ChannelId::from(row.try_get::<_, String>(4)?),
        user: row.try_get(5)?,
        standing: Standing::from_code(state).ok_or_else(|| newer(state))?,
        reason: reason.and_then(ParkReason::from_code),
        attempt: small(row, 8)?,
        failures: small(row, 9)?,
        redriven: row.try_get(10)?,
        due_ms: count(row, 11)?,
        settled_us: row.try_get(12)?,
        body: bytes(row, 13)?,
    })
}

fn attempt(row: &Row) -> Result<LedgerAttempt, StoreError> {
    let status: i32 = row.try_get(3)?;
    Ok(LedgerAttempt {
        id: id(row, 0, 1)?,
        attempt: small(row, 2)?,
        status: u16::try_from(status).unwrap_or(0),
        error: row.try_get(4)?,
        took_ms: count(row, 5)?,
        response: bytes(row, 6)?,
        at_ms: count(row, 7)?,
    })
}

fn id(row: &Row, turn: usize, message: usize) -> Result<DeliveryId, StoreError> {
    let index: i32 = row.try_get(message)?;
    let index = index.try_into().unwrap_or_default();
    Ok(DeliveryId { turn: TurnId::new(row.try_get(turn)?), index })
}

fn bytes(row: &Row, column: usize) -> Result<Bytes, StoreError> {
    Ok(Bytes::copy_from_slice(row.try_get(column)?))
}

fn count(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}

fn small(row: &Row, column: usize) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.try_get::<_, i64>(column)?).unwrap_or(u32::MAX))
}

fn newer(code: i16) -> StoreError {
    StoreError::Refused(format!("a newer release wrote {code}"))
}

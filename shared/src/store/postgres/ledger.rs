//! What operators look at, see [`LedgerStore`].

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::lists::{by_index, delivery_columns, turn_columns};
use super::pool::{DEADLINE, Held};
use super::{Postgres, lists, tally, within};
use crate::domain::delivery::{ParkReason, Place};
use crate::domain::ids::{ChannelId, ClientId, ConversationId, DeliveryId, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::StoreError;
use crate::store::ledger::{
    DeliveriesAsk, Leaf, LedgerAttempt, LedgerDelivery, LedgerStore, LedgerTurn, OF_TURN, Settled,
    Standing, Tried, TurnsAsk, WholeTurn,
};
use crate::store::tally::{Tally, TallyAsk};

const TURN: &str =
    concat!("select ", turn_columns!(), ", t.reply from turn t where t.turn_id = $1");
const ITS_DELIVERIES: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d where d.conversation_id = $1 and d.turn_id = $2
     order by d.message limit $3::int8"
);
const ATTEMPTS: &str = "
select turn_id, message, attempt, status, error, took_ms, response,
       (extract(epoch from at) * 1000)::int8
  from attempt where turn_id = $1 and (message, attempt) > ($2::int4, $3::int8)
 order by message, attempt limit $4::int8";

impl LedgerStore for Postgres {
    async fn turns(&self, ask: &TurnsAsk) -> Result<Leaf<LedgerTurn, TurnId>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = by_index(&held, lists::turns(&held, ask)).await;
            held.settle(result)
        })
        .await
    }

    async fn turn(&self, id: TurnId) -> Result<Option<WholeTurn>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = by_index(&held, whole(&held, id)).await;
            held.settle(result)
        })
        .await
    }

    async fn attempts(
        &self,
        turn: TurnId,
        after: Option<Tried>,
        limit: u32,
    ) -> Result<Leaf<LedgerAttempt, Tried>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = by_index(&held, attempts(&held, turn, after, limit)).await;
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
                Standing::Waiting => by_index(&held, lists::waiting(&held, ask)).await,
                Standing::Delivered | Standing::Parked => {
                    by_index(&held, lists::settled(&held, ask)).await
                }
            };
            held.settle(result)
        })
        .await
    }

    async fn tally(&self, ask: &TallyAsk) -> Result<Tally, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = by_index(&held, tally::tally(&held, ask)).await;
            held.settle(result)
        })
        .await
    }
}

pub(super) async fn query(
    held: &Held,
    sql: &'static str,
    words: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let statement = held.prepare_cached(sql).await?;
    Ok(held.query(&statement, words).await?)
}

pub(super) fn all<T>(
    rows: &[Row],
    one: fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(one).collect()
}

async fn whole(held: &Held, id: TurnId) -> Result<Option<WholeTurn>, StoreError> {
    let key = id.uuid();
    let rows = query(held, TURN, &[&key]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (turn, reply) = (turn(row)?, bytes(row, 10)?);
    let (conversation, most) = (turn.conversation.uuid(), i64::from(OF_TURN));
    let rows = query(held, ITS_DELIVERIES, &[&conversation, &key, &most]).await?;
    let deliveries = all(&rows, delivery)?;
    Ok(Some(WholeTurn { turn, reply, deliveries }))
}

async fn attempts(
    held: &Held,
    id: TurnId,
    after: Option<Tried>,
    limit: u32,
) -> Result<Leaf<LedgerAttempt, Tried>, StoreError> {
    let (message, number) =
        after.map_or((-1, 0), |at| (i32::from(at.index), i64::from(at.attempt)));
    let most = i64::from(limit) + 1;
    let rows = query(held, ATTEMPTS, &[&id.uuid(), &message, &number, &most]).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Leaf::of(all(&rows, attempt)?, limit, LedgerAttempt::place))
}

pub(super) fn turn(row: &Row) -> Result<LedgerTurn, StoreError> {
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

pub(super) fn delivery(row: &Row) -> Result<LedgerDelivery, StoreError> {
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

//! Rows, read.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use crate::domain::delivery::{Delivery, Place};
use crate::domain::ids::{ChannelId, ConversationId, DeliveryId, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::{Lowest, SettledTurn};

/// The columns of a delivery `d` that [`delivery`] reads, from column 0 on.
macro_rules! delivery_columns {
    () => {
        "d.conversation, d.number, d.turn_id, d.idx, d.channel_id, d.body, d.attempt, \
         d.failures, d.deferrals, d.redriven"
    };
}
/// Those and what [`lowest`] needs, with the delivery's channel joined as `c`.
macro_rules! lowest_columns {
    () => {
        concat!(
            crate::store::sqlite::rows::delivery_columns!(),
            ", d.due, d.claimed_until, coalesce(c.disabled, 0), d.hash"
        )
    };
}
pub(super) use {delivery_columns, lowest_columns};

/// `?1` is the conversation.
const LOWEST: &str = concat!(
    "select ",
    lowest_columns!(),
    " from delivery d left join channel c on c.id = d.channel_id
     where d.conversation = ?1 and d.state = 0 order by d.number limit 1"
);

/// A 16-byte id.
pub(super) struct Id(pub(super) Uuid);

impl FromSql for Id {
    fn column_result(
        value: rusqlite::types::ValueRef<'_>,
    ) -> Result<Self, rusqlite::types::FromSqlError> {
        let bytes = value.as_blob()?;
        let wrong = FromSqlError::InvalidBlobSize { expected_size: 16, blob_size: bytes.len() };
        Ok(Self(Uuid::from_slice(bytes).map_err(|_| wrong)?))
    }
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let Id(conversation) = row.get(0)?;
    let Id(turn) = row.get(2)?;
    Ok(Delivery {
        place: Place { conversation: ConversationId::new(conversation), number: row.get(1)? },
        id: DeliveryId { turn: TurnId::new(turn), index: row.get(3)? },
        channel: ChannelId::from(row.get::<_, String>(4)?),
        body: bytes(row, 5)?,
        attempt: row.get(6)?,
        failures: row.get(7)?,
        deferrals: row.get(8)?,
        redriven: row.get(9)?,
    })
}

/// A function that reads a row as seen at `now`.
pub(super) fn lowest_at(now: i64) -> impl Fn(&Row<'_>) -> rusqlite::Result<Lowest> {
    move |row| {
        Ok(Lowest {
            delivery: delivery(row)?,
            due_in: until(row.get(10)?, now),
            claimed_for: until(row.get(11)?, now),
            disabled: row.get(12)?,
            hash: row.get::<_, i64>(13)?.cast_unsigned(),
        })
    }
}

/// The lowest unsettled delivery of a conversation.
pub(super) fn lowest(
    connection: &Connection,
    conversation: ConversationId,
    now: i64,
) -> rusqlite::Result<Option<Lowest>> {
    connection
        .prepare_cached(LOWEST)?
        .query_row(params![conversation.uuid().as_bytes()], lowest_at(now))
        .optional()
}

/// A turn's row as the inbox and the poll see it, from these two columns on.
pub(super) fn settled_turn(row: &Row<'_>, column: usize) -> rusqlite::Result<SettledTurn> {
    let code: i16 = row.get(column)?;
    let outcome = Outcome::from_code(code).ok_or_else(|| {
        let why = format!("a newer release wrote outcome {code}");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, why.into())
    })?;
    Ok(SettledTurn { outcome, reply: bytes(row, column + 1)? })
}

/// The time from `now` to a moment; none when it has passed.
pub(super) fn until(at: i64, now: i64) -> Duration {
    Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0))
}

/// Milliseconds for a row, rounded up: a wait may grow, never shrink.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX / 2)
}

pub(super) fn unix_ms(turn: TurnId) -> i64 {
    i64::try_from(turn.unix_ms()).unwrap_or(i64::MAX)
}

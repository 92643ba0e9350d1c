//! Rows of deliveries, read.

use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::delivery::{Delivery, Place};
use crate::domain::ids::{ChannelId, ConversationId, DeliveryId, TurnId};
use crate::store::{Lowest, StoreError};

/// The columns of a delivery `d` that [`delivery`] reads, from column 0 on.
macro_rules! delivery_columns {
    () => {
        "d.conversation_id, d.number, d.turn_id, d.message, d.channel_id, d.body, d.attempt, \
         d.failures, d.deferrals, d.redriven"
    };
}
/// Those and what [`lowest`] needs, with the delivery's channel joined as `c`.
macro_rules! lowest_columns {
    () => {
        concat!(
            crate::store::postgres::rows::delivery_columns!(),
            ", greatest(0, (extract(epoch from d.due - clock_timestamp()) * 1000000)::int8),
               greatest(0, coalesce(
                 (extract(epoch from d.claimed_until - clock_timestamp()) * 1000000)::int8, 0)),
               coalesce(c.disabled, false), d.hash"
        )
    };
}
pub(super) use {delivery_columns, lowest_columns};

pub(super) fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    let turn = TurnId::new(row.try_get::<_, Uuid>(2)?);
    let message: i32 = row.try_get(3)?;
    Ok(Delivery {
        place: Place {
            conversation: ConversationId::new(row.try_get(0)?),
            number: row.try_get(1)?,
        },
        id: DeliveryId { turn, index: u16::try_from(message).unwrap_or(u16::MAX) },
        channel: ChannelId::from(row.try_get::<_, &str>(4)?),
        body: Bytes::copy_from_slice(row.try_get(5)?),
        attempt: count(row.try_get(6)?),
        failures: count(row.try_get(7)?),
        deferrals: count(row.try_get(8)?),
        redriven: row.try_get(9)?,
    })
}

pub(super) fn lowest(row: &Row) -> Result<Lowest, StoreError> {
    Ok(Lowest {
        delivery: delivery(row)?,
        due_in: micros(row.try_get(10)?),
        claimed_for: micros(row.try_get(11)?),
        disabled: row.try_get(12)?,
        hash: row.try_get::<_, i64>(13)?.cast_unsigned(),
    })
}

fn count(column: i64) -> u32 {
    u32::try_from(column).unwrap_or(u32::MAX)
}

/// A number of microseconds; none when it is negative.
pub(super) fn micros(column: i64) -> Duration {
    Duration::from_micros(u64::try_from(column).unwrap_or(0))
}

/// Microseconds for a row, at most 292,000 years.
pub(super) fn as_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}

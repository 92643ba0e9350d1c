//! Pages of lists for people: what is looked at is found by an index, in its order and without what was said;
//! only what is shown is read whole.

use std::future::Future;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::ledger::{all, delivery, query, turn};
use super::pool::Held;
use crate::domain::delivery::Place;
use crate::domain::ids::{ChannelId, ConversationId, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::StoreError;
use crate::store::ledger::{
    DeliveriesAsk, ENDPOINTS, Leaf, LedgerDelivery, LedgerTurn, SCAN, Settled, TurnsAsk,
};

/// Of a turn `t`.
macro_rules! turn_columns {
    () => {
        "t.turn_id, t.conversation_id, \
         (select c.user_id from conversation c where c.id = t.conversation_id), t.client_id, \
         t.channel_id, t.outcome, t.detail, t.queued_ms, t.bot_ms, \
         (extract(epoch from t.committed_at) * 1000)::int8"
    };
}
/// Of a delivery `d`.
macro_rules! delivery_columns {
    () => {
        "d.conversation_id, d.number, d.turn_id, d.message, d.channel_id, \
         (select c.user_id from conversation c where c.id = d.conversation_id), d.state, \
         d.reason, d.attempt, d.failures, d.redriven, (extract(epoch from d.due) * 1000)::int8, \
         coalesce((extract(epoch from d.settled_at) * 1000000)::int8, 0), d.body"
    };
}
pub(super) use {delivery_columns, turn_columns};

/// `$1` below this id, `$2` rows that are looked at, `$3` outcome, `$4` limit.
macro_rules! turns {
    ($of:literal) => {
        concat!(
            "select ",
            turn_columns!(),
            " from (select turn_id, conversation_id, client_id, channel_id, outcome, detail,
                           queued_ms, bot_ms, committed_at
                      from turn where ",
            $of,
            " desc limit $2::int8) t
             where ($3::int2 is null or t.outcome = $3)
             order by t.turn_id desc limit $4::int8"
        )
    };
}
/// The last row that was looked at, when as many were as may be.
macro_rules! turns_end {
    ($of:literal) => {
        concat!("select turn_id from turn where ", $of, " desc limit 1 offset $2::int8")
    };
}
const TURNS: [&str; 2] =
    [turns!("turn_id < $1 order by turn_id"), turns_end!("turn_id < $1 order by turn_id")];
/// A channel's turns are written as a range of the index over (channel, id), in its order: of an equal channel in the
/// order of ids, a planner may walk the primary key through everybody's turns.
const OF_CHANNEL: [&str; 2] = [
    turns!(
        "channel_id >= $5::text and channel_id <= $5::text and turn_id < $1
         order by channel_id desc, turn_id"
    ),
    turns_end!(
        "channel_id >= $3::text and channel_id <= $3::text and turn_id < $1
         order by channel_id desc, turn_id"
    ),
];
const OF_CONVERSATION: [&str; 2] = [
    turns!("conversation_id = $5::uuid and turn_id < $1 order by turn_id"),
    turns_end!("conversation_id = $3::uuid and turn_id < $1 order by turn_id"),
];

/// The whole row of a place `k`.
macro_rules! whole {
    () => {
        " cross join lateral (
            select * from delivery x
             where x.conversation_id = k.conversation_id and x.number = k.number offset 0) d"
    };
}
/// `$1` limit, `$2` endpoints that are looked at: they are found by skipping through the index.
const WAITING: &str = concat!(
    "with recursive endpoint (id, nth) as (
       (select x.channel_id, 1::int8 from delivery x where x.head and x.state = 0
         order by x.channel_id limit 1)
       union all
       select (select x.channel_id from delivery x
                where x.head and x.state = 0 and x.channel_id > endpoint.id
                order by x.channel_id limit 1), endpoint.nth + 1
         from endpoint where endpoint.id is not null and endpoint.nth < $2::int8
     ), k as materialized (
       select h.conversation_id, h.number, h.due from endpoint
        cross join lateral (
          select x.conversation_id, x.number, x.due from delivery x
           where x.channel_id = endpoint.id and x.head and x.state = 0
           order by x.due limit $1::int8) h
        order by h.due, h.conversation_id limit $1::int8)
     select ",
    delivery_columns!(),
    " from k",
    whole!(),
    " order by k.due, k.conversation_id"
);
/// `$2` channel.
const WAITING_OF: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select conversation_id, number, due from delivery
             where channel_id = $2::text and head and state = 0
             order by due, conversation_id limit $1::int8) k",
    whole!(),
    " order by k.due, k.conversation_id"
);

macro_rules! moment {
    ($us:literal) => {
        concat!("(timestamptz 'epoch' + ", $us, "::int8 * interval '1 microsecond')")
    };
}
/// `$1` to `$3` the place before.
macro_rules! behind {
    () => {
        concat!(
            " and settled_at <= ",
            moment!("$1"),
            " and (settled_at, conversation_id, number) < (",
            moment!("$1"),
            ", $2::uuid, $3::int8)
             order by settled_at desc, conversation_id desc, number desc"
        )
    };
}
macro_rules! in_order {
    () => {
        " order by k.settled_at desc, k.conversation_id desc, k.number desc"
    };
}
/// `$4` state, `$5` limit.
const SETTLED: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select conversation_id, number, settled_at from delivery
             where state = $4::int2 and state <> 0",
    behind!(),
    " limit $5::int8) k",
    whole!(),
    in_order!()
);
/// `$6` channel, `$7` rows that are looked at.
const SETTLED_OF: &str = concat!(
    "select ",
    delivery_columns!(),
    " from (select * from (
              select conversation_id, number, settled_at, state from delivery
               where channel_id = $6::text and state <> 0",
    behind!(),
    " limit $7::int8) k where k.state = $4::int2",
    in_order!(),
    " limit $5::int8) k",
    whole!(),
    in_order!()
);
/// `$4` channel, `$5` rows before it.
const SETTLED_END: &str = concat!(
    "select (extract(epoch from settled_at) * 1000000)::int8, conversation_id, number
       from delivery where channel_id = $4::text and state <> 0",
    behind!(),
    " limit 1 offset $5::int8"
);

/// What is looked at is found by indexes, whatever a planner that knows averages would rather do.
const BY_INDEX: &str = "begin read only;
    set local enable_seqscan = off;
    set local enable_bitmapscan = off;
    set local enable_hashjoin = off;
    set local enable_mergejoin = off;
    set local random_page_cost = 1.1";

/// Looks in a transaction of its own, see [`BY_INDEX`].
pub(super) async fn by_index<T>(
    held: &Held,
    look: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    held.batch_execute(BY_INDEX).await?;
    let found = look.await;
    held.batch_execute(if found.is_ok() { "commit" } else { "rollback" }).await?;
    found
}

/// Behind everything: the year 9999.
const END_US: i64 = 253_402_300_799_000_000;

/// Of one conversation (which has one channel), of one channel, or of all.
pub(super) async fn turns(
    held: &Held,
    ask: &TurnsAsk,
) -> Result<Leaf<LedgerTurn, TurnId>, StoreError> {
    let before = ask.before.map_or(Uuid::max(), TurnId::uuid);
    let outcome = ask.outcome.map(Outcome::code);
    let (scan, end, limit) = (i64::from(SCAN), i64::from(SCAN) - 1, i64::from(ask.limit));
    let conversation = ask.conversation.map(ConversationId::uuid);
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let ([page, last], of): (_, Option<&(dyn ToSql + Sync)>) = match (&conversation, &channel) {
        (Some(id), _) => (OF_CONVERSATION, Some(id)),
        (None, Some(id)) => (OF_CHANNEL, Some(id)),
        (None, None) => (TURNS, None),
    };
    let words: [&(dyn ToSql + Sync); 4] = [&before, &scan, &outcome, &limit];
    let words: Vec<_> = words.into_iter().chain(of).collect();
    let rows = all(&query(held, page, &words).await?, turn)?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| row.turn);
        return Ok(Leaf { rows, next });
    }
    if outcome.is_none() {
        return Ok(Leaf { rows, next: None });
    }
    let words: [&(dyn ToSql + Sync); 2] = [&before, &end];
    let words: Vec<_> = words.into_iter().chain(of).collect();
    let last = query(held, last, &words).await?;
    let next = last.first().map(|row| row.try_get(0)).transpose()?.map(TurnId::new);
    Ok(Leaf { rows, next })
}

pub(super) async fn waiting(
    held: &Held,
    ask: &DeliveriesAsk,
) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
    let (limit, endpoints) = (i64::from(ask.limit), i64::from(ENDPOINTS));
    let rows = match ask.channel.as_ref().map(ChannelId::as_str) {
        Some(channel) => query(held, WAITING_OF, &[&limit, &channel]).await?,
        None => query(held, WAITING, &[&limit, &endpoints]).await?,
    };
    Ok(Leaf { rows: all(&rows, delivery)?, next: None })
}

pub(super) async fn settled(
    held: &Held,
    ask: &DeliveriesAsk,
) -> Result<Leaf<LedgerDelivery, Settled>, StoreError> {
    let (at, of, number) = match ask.after {
        Some(Settled { at_us, place }) => (at_us, place.conversation.uuid(), place.number),
        None => (END_US, Uuid::max(), i64::MAX),
    };
    let (state, limit, scan) = (ask.standing.code(), i64::from(ask.limit), i64::from(SCAN));
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let mut words: Vec<&(dyn ToSql + Sync)> = vec![&at, &of, &number, &state, &limit];
    if channel.is_some() {
        words.extend([&channel as &(dyn ToSql + Sync), &scan]);
    }
    let sql = if channel.is_some() { SETTLED_OF } else { SETTLED };
    let rows = all(&query(held, sql, &words).await?, delivery)?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| Settled { at_us: row.settled_us, place: row.place });
        return Ok(Leaf { rows, next });
    }
    let Some(channel) = channel else { return Ok(Leaf { rows, next: None }) };
    let last = query(held, SETTLED_END, &[&at, &of, &number, &channel, &(scan - 1)]).await?;
    let Some(last) = last.first() else { return Ok(Leaf { rows, next: None }) };
    let conversation = ConversationId::new(last.try_get(1)?);
    let place = Place { conversation, number: last.try_get(2)? };
    Ok(Leaf { rows, next: Some(Settled { at_us: last.try_get(0)?, place }) })
}

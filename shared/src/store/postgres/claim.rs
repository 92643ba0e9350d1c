//! Claims: an attempt's number is counted up and leased, where the row still shows what was seen.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join4;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::Work;
use super::commit::LOCK;
use super::error::late;
use super::pool::{Connections, Held, ROUND};
use super::rows::{self, as_micros, delivery_columns};
use crate::domain::delivery::Place;
use crate::domain::ids::ConversationId;
use crate::store::{Claim, Claimed, StoreError};

/// The endpoint's state is read in the claim itself; a row of a disabled one is returned unclaimed.
const CLAIM: &str = concat!(
    "with m as materialized (
       select * from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[])
         as m (conversation_id, number, seen, lease_us) limit $5::int8
     ), ready as (
       select x.conversation_id, x.number, m.lease_us, coalesce(c.disabled, false) as disabled
         from m
         join delivery x on x.conversation_id = m.conversation_id and x.number = m.number
         left join channel c on c.id = x.channel_id
        where x.state = 0 and x.attempt = m.seen and x.due <= clock_timestamp()
          and (x.claimed_until is null or x.claimed_until <= clock_timestamp())
     )
     update delivery d
        set attempt = d.attempt + case when r.disabled then 0 else 1 end,
            claimed_until = case when r.disabled then d.claimed_until
              else clock_timestamp() + r.lease_us * interval '1 microsecond' end
       from ready r
      where d.conversation_id = r.conversation_id and d.number = r.number
     returning ",
    delivery_columns!(),
    ", r.disabled"
);

/// A claim that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) place: Place,
    pub(super) seen: u32,
    pub(super) lease: Duration,
}

/// Writes claims in groups, under the same locks and in the same order as outcomes.
#[derive(Clone, Debug)]
pub(super) struct Claimer {
    pub(super) hot: Connections,
}

impl Work for Claimer {
    type Item = Asked;
    type Answer = Claimed;
    type Key = ConversationId;
    const GROUP: usize = 64;

    fn key(item: &Asked) -> Option<ConversationId> {
        Some(item.place.conversation)
    }

    fn weight(_: &Asked) -> usize {
        0
    }

    async fn group(&self, items: &[Asked]) -> Result<Vec<Claimed>, StoreError> {
        let held = self.hot.get().await?;
        let result = tokio::time::timeout(ROUND, claim(&held, items)).await;
        let mut claimed = held.settle(result.map_err(late).flatten())?;
        let answer = |item: &Asked| claimed.remove(&item.place.conversation);
        Ok(items.iter().map(answer).map(|found| found.unwrap_or(Claimed::No)).collect())
    }
}

type ByConversation = HashMap<ConversationId, Claimed>;

async fn claim(client: &Held, items: &[Asked]) -> Result<ByConversation, StoreError> {
    let lock = client.prepare_cached(LOCK).await?;
    let statement = client.prepare_cached(CLAIM).await?;
    let ids: Vec<Uuid> = items.iter().map(|item| item.place.conversation.uuid()).collect();
    let numbers: Vec<i64> = items.iter().map(|item| item.place.number).collect();
    let seen: Vec<i64> = items.iter().map(|item| item.seen.into()).collect();
    let leases: Vec<i64> = items.iter().map(|item| as_micros(item.lease)).collect();
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let parameters: [&(dyn ToSql + Sync); 5] = [&ids, &numbers, &seen, &leases, &count];
    let locks: [&(dyn ToSql + Sync); 2] = [&ids, &count];
    let (begun, locked, claimed, committed) = join4(
        client.batch_execute("begin"),
        client.execute(&lock, &locks),
        client.query(&statement, &parameters),
        client.batch_execute("commit"),
    )
    .await;
    begun?;
    locked?;
    let claimed = claimed?;
    committed?;
    claimed
        .iter()
        .map(|row| {
            let delivery = rows::delivery(row)?;
            let conversation = delivery.place.conversation;
            let disabled: bool = row.try_get(10)?;
            let claimed = if disabled {
                Claimed::Disabled(delivery)
            } else {
                Claimed::Yes(Claim { delivery })
            };
            Ok((conversation, claimed))
        })
        .collect()
}

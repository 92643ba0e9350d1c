//! Idempotency keys, in groups: one insert that also replaces expired rows, then a read of what
//! stands there, at a snapshot of its own.

use std::collections::{HashMap, HashSet};

use futures_util::future::join;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::Work;
use super::error::late;
use super::pool::{Connections, Held, ROUND};
use crate::domain::ids::{ChannelId, TurnId};
use crate::store::{KeyUse, StoreError};

/// Sorted, so that two groups wait for each other's keys in one direction only.
const CLAIM: &str = "
insert into idempotency as i (channel_id, key, fingerprint, turn_id, expires_at)
select m.channel_id, m.key, m.fingerprint, m.turn_id, clock_timestamp() + interval '24 h'
  from unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[])
         as m (channel_id, key, fingerprint, turn_id)
 order by m.channel_id, m.key
    on conflict (channel_id, key) do update
   set fingerprint = excluded.fingerprint, turn_id = excluded.turn_id,
       expires_at = excluded.expires_at
 where i.expires_at < clock_timestamp()
returning channel_id, key";

const READ: &str = "
select i.channel_id, i.key, i.fingerprint, i.turn_id
  from (select * from unnest($1::text[], $2::text[]) as m (channel_id, key) limit $3::int8) m
  join idempotency i on i.channel_id = m.channel_id and i.key = m.key";

/// One use of a key.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) channel: ChannelId,
    pub(super) key: String,
    pub(super) fingerprint: [u8; 32],
    pub(super) turn: TurnId,
}

/// Claims keys.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    pub(super) hot: Connections,
}

impl Work for Keeper {
    type Item = Used;
    /// `None`: the row was cleaned away between the two statements; ask again.
    type Answer = Option<KeyUse>;
    type Key = (ChannelId, String);
    const GROUP: usize = 64;

    fn key(item: &Used) -> Option<Self::Key> {
        Some((item.channel.clone(), item.key.clone()))
    }

    fn weight(_: &Used) -> usize {
        0
    }

    async fn group(&self, items: &[Used]) -> Result<Vec<Option<KeyUse>>, StoreError> {
        let held = self.hot.get().await?;
        let result = tokio::time::timeout(ROUND, claim(&held, items)).await;
        held.settle(result.map_err(late).flatten())
    }
}

async fn claim(client: &Held, items: &[Used]) -> Result<Vec<Option<KeyUse>>, StoreError> {
    let insert = client.prepare_cached(CLAIM).await?;
    let read = client.prepare_cached(READ).await?;
    let channels: Vec<&str> = items.iter().map(|item| item.channel.as_str()).collect();
    let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    let fingerprints: Vec<&[u8]> = items.iter().map(|item| &item.fingerprint[..]).collect();
    let turns: Vec<Uuid> = items.iter().map(|item| item.turn.uuid()).collect();
    let columns: [&(dyn ToSql + Sync); 4] = [&channels, &keys, &fingerprints, &turns];
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let places: [&(dyn ToSql + Sync); 3] = [&channels, &keys, &count];
    let (claimed, standing) =
        join(client.query(&insert, &columns), client.query(&read, &places)).await;
    let (claimed, standing) = (claimed?, standing?);
    let mut ours: HashSet<(&str, &str)> = HashSet::new();
    for row in &claimed {
        ours.insert((row.try_get(0)?, row.try_get(1)?));
    }
    let mut found: HashMap<(&str, &str), (&[u8], Uuid)> = HashMap::new();
    for row in &standing {
        found.insert((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?));
    }
    let judge = |item: &Used| {
        let place = (item.channel.as_str(), item.key.as_str());
        if ours.contains(&place) {
            return Some(KeyUse::New);
        }
        found.get(&place).map(|(fingerprint, turn)| {
            if *fingerprint == item.fingerprint {
                KeyUse::Repeat(TurnId::new(*turn))
            } else {
                KeyUse::Mismatch
            }
        })
    };
    Ok(items.iter().map(judge).collect())
}

//! What scripts keep beyond one conversation.

use std::time::Duration;

use tokio_postgres::Transaction;
use xxhash_rust::xxh3::xxh3_64;

use super::pool::{Connections, Held};
use crate::domain::wider::{self, Change, Effect, Kept, Scope};
use crate::store::StoreError;

const READ: &str = "
select scope, key, value from wider_context
 where scope = any($1) and (expires_at is null or expires_at > clock_timestamp())
 order by scope, key";

/// Those who change one scope do so one after another, and take several in one order: keys that are not
/// there yet cannot be locked.
const LOCK: &str = "
select pg_advisory_xact_lock(k.key)
  from (select distinct unnest($1::int8[]) as key order by 1) k";

const PUT: &str = "
insert into wider_context (scope, key, value, expires_at)
select m.scope, m.key, m.value, clock_timestamp() + m.ms * interval '1 millisecond'
  from unnest($1::text[], $2::text[], $3::text[], $4::int8[]) as m (scope, key, value, ms)
    on conflict (scope, key) do update
   set value = excluded.value, expires_at = excluded.expires_at";

const DELETE: &str = "
delete from wider_context w using unnest($1::text[], $2::text[]) as m (scope, key)
 where w.scope = m.scope and w.key = m.key";

/// The pattern is [`wider::is_number`]. What has expired counts as gone.
const ADD: &str = "
insert into wider_context as w (scope, key, value)
select m.scope, m.key, m.by::text
  from unnest($1::text[], $2::text[], $3::int8[]) as m (scope, key, by)
    on conflict (scope, key) do update
   set value = case
         when w.expires_at <= clock_timestamp() then excluded.value
         when w.value ~ '^-?[0-9]{1,17}([.][0-9]{1,17})?$'
           then (w.value::numeric + excluded.value::numeric)::text
         else excluded.value end,
       expires_at = case when w.expires_at <= clock_timestamp() then null else w.expires_at end";

const OF_USER: &str = "
delete from wider_context
 where scope = (select 'user/' || client_id || '/' || $2 from channel where id = $1)";

pub(super) async fn read(hot: &Connections, scopes: &[Scope]) -> Result<Vec<Kept>, StoreError> {
    let held = hot.get().await?;
    let names: Vec<String> = scopes.iter().map(Scope::name).collect();
    let result = async {
        let statement = held.prepare_cached(READ).await?;
        let mut all = Vec::new();
        for row in held.query(&statement, &[&names]).await? {
            let name: &str = row.try_get(0)?;
            let scope = scopes.iter().zip(&names).find(|(_, own)| *own == name);
            let Some((scope, _)) = scope else { continue };
            all.push(Kept { scope: scope.clone(), key: row.try_get(1)?, value: row.try_get(2)? });
        }
        Ok::<_, StoreError>(all)
    }
    .await;
    held.settle(result)
}

/// In the transaction that the caller has begun. `changes` in the order in which they were made.
pub(super) async fn apply<'a>(
    client: &Held,
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<(), StoreError> {
    let changes = wider::fold(changes);
    let locks: Vec<i64> = changes
        .iter()
        .map(|change| xxh3_64(change.scope.name().as_bytes()).cast_signed())
        .collect();
    let lock = client.prepare_cached(LOCK).await?;
    client.execute(&lock, &[&locks]).await?;
    let (mut put, mut gone, mut added) = (Puts::default(), Keys::default(), Adds::default());
    for Change { scope, key, effect } in &changes {
        match effect {
            Effect::Put(value, kept) => {
                put.0.push(scope, key);
                put.1.push(value);
                put.2.push(kept.map(ms));
            }
            Effect::Delete => gone.push(scope, key),
            Effect::Add(by) => {
                added.0.push(scope, key);
                added.1.push(*by);
            }
        }
    }
    if !put.1.is_empty() {
        let statement = client.prepare_cached(PUT).await?;
        let Keys { scopes, keys } = &put.0;
        client.execute(&statement, &[scopes, keys, &put.1, &put.2]).await?;
    }
    if !gone.keys.is_empty() {
        let statement = client.prepare_cached(DELETE).await?;
        client.execute(&statement, &[&gone.scopes, &gone.keys]).await?;
    }
    if !added.1.is_empty() {
        let statement = client.prepare_cached(ADD).await?;
        let Keys { scopes, keys } = &added.0;
        client.execute(&statement, &[scopes, keys, &added.1]).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Keys<'a> {
    scopes: Vec<String>,
    keys: Vec<&'a str>,
}

#[derive(Default)]
struct Puts<'a>(Keys<'a>, Vec<&'a str>, Vec<Option<i64>>);

#[derive(Default)]
struct Adds<'a>(Keys<'a>, Vec<i64>);

impl<'a> Keys<'a> {
    fn push(&mut self, scope: &Scope, key: &'a str) {
        self.scopes.push(scope.name());
        self.keys.push(key);
    }
}

fn ms(kept: Duration) -> i64 {
    i64::try_from(kept.as_millis()).unwrap_or(i64::MAX)
}

/// Removes what is kept of a user of a channel's app, over all bots.
pub(super) async fn erase(
    transaction: &Transaction<'_>,
    channel: &str,
    user: &str,
) -> Result<u64, StoreError> {
    Ok(transaction.execute(OF_USER, &[&channel, &user]).await?)
}

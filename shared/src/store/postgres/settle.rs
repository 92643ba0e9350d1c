//! Outcomes of attempts, in groups; parking, alone. Each is one transaction in one round trip: lock
//! the conversations in the order of their ids, write what still shows the attempt's number, move the
//! heads, read what is lowest now.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::{join3, join4};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::Work;
use super::commit::LOCK;
use super::deliveries::{LOWEST, by_conversation};
use super::error::late;
use super::pool::{Connections, Held, ROUND};
use super::rows::as_micros;
use crate::domain::delivery::{ParkReason, Place};
use crate::domain::ids::ConversationId;
use crate::store::text::clipped;
use crate::store::{AttemptRecord, Lowest, Settlement, StoreError};

/// `claimed` asks for a claim that no outcome has ended yet, see [`Outcome::must_be_claimed`].
const SETTLE: &str = "
with m as materialized (
  select * from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::bool[], $6::int2[],
                       $7::int8[], $8::int4[], $9::text[], $10::int8[], $11::bytea[])
    as m (conversation_id, number, seen, attempt, claimed, verdict, wait_us, status, error, took_ms,
          response) limit $12::int8
), written as (
  update delivery d
     set attempt = m.attempt,
         state = case when m.verdict = 0 then 1 else 0 end,
         head = d.head and m.verdict <> 0,
         failures = d.failures + case when m.verdict = 1 then 1 else 0 end,
         deferrals = d.deferrals + case when m.verdict = 2 then 1 else 0 end,
         due = case when m.verdict = 0 then d.due
                    else clock_timestamp() + m.wait_us * interval '1 microsecond' end,
         hinted_at = case when m.verdict = 0 then d.hinted_at end,
         settled_at = case when m.verdict = 0 then clock_timestamp() end,
         claimed_until = null
    from m
   where d.conversation_id = m.conversation_id and d.number = m.number
     and d.state = 0 and d.attempt = m.seen and (d.claimed_until is not null or not m.claimed)
  returning m.*, d.turn_id, d.message
), logged as (
  insert into attempt (turn_id, message, attempt, status, error, took_ms, response, at)
  select turn_id, message, attempt, status, error, took_ms, response, clock_timestamp()
    from written where status is not null
      on conflict do nothing
)
select conversation_id from written";

/// Parks one delivery and, under the lock, all that stand behind it; a row is either behind (it is
/// parked) or comes later (it goes on).
const PARK: &str = "
with hit as (
  update delivery d
     set attempt = $4::int8, state = 2, reason = $5::int2, head = false, claimed_until = null,
         failures = d.failures + case when $5::int2 = 4 then 0 else 1 end, settled_at = clock_timestamp()
   where d.conversation_id = $1::uuid and d.number = $2::int8
     and d.state = 0 and d.attempt = $3::int8
  returning d.turn_id, d.message, d.channel_id
), behind as (
  update delivery d
     set state = 2, reason = 3, head = false, claimed_until = null, settled_at = clock_timestamp()
   where d.conversation_id = $1::uuid and d.number > $2::int8 and d.state = 0 and exists (select from hit)
), gone as (
  update channel c set disabled = true
    from hit where c.id = hit.channel_id and $5::int2 = 2
), logged as (
  insert into attempt (turn_id, message, attempt, status, error, took_ms, response, at)
  select turn_id, message, $4::int8, $6::int4, $7::text, $8::int8, $9::bytea, clock_timestamp()
    from hit where $6::int4 is not null
      on conflict do nothing
)
select $1::uuid from hit";

/// The lowest unsettled row becomes its conversation's head. The lane that settled the one before it
/// goes on with it now, and no doorbell of its own may exist: should the lane's process have died, the
/// sweep is there in five seconds, not in half a minute.
pub(super) const HEAD: &str = "
with low as materialized (
  select m.id, x.number
    from (select id from unnest($1::uuid[]) as m (id) limit $2::int8) m
   cross join lateral (
     select x.number from delivery x
      where x.conversation_id = m.id and x.state = 0 order by x.number limit 1) x
)
update delivery d
   set head = true, hinted_at = clock_timestamp() - interval '25 s'
  from low
 where d.conversation_id = low.id and d.number = low.number and not d.head";

/// A verdict that leaves the rest of the conversation alone. Stored in no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Delivered = 0,
    Retry = 1,
    Defer = 2,
    Ours = 3,
}

/// An outcome to write.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) place: Place,
    pub(super) seen: u32,
    pub(super) record: Option<AttemptRecord>,
    pub(super) verdict: Plain,
    pub(super) wait: Duration,
}

/// The attempt number that the row shows afterwards: the log's, which an unclaimed POST counts up.
fn after(seen: u32, record: Option<&AttemptRecord>) -> i64 {
    record.map_or(seen, |record| record.attempt).into()
}

impl Outcome {
    fn after(&self) -> i64 {
        after(self.seen, self.record.as_ref())
    }

    /// What leaves the row unsettled could be counted twice. After a claim it asks for the claim,
    /// which it ends; without one it counts the attempt up, which it asks for.
    fn must_be_claimed(&self) -> bool {
        self.verdict != Plain::Delivered
            && self.record.is_some()
            && self.after() == i64::from(self.seen)
    }
}

/// Writes outcomes.
#[derive(Clone, Debug)]
pub(super) struct Settler {
    pub(super) hot: Connections,
}

impl Work for Settler {
    type Item = Outcome;
    type Answer = Settlement;
    type Key = ConversationId;
    const GROUP: usize = 64;
    /// Nobody but the conversation's next delivery waits for an outcome.
    const PACE: Duration = Duration::from_millis(8);

    fn key(item: &Outcome) -> Option<ConversationId> {
        Some(item.place.conversation)
    }

    fn weight(item: &Outcome) -> usize {
        item.record.as_ref().map_or(0, |record| record.response.len())
    }

    async fn group(&self, items: &[Outcome]) -> Result<Vec<Settlement>, StoreError> {
        let held = self.hot.get().await?;
        let result = tokio::time::timeout(ROUND, settle(&held, items)).await;
        let written = held.settle(result.map_err(late).flatten())?;
        Ok(items.iter().map(|item| written.answer(item.place)).collect())
    }
}

/// What a transaction has done.
struct Written {
    conversations: HashSet<ConversationId>,
    lowest: HashMap<ConversationId, Lowest>,
}

impl Written {
    fn answer(&self, place: Place) -> Settlement {
        if self.conversations.contains(&place.conversation) {
            Settlement::Written { next: self.lowest.get(&place.conversation).cloned() }
        } else {
            Settlement::Missed
        }
    }
}

async fn settle(client: &Held, items: &[Outcome]) -> Result<Written, StoreError> {
    let records = || items.iter().map(|item| item.record.as_ref());
    let ids: Vec<Uuid> = items.iter().map(|item| item.place.conversation.uuid()).collect();
    let places: Vec<i64> = items.iter().map(|item| item.place.number).collect();
    let seen: Vec<i64> = items.iter().map(|item| item.seen.into()).collect();
    let attempts: Vec<i64> = items.iter().map(Outcome::after).collect();
    let claimed: Vec<bool> = items.iter().map(Outcome::must_be_claimed).collect();
    let verdicts: Vec<i16> = items.iter().map(|item| item.verdict as i16).collect();
    let waits: Vec<i64> = items.iter().map(|item| as_micros(item.wait)).collect();
    let statuses: Vec<_> = records().map(|r| r.map(|r| i32::from(r.status))).collect();
    let errors: Vec<_> = records().map(error_text).collect();
    let took: Vec<_> = records().map(|r| r.map(|r| i64::from(r.took_ms))).collect();
    let responses: Vec<_> = records().map(|r| r.map(|r| &*r.response)).collect();
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let parameters: [&(dyn ToSql + Sync); 12] = [
        &ids, &places, &seen, &attempts, &claimed, &verdicts, &waits, &statuses, &errors, &took,
        &responses, &count,
    ];
    transact(client, &ids, SETTLE, &parameters).await
}

fn error_text(record: Option<&AttemptRecord>) -> Option<String> {
    record?.error.as_ref().map(|error| clipped(error, 1_000))
}

/// Parks a delivery and those behind it.
pub(super) async fn park(
    hot: &Connections,
    place: Place,
    seen: u32,
    record: Option<AttemptRecord>,
    reason: ParkReason,
) -> Result<Settlement, StoreError> {
    let held = hot.get().await?;
    let record = record.as_ref();
    let attempt = after(seen, record);
    let id = place.conversation.uuid();
    let status = record.map(|record| i32::from(record.status));
    let took = record.map(|record| i64::from(record.took_ms));
    let response: Option<&[u8]> = record.map(|record| record.response.as_ref());
    let (seen, error, reason) = (i64::from(seen), error_text(record), reason.code());
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&id, &place.number, &seen, &attempt, &reason, &status, &error, &took, &response];
    let ids = [id];
    let work = transact(&held, &ids, PARK, &parameters);
    let result = tokio::time::timeout(ROUND, work).await;
    held.settle(result.map_err(late).flatten()).map(|written| written.answer(place))
}

/// Sends six messages without waiting in between; the first error tells why the rest was skipped.
async fn transact(
    client: &Held,
    ids: &[Uuid],
    write: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Written, StoreError> {
    let lock = client.prepare_cached(LOCK).await?;
    let write = client.prepare_cached(write).await?;
    let head = client.prepare_cached(HEAD).await?;
    let lowest = client.prepare_cached(LOWEST).await?;
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let ids: [&(dyn ToSql + Sync); 2] = [&ids, &count];
    let (begun, locked, written, (moved, lowest, committed)) = join4(
        client.batch_execute("begin"),
        client.execute(&lock, &ids),
        client.query(&write, parameters),
        join3(
            client.execute(&head, &ids),
            client.query(&lowest, &ids),
            client.batch_execute("commit"),
        ),
    )
    .await;
    begun?;
    locked?;
    let written = written?;
    moved?;
    let lowest = lowest?;
    committed?;
    let conversations = written
        .iter()
        .map(|row| row.try_get(0).map(ConversationId::new))
        .collect::<Result<_, _>>()?;
    Ok(Written { conversations, lowest: by_conversation(&lowest)? })
}

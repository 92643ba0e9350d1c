//! Erasing one user, and putting parked work back: both under the conversation's row lock.

use super::commit::LOCK;
use super::load::life_lock;
use super::pool::Held;
use super::settle::HEAD;
use super::wider;
use crate::domain::ids::{ChannelId, ConversationId, UserId};
use crate::store::StoreError;

/// The tombstone stands before anything is removed; numbers of lives before are never given again.
const TOMBSTONE: &str = "
insert into erasure as e (conversation_id, erased_at, version, next_delivery)
select m.id, clock_timestamp(), coalesce(c.version, 0), coalesce(c.next_delivery, 0)
  from (select $1::uuid as id) m left join conversation c on c.id = m.id
    on conflict (conversation_id) do update
   set erased_at = excluded.erased_at, version = greatest(e.version, excluded.version),
       next_delivery = greatest(e.next_delivery, excluded.next_delivery)";
const ATTEMPTS: &str = "delete from attempt where turn_id in (
    select turn_id from turn where conversation_id = $1
    union select turn_id from delivery where conversation_id = $1)";
const DELIVERIES: &str = "delete from delivery where conversation_id = $1";
/// The rows stay: they are the inbox.
const TURNS: &str =
    "update turn set reply = '', detail = '', parked = null where conversation_id = $1";
const CONVERSATION: &str = "delete from conversation where id = $1";

/// Those who create the conversation's row wait for the advisory lock, and then see the tombstone;
/// those who commit wait for the row, and then miss it.
pub(super) async fn erase(
    client: &mut Held,
    conversation: ConversationId,
    (channel, user): (&ChannelId, &UserId),
) -> Result<u64, StoreError> {
    let id = conversation.uuid();
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local statement_timeout = '60s'").await?;
    let lock = life_lock(conversation);
    transaction.execute("select pg_advisory_xact_lock($1)", &[&lock]).await?;
    transaction.execute(LOCK, &[&vec![id], &1_i64]).await?;
    transaction.execute(TOMBSTONE, &[&id]).await?;
    let mut rows = 0;
    for sql in [ATTEMPTS, DELIVERIES, TURNS, CONVERSATION] {
        rows += transaction.execute(sql, &[&id]).await?;
    }
    rows += wider::erase(&transaction, channel.as_str(), user.as_str()).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// In their old order, with numbers from the conversation's next one; attempt numbers go on, the
/// schedule restarts. The new numbers lie above all old ones, so that no two meet on the way.
const REDRIVE: &str = "
with parked as materialized (
  select number, row_number() over (order by number) - 1 as nth
    from delivery where conversation_id = $1 and state = 2
), numbered as (
  update conversation set next_delivery = next_delivery + (select count(*) from parked)
   where id = $1
  returning next_delivery - (select count(*) from parked) as first
)
update delivery d
   set number = n.first + p.nth, state = 0, reason = null, settled_at = null, redriven = true,
       failures = 0, deferrals = 0, due = clock_timestamp(), hinted_at = null
  from parked p cross join numbered n
 where d.conversation_id = $1 and d.number = p.number";

/// Nobody has been told of them: the sweep shall ring at once.
pub(super) const RING: &str = "update delivery set hinted_at = null
                                where conversation_id = $1 and state = 0 and redriven and head";

pub(super) async fn redrive(
    client: &mut Held,
    conversation: ConversationId,
) -> Result<u64, StoreError> {
    let id = conversation.uuid();
    let transaction = client.transaction().await?;
    transaction.execute(LOCK, &[&vec![id], &1_i64]).await?;
    let rows = transaction.execute(REDRIVE, &[&id]).await?;
    transaction.execute(HEAD, &[&vec![id], &1_i64]).await?;
    transaction.execute(RING, &[&id]).await?;
    transaction.commit().await?;
    Ok(rows)
}

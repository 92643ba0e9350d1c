//! Sending settled deliveries again, see [`ReplayStore`].
//!
//! Locks are taken in one order: the replay, then a conversation.

use std::time::Duration;

use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::commit::LOCK;
use super::control::LOG;
use super::erase::RING;
use super::lists::by_index;
use super::pool::{DEADLINE, Held};
use super::settle::HEAD;
use super::{Postgres, within};
use crate::domain::ids::{ChannelId, DeliveryId, TurnId};
use crate::registry::control::Audit;
use crate::store::StoreError;
use crate::store::ledger::Standing;
use crate::store::replay::{
    Begun, Chosen, Counted, MOST, Range, Replay, ReplayDraft, ReplayState, ReplayStore, SEEN,
    Stepped,
};

/// One conversation may have thousands.
const OPERATION: Duration = Duration::from_mins(1);
const PATIENCE: &str = "set local statement_timeout = '60s'; set local enable_seqscan = off";

macro_rules! columns {
    () => {
        "id, channel_id, actor, state, total, sent, passed, \
         (extract(epoch from created_at) * 1000)::int8, \
         (extract(epoch from ended_at) * 1000)::int8, from_ms, to_ms, standing, turn_id, message, \
         fingerprint"
    };
}
/// `$1` channel, `$2` and `$3` the range in milliseconds, `$4` rows that are looked at.
macro_rules! seen {
    () => {
        "select conversation_id, number, state from delivery
          where channel_id = $1::text and state <> 0
            and settled_at >= timestamptz 'epoch' + $2::int8 * interval '1 millisecond'
            and settled_at < timestamptz 'epoch' + $3::int8 * interval '1 millisecond'
          order by settled_at limit $4::int8"
    };
}

/// `$5` states.
pub(super) const COUNT: &str = concat!(
    "select count(*), count(*) filter (where state = any ($5::int2[])) from (",
    seen!(),
    ") s"
);
const BEGIN: &str = concat!(
    "insert into replay (id, once, fingerprint, actor, channel_id, from_ms, to_ms, standing,
                         turn_id, message)
     values ($1, $2, $3, $4, coalesce($5, (
               select d.channel_id from turn t join delivery d on d.conversation_id = t.conversation_id
                where t.turn_id = $9 and d.turn_id = $9 and d.message = $10 limit 1), ''),
             $6, $7, $8, $9, $10)
     on conflict (once) do nothing returning ",
    columns!()
);
const BY_KEY: &str = concat!("select ", columns!(), " from replay where once = $1");
const BY_ID: &str = concat!("select ", columns!(), " from replay where id = $1");
const PAGE: &str =
    concat!("select ", columns!(), " from replay where id < $1 order by id desc limit $2::int8");
const ONE: &str = "
insert into replay_item (replay_id, conversation_id, number)
select $1, d.conversation_id, d.number
  from turn t join delivery d on d.conversation_id = t.conversation_id
 where t.turn_id = $2 and d.turn_id = $2 and d.message = $3 and d.state <> 0";
/// `$5` states, `$6` the replay, `$7` the most that are taken.
const RANGE: &str = concat!(
    "with seen as materialized (",
    seen!(),
    "), taken as (
       insert into replay_item (replay_id, conversation_id, number)
       select $6::uuid, conversation_id, number from seen
        where state = any ($5::int2[]) limit $7::int8
       returning 1)
     select (select count(*) from seen), (select count(*) from taken)"
);
const TOTAL: &str = concat!("update replay set total = $2 where id = $1 returning ", columns!());
const CANCEL: &str = concat!(
    "update replay set state = 2, ended_at = clock_timestamp() where id = $1 and state = 0
     returning ",
    columns!()
);
const DROP_ITEMS: &str = "delete from replay_item where replay_id = $1";
const ANY: &str = "select 1 from replay where state = 0 limit 1";
const OLDEST: &str =
    "select id from replay where state = 0 order by id limit 1 for update skip locked";
const NEXT: &str = "select conversation_id from replay_item where replay_id = $1
                     order by conversation_id limit 1";
const END: &str = concat!(
    "update replay set state = 1, ended_at = clock_timestamp() where id = $1 returning ",
    columns!()
);
/// In their old order, with numbers from the conversation's next one; attempt numbers go on, the schedule
/// restarts. What is not settled under its number any more is passed over.
const APPEND: &str = "
with taken as (
  delete from replay_item where replay_id = $1 and conversation_id = $2 returning number
), again as materialized (
  select number, row_number() over (order by number) - 1 as nth
    from delivery where conversation_id = $2 and state <> 0 and number in (select number from taken)
), numbered as (
  update conversation set next_delivery = next_delivery + (select count(*) from again)
   where id = $2
  returning next_delivery - (select count(*) from again) as first
), moved as (
  update delivery d
     set number = n.first + a.nth, state = 0, reason = null, settled_at = null, redriven = true,
         failures = 0, deferrals = 0, due = clock_timestamp(), hinted_at = null,
         claimed_until = null
    from again a cross join numbered n
   where d.conversation_id = $2 and d.number = a.number
  returning 1
)
update replay set sent = sent + (select count(*) from moved),
                  passed = passed + (select count(*) from taken) - (select count(*) from moved)
 where id = $1 returning (select count(*) from moved)";

impl ReplayStore for Postgres {
    async fn count_settled(&self, range: &Range) -> Result<Counted, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = by_index(&held, count(&held, range)).await;
            held.settle(result)
        })
        .await
    }

    async fn begin_replay(&self, draft: &ReplayDraft) -> Result<Begun, StoreError> {
        within(OPERATION, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = begin(&mut held, draft).await;
            held.settle(result)
        })
        .await
    }

    async fn replay(&self, id: Uuid) -> Result<Option<Replay>, StoreError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result =
                async { held.query_opt(BY_ID, &[&id]).await?.as_ref().map(read).transpose() };
            let result = result.await;
            held.settle(result)
        })
        .await
    }

    async fn replays(&self, before: Option<Uuid>, limit: u32) -> Result<Vec<Replay>, StoreError> {
        within(DEADLINE, async {
            let (before, limit) = (before.unwrap_or(Uuid::max()), i64::from(limit));
            let held = self.0.pools.calm.get().await?;
            let result =
                async { held.query(PAGE, &[&before, &limit]).await?.iter().map(read).collect() };
            let result = result.await;
            held.settle(result)
        })
        .await
    }

    async fn cancel_replay(&self, id: Uuid, audit: &Audit) -> Result<Option<Replay>, StoreError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = cancel(&mut held, id, audit).await;
            held.settle(result)
        })
        .await
    }

    async fn step_replay(&self) -> Result<Stepped, StoreError> {
        within(OPERATION, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = step(&mut held).await;
            held.settle(result)
        })
        .await
    }
}

fn states(range: &Range) -> Vec<i16> {
    range.standings().map(Standing::code).collect()
}

async fn count(held: &Held, range: &Range) -> Result<Counted, StoreError> {
    let (channel, most, states) = (range.channel.as_str(), i64::from(SEEN) + 1, states(range));
    let row =
        held.query_one(COUNT, &[&channel, &range.from_ms, &range.to_ms, &most, &states]).await?;
    let (seen, found): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if seen >= most {
        return Ok(Counted::TooWide);
    }
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    Ok(if found > MOST { Counted::TooMany } else { Counted::Exactly(found) })
}

async fn begin(held: &mut Held, draft: &ReplayDraft) -> Result<Begun, StoreError> {
    let transaction = held.transaction().await?;
    transaction.batch_execute(PATIENCE).await?;
    let (once, fingerprint) = match &draft.once {
        Some((once, fingerprint)) => (Some(once.as_str()), fingerprint.as_str()),
        None => (None, ""),
    };
    let (range, single) = match &draft.chosen {
        Chosen::Range(range) => (Some(range), None),
        Chosen::One(id) => (None, Some((id.turn.uuid(), i32::from(id.index)))),
    };
    let channel = range.map(|range| range.channel.as_str());
    let (from, to) = (range.map(|range| range.from_ms), range.map(|range| range.to_ms));
    let standing = range.and_then(|range| range.standing).map(Standing::code);
    let (turn, message) = (single.map(|(turn, _)| turn), single.map(|(_, message)| message));
    let actor = &draft.audit.actor;
    let made = transaction
        .query_opt(
            BEGIN,
            &[
                &draft.id,
                &once,
                &fingerprint,
                actor,
                &channel,
                &from,
                &to,
                &standing,
                &turn,
                &message,
            ],
        )
        .await?;
    if made.is_none() {
        let known = transaction.query_one(BY_KEY, &[&once]).await?;
        let same = known.try_get::<_, &str>(14)? == fingerprint;
        return if same { Ok(Begun::Yes(read(&known)?)) } else { Ok(Begun::Reused) };
    }
    let total = match choose(&transaction, draft.id, &draft.chosen).await? {
        Ok(total) => total,
        // Nothing of it is kept.
        Err(no) => return Ok(no),
    };
    let row = transaction.query_one(TOTAL, &[&draft.id, &total]).await?;
    log(&transaction, &draft.audit).await?;
    transaction.commit().await?;
    Ok(Begun::Yes(read(&row)?))
}

/// How many were taken, or why none.
async fn choose(
    transaction: &Transaction<'_>,
    id: Uuid,
    chosen: &Chosen,
) -> Result<Result<i64, Begun>, StoreError> {
    let most = i64::from(MOST);
    let total = match chosen {
        Chosen::One(one) => {
            let (turn, message) = (one.turn.uuid(), i32::from(one.index));
            let rows = transaction.execute(ONE, &[&id, &turn, &message]).await?;
            i64::try_from(rows).unwrap_or(i64::MAX)
        }
        Chosen::Range(range) => {
            let (channel, states) = (range.channel.as_str(), states(range));
            let (scan, take) = (i64::from(SEEN) + 1, most + 1);
            let row = transaction
                .query_one(
                    RANGE,
                    &[&channel, &range.from_ms, &range.to_ms, &scan, &states, &id, &take],
                )
                .await?;
            if row.try_get::<_, i64>(0)? >= scan {
                return Ok(Err(Begun::TooWide));
            }
            row.try_get(1)?
        }
    };
    Ok(match total {
        0 => Err(Begun::Nothing),
        total if total > most => Err(Begun::TooMany),
        total => Ok(total),
    })
}

async fn log(transaction: &Transaction<'_>, audit: &Audit) -> Result<(), StoreError> {
    let Audit { id, actor, action, subject, detail } = audit;
    transaction.execute(LOG, &[id, actor, action, subject, detail]).await?;
    Ok(())
}

async fn cancel(held: &mut Held, id: Uuid, audit: &Audit) -> Result<Option<Replay>, StoreError> {
    let transaction = held.transaction().await?;
    let Some(row) = transaction.query_opt(CANCEL, &[&id]).await? else {
        let row = transaction.query_opt(BY_ID, &[&id]).await?;
        return row.as_ref().map(read).transpose();
    };
    transaction.execute(DROP_ITEMS, &[&id]).await?;
    log(&transaction, audit).await?;
    transaction.commit().await?;
    Ok(Some(read(&row)?))
}

async fn step(held: &mut Held) -> Result<Stepped, StoreError> {
    let any = held.prepare_cached(ANY).await?;
    if held.query_opt(&any, &[]).await?.is_none() {
        return Ok(Stepped::Idle);
    }
    let transaction = held.transaction().await?;
    transaction.batch_execute(PATIENCE).await?;
    let Some(oldest) = transaction.query_opt(OLDEST, &[]).await? else {
        return Ok(Stepped::Idle);
    };
    let id: Uuid = oldest.try_get(0)?;
    let Some(next) = transaction.query_opt(NEXT, &[&id]).await? else {
        let row = transaction.query_one(END, &[&id]).await?;
        transaction.commit().await?;
        return Ok(Stepped::Ended(read(&row)?));
    };
    let conversation: Uuid = next.try_get(0)?;
    // What follows sees what was there when the lock was given.
    transaction.execute(LOCK, &[&vec![conversation], &1_i64]).await?;
    let row = transaction.query_one(APPEND, &[&id, &conversation]).await?;
    let moved: i64 = row.try_get(0)?;
    if moved > 0 {
        transaction.execute(HEAD, &[&vec![conversation], &1_i64]).await?;
        transaction.execute(RING, &[&conversation]).await?;
    }
    transaction.commit().await?;
    Ok(Stepped::Appended(moved.unsigned_abs()))
}

fn read(row: &Row) -> Result<Replay, StoreError> {
    let channel = ChannelId::from(row.try_get::<_, &str>(1)?);
    let code: i16 = row.try_get(3)?;
    let newer = |code| StoreError::Refused(format!("a newer release wrote {code}"));
    let (from, to): (Option<i64>, Option<i64>) = (row.try_get(9)?, row.try_get(10)?);
    let one: Option<Uuid> = row.try_get(12)?;
    let chosen = if let Some(turn) = one {
        let message: i32 = row.try_get(13)?;
        let index = u16::try_from(message).unwrap_or(u16::MAX);
        Chosen::One(DeliveryId { turn: TurnId::new(turn), index })
    } else {
        let standing: Option<i16> = row.try_get(11)?;
        let (from_ms, to_ms) = (from.unwrap_or(0), to.unwrap_or(0));
        let standing = standing.and_then(Standing::from_code);
        Chosen::Range(Range { channel: channel.clone(), from_ms, to_ms, standing })
    };
    let count = |column| Ok::<_, StoreError>(row.try_get::<_, i64>(column)?.unsigned_abs());
    Ok(Replay {
        id: row.try_get(0)?,
        channel,
        chosen,
        actor: row.try_get(2)?,
        state: ReplayState::from_code(code).ok_or_else(|| newer(code))?,
        total: count(4)?,
        sent: count(5)?,
        passed: count(6)?,
        created_ms: count(7)?,
        ended_ms: row.try_get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
    })
}

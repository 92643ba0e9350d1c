//! The committer: one group, one transaction, one round trip.
//!
//! One statement moves the versions that match and inserts for the winners alone. Its update takes the
//! conversations in the order of their ids, and a row that it had to wait for is looked at again: whoever
//! held it has moved the version or erased the row.
//!
//! A group with deliveries locks its conversations first, so that the statement has a snapshot (READ
//! COMMITTED) from after the locks: `head` must not be read before a settlement that the update waits for.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::{join, join4};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use super::batch::Work;
use super::error::late;
use super::load::unix_ms;
use super::pool::{Connections, Held, ROUND};
use super::wider;
use crate::domain::wider::{Change, Effect};
use crate::fault::{self, Defect, Point};
use crate::store::text::clipped;
use crate::store::{Committed, StoreError, TurnCommit};

/// Locks conversations in the order of their ids; `no key update` is what an update that leaves the
/// key alone takes. One look-up after another, in a nested loop over the sorted ids: the planner has
/// nothing to choose. ($2 is their number, see [`super::pool`] on limits.)
pub(super) const LOCK: &str = "
select 1 from (select id from unnest($1::uuid[]) as m (id) order by id limit $2::int8) m
 cross join lateral (
   select 1 from conversation c where c.id = m.id offset 0 for no key update) c";

/// The two bounds on the turn's id ($14, $15) let the executor look into the group's days only. A
/// member's deliveries are `$16[bodies + 1 ..= bodies + deliveries]`.
const COMMIT: &str = "
with m as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::bytea[], $5::int8[], $6::text[],
                       $7::text[], $8::int2[], $9::text[], $10::bytea[], $11::bytea[], $12::int8[],
                       $13::int8[], $17::int8[], $18::int4[])
    as m (conversation_id, turn_id, version, session, deliveries, client_id, channel_id, outcome,
          detail, reply, parked, queued_ms, bot_ms, unix_ms, bodies) limit $19::int8
), won as (
  update conversation c
     set version = c.version + 1, next_delivery = c.next_delivery + m.deliveries,
         session = m.session, used_at = clock_timestamp(),
         used_day = (clock_timestamp() at time zone 'UTC')::date
    from m
   where c.id = m.conversation_id and c.version = m.version
     and not exists (select from turn t where t.turn_id = m.turn_id and t.turn_id between $14 and $15
                      offset 0)
     and not exists (select from erasure e where e.conversation_id = m.conversation_id
                        and e.erased_at >= to_timestamp(m.unix_ms / 1000.0) offset 0)
  returning m.*, c.hash, c.version as new_version, c.next_delivery - m.deliveries as first_delivery,
            m.deliveries > 0 and not exists (
              select from delivery x where x.conversation_id = c.id and x.state = 0) as head
), ledger as (
  insert into turn (turn_id, conversation_id, client_id, channel_id, outcome, detail, reply, parked,
                    queued_ms, bot_ms, committed_at)
  select turn_id, conversation_id, client_id, channel_id, outcome, detail, reply, parked,
         queued_ms, bot_ms, clock_timestamp()
    from won
), queued as (
  insert into delivery (conversation_id, number, turn_id, message, channel_id, hash, body, state,
                        attempt, failures, deferrals, redriven, head, due, hinted_at)
  select w.conversation_id, w.first_delivery + d.message, w.turn_id, d.message, w.channel_id, w.hash,
         ($16::bytea[])[w.bodies + d.message + 1], 0, 0, 0, 0, false, w.head and d.message = 0,
         now.at, now.at
    from won w
   cross join lateral generate_series(0, w.deliveries::int4 - 1) as d (message)
   cross join (select clock_timestamp() as at) now
)
select turn_id, new_version, first_delivery, head from won";

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Committer {
    pub(super) hot: Connections,
}

impl Work for Committer {
    /// The conversation's id and the commit.
    type Item = (Uuid, TurnCommit);
    /// `None`: the version has moved, or the turn is in the inbox.
    type Answer = Option<Committed>;
    type Key = Uuid;
    const GROUP: usize = 64;

    fn key(item: &Self::Item) -> Option<Uuid> {
        Some(item.0)
    }

    fn weight((_, commit): &Self::Item) -> usize {
        let record = &commit.record;
        commit.session.state.len()
            + record.reply.len()
            + record.parked.as_ref().map_or(0, Bytes::len)
            + commit.deliveries.iter().map(Bytes::len).sum::<usize>()
            + commit.wider.iter().map(weight_of).sum::<usize>()
    }

    async fn group(&self, items: &[Self::Item]) -> Result<Vec<Self::Answer>, StoreError> {
        let held = self.hot.get().await?;
        let result = tokio::time::timeout(ROUND, transact(&held, items)).await;
        let won = held.settle(result.map_err(late).flatten())?;
        Ok(items.iter().map(|(_, commit)| won.get(&commit.record.turn.uuid()).copied()).collect())
    }
}

fn weight_of(change: &Change) -> usize {
    match &change.effect {
        Effect::Put(value, _) => value.len(),
        Effect::Delete | Effect::Add(_) => 0,
    }
}

type Won = HashMap<Uuid, Committed>;

/// Sends its messages without waiting in between. When one fails, the server skips the rest and its
/// `commit` rolls back; the first error is the one that tells why.
async fn transact(client: &Held, items: &[(Uuid, TurnCommit)]) -> Result<Won, StoreError> {
    let statement = client.prepare_cached(&statement()).await?;
    let columns = Columns::of(items);
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let parameters = columns.parameters(&count);
    if items.iter().any(|(_, commit)| !commit.wider.is_empty()) {
        return with_wider(client, items, &columns.ids, &statement, &parameters).await;
    }
    if columns.bodies.is_empty() {
        let sent = client.query(&statement, &parameters);
        return all_won(&join(sent, fault::settled(Point::TurnInTransaction)).await.0?);
    }
    let lock = client.prepare_cached(LOCK).await?;
    let ids: [&(dyn ToSql + Sync); 2] = [&columns.ids, &count];
    let (begun, locked, won, committed) = join4(
        client.batch_execute("begin"),
        client.execute(&lock, &ids),
        client.query(&statement, &parameters),
        async {
            fault::settled(Point::TurnInTransaction).await;
            client.batch_execute("commit").await
        },
    )
    .await;
    begun?;
    locked?;
    let won = won?;
    committed?;
    all_won(&won)
}

/// A group with changes beyond its conversations: what the winners changed is only known when they are.
async fn with_wider(
    client: &Held,
    items: &[(Uuid, TurnCommit)],
    ids: &Vec<Uuid>,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Won, StoreError> {
    let lock = client.prepare_cached(LOCK).await?;
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    client.batch_execute("begin").await?;
    let done = async {
        client.execute(&lock, &[ids, &count]).await?;
        let won = all_won(&client.query(statement, parameters).await?)?;
        let winners =
            items.iter().filter(|(_, commit)| won.contains_key(&commit.record.turn.uuid()));
        wider::apply(client, winners.flat_map(|(_, commit)| &commit.wider)).await?;
        fault::settled(Point::TurnInTransaction).await;
        client.batch_execute("commit").await?;
        Ok(won)
    };
    let done = done.await;
    if done.is_err() {
        // The refusal of one is tried again without the others: the connection must be fit for it.
        client.batch_execute("rollback").await?;
    }
    done
}

fn all_won(rows: &[Row]) -> Result<Won, StoreError> {
    Ok(rows.iter().map(committed_row).collect::<Result<_, _>>()?)
}

fn statement() -> Cow<'static, str> {
    if !fault::has(Defect::NoFence) {
        return Cow::Borrowed(COMMIT);
    }
    let unfenced = COMMIT.replace("and c.version = m.version", "");
    let unfenced = unfenced.replace("t.turn_id = m.turn_id and", "false and");
    Cow::Owned(
        unfenced.replace("from won\n), queued", "from won on conflict do nothing\n), queued"),
    )
}

fn committed_row(row: &Row) -> Result<(Uuid, Committed), tokio_postgres::Error> {
    let committed = Committed {
        version: row.try_get(1)?,
        first_delivery: row.try_get(2)?,
        head: row.try_get(3)?,
    };
    Ok((row.try_get(0)?, committed))
}

/// A group as arrays, one element a member, in the order of the conversations' ids; and one element a
/// delivery.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    turns: Vec<Uuid>,
    versions: Vec<i64>,
    sessions: Vec<&'a [u8]>,
    deliveries: Vec<i64>,
    clients: Vec<&'a str>,
    channels: Vec<&'a str>,
    outcomes: Vec<i16>,
    details: Vec<String>,
    replies: Vec<&'a [u8]>,
    parked: Vec<Option<&'a [u8]>>,
    queued_ms: Vec<i64>,
    bot_ms: Vec<i64>,
    first_turn: Uuid,
    last_turn: Uuid,
    times: Vec<i64>,
    /// Where a member's bodies begin in `bodies`.
    first_body: Vec<i32>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(items: &'a [(Uuid, TurnCommit)]) -> Self {
        let mut columns = Self { first_turn: Uuid::max(), ..Self::default() };
        let mut sorted: Vec<_> = items.iter().collect();
        sorted.sort_by_key(|(id, _)| *id);
        for (id, commit) in sorted {
            columns.push(*id, commit);
        }
        columns
    }

    fn push(&mut self, id: Uuid, commit: &'a TurnCommit) {
        let record = &commit.record;
        let turn = record.turn.uuid();
        self.ids.push(id);
        self.turns.push(turn);
        self.first_turn = self.first_turn.min(turn);
        self.last_turn = self.last_turn.max(turn);
        self.times.push(unix_ms(record.turn));
        self.versions.push(commit.version);
        self.sessions.push(&commit.session.state);
        self.clients.push(record.client.as_str());
        self.channels.push(record.channel.as_str());
        self.outcomes.push(record.outcome.code());
        self.details.push(clipped(&record.detail, 1_000));
        self.replies.push(&record.reply);
        self.parked.push(record.parked.as_deref());
        self.queued_ms.push(record.queued_ms.into());
        self.bot_ms.push(record.bot_ms.into());
        self.deliveries.push(i64::try_from(commit.deliveries.len()).unwrap_or(i64::MAX));
        self.first_body.push(i32::try_from(self.bodies.len()).unwrap_or(i32::MAX));
        self.bodies.extend(commit.deliveries.iter().map(|body| &body[..]));
    }

    fn parameters<'b>(&'b self, count: &'b i64) -> [&'b (dyn ToSql + Sync); 19] {
        [
            &self.ids,
            &self.turns,
            &self.versions,
            &self.sessions,
            &self.deliveries,
            &self.clients,
            &self.channels,
            &self.outcomes,
            &self.details,
            &self.replies,
            &self.parked,
            &self.queued_ms,
            &self.bot_ms,
            &self.first_turn,
            &self.last_turn,
            &self.bodies,
            &self.times,
            &self.first_body,
            count,
        ]
    }
}

//! Loading: conversation, inbox and erasure of all that ask at one moment, in one statement. A new
//! conversation's row is made by a statement of its own, then read like any other.

use bytes::Bytes;
use futures_util::future::join4;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::Work;
use super::error::late;
use super::pool::{Connections, Held, ROUND};
use super::rows::micros;
use crate::domain::ids::{ConversationId, ConversationKey, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::{Conversation, Session, SettledTurn, StoreError};

const READ: &str = "
select m.at, c.version, c.session,
       (extract(epoch from clock_timestamp() - c.used_at) * 1000000)::int8,
       t.outcome, t.reply,
       coalesce(e.erased_at >= to_timestamp(m.unix_ms / 1000.0), false)
  from (select * from unnest($1::uuid[], $2::uuid[], $3::int8[]) with ordinality
          as m (conversation_id, turn_id, unix_ms, at) limit $6::int8) m
  left join conversation c on c.id = m.conversation_id
  left join turn t on t.turn_id = m.turn_id and t.turn_id between $4 and $5
  left join erasure e on e.conversation_id = m.conversation_id";

/// An erasure takes the same lock alone: whoever gets it later sees what the other has done.
const SHARE: &str = "
select pg_advisory_xact_lock_shared(k.key)
  from (select distinct unnest($1::int8[]) as key order by 1) k";

const CREATE: &str = "
insert into conversation (id, channel_id, user_id, hash, version, next_delivery, session, used_at,
                          used_day)
select m.id, m.channel_id, m.user_id, m.hash, greatest(born.micros, e.version + 1),
       greatest(born.micros, e.next_delivery + 1), '', born.at, (born.at at time zone 'UTC')::date
  from (select * from unnest($1::uuid[], $2::text[], $3::text[], $4::int8[], $5::int8[])
          as m (id, channel_id, user_id, hash, unix_ms) limit $6::int8) m
  left join erasure e on e.conversation_id = m.id
 cross join lateral (
   select at, (extract(epoch from at) * 1000000)::int8 as micros
     from (select clock_timestamp() as at) clock) born
 where e.erased_at is null or e.erased_at < to_timestamp(m.unix_ms / 1000.0)
 order by m.id
    on conflict do nothing";

/// The number of the advisory lock that creating and erasing a conversation share.
pub(super) fn life_lock(conversation: ConversationId) -> i64 {
    let mut head = [0; 8];
    head.copy_from_slice(&conversation.uuid().as_bytes()[..8]);
    i64::from_le_bytes(head)
}

/// Whose conversation is loaded for which turn.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: ConversationId,
    pub(super) key: ConversationKey,
    pub(super) turn: TurnId,
}

/// What the rows say.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) conversation: Option<Conversation>,
    pub(super) settled: Option<SettledTurn>,
    /// The user was erased after this turn was made.
    pub(super) erased: bool,
}

/// Reads.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) hot: Connections,
}

impl Work for Reader {
    type Item = Wanted;
    type Answer = Found;
    type Key = ();
    const GROUP: usize = 64;

    fn key(_: &Wanted) -> Option<()> {
        None
    }

    fn weight(_: &Wanted) -> usize {
        0
    }

    async fn group(&self, items: &[Wanted]) -> Result<Vec<Found>, StoreError> {
        let held = self.hot.get().await?;
        let result = tokio::time::timeout(ROUND, read(&held, items)).await;
        held.settle(result.map_err(late).flatten())
    }
}

async fn read(client: &Held, items: &[Wanted]) -> Result<Vec<Found>, StoreError> {
    let statement = client.prepare_cached(READ).await?;
    let ids: Vec<Uuid> = items.iter().map(|item| item.id.uuid()).collect();
    let turns: Vec<Uuid> = items.iter().map(|item| item.turn.uuid()).collect();
    let times: Vec<i64> = items.iter().map(|item| unix_ms(item.turn)).collect();
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let first = turns.iter().min().copied().unwrap_or_default();
    let last = turns.iter().max().copied().unwrap_or_default();
    let rows = client.query(&statement, &[&ids, &turns, &times, &first, &last, &count]).await?;
    let nothing = Found { conversation: None, settled: None, erased: false };
    let mut found = vec![nothing; items.len()];
    for row in &rows {
        let at: i64 = row.try_get(0)?;
        let at = usize::try_from(at - 1).unwrap_or(usize::MAX);
        if let (Some(item), Some(slot)) = (items.get(at), found.get_mut(at)) {
            *slot = one(item.id, row)?;
        }
    }
    Ok(found)
}

fn one(id: ConversationId, row: &Row) -> Result<Found, StoreError> {
    let conversation = match row.try_get::<_, Option<i64>>(1)? {
        None => None,
        Some(version) => Some(Conversation {
            id,
            version,
            session: Session { state: Bytes::copy_from_slice(row.try_get(2)?) },
            idle: micros(row.try_get(3)?),
        }),
    };
    let settled = match row.try_get::<_, Option<i16>>(4)? {
        None => None,
        Some(code) => Some(settled_turn(code, row.try_get(5)?)?),
    };
    Ok(Found { conversation, settled, erased: row.try_get(6)? })
}

/// A turn's row as the inbox and the poll see it.
pub(super) fn settled_turn(code: i16, reply: &[u8]) -> Result<SettledTurn, StoreError> {
    let outcome = Outcome::from_code(code)
        .ok_or_else(|| StoreError::Away(format!("a newer release wrote outcome {code}")))?;
    Ok(SettledTurn { outcome, reply: Bytes::copy_from_slice(reply) })
}

pub(super) fn unix_ms(turn: TurnId) -> i64 {
    i64::try_from(turn.unix_ms()).unwrap_or(i64::MAX)
}

/// Makes rows for new conversations.
#[derive(Clone, Debug)]
pub(super) struct Creator {
    pub(super) hot: Connections,
}

impl Work for Creator {
    type Item = Wanted;
    type Answer = ();
    type Key = ConversationId;
    const GROUP: usize = 64;

    fn key(item: &Wanted) -> Option<ConversationId> {
        Some(item.id)
    }

    fn weight(_: &Wanted) -> usize {
        0
    }

    async fn group(&self, items: &[Wanted]) -> Result<Vec<()>, StoreError> {
        let held = self.hot.get().await?;
        let result = tokio::time::timeout(ROUND, create(&held, items)).await;
        held.settle(result.map_err(late).flatten())?;
        Ok(vec![(); items.len()])
    }
}

async fn create(client: &Held, items: &[Wanted]) -> Result<(), StoreError> {
    let share = client.prepare_cached(SHARE).await?;
    let statement = client.prepare_cached(CREATE).await?;
    let locks: Vec<i64> = items.iter().map(|item| life_lock(item.id)).collect();
    let ids: Vec<Uuid> = items.iter().map(|item| item.id.uuid()).collect();
    let channels: Vec<&str> = items.iter().map(|item| item.key.channel.as_str()).collect();
    let users: Vec<&str> = items.iter().map(|item| item.key.user.as_str()).collect();
    let hashes: Vec<i64> = items.iter().map(|item| item.key.hash().cast_signed()).collect();
    let times: Vec<i64> = items.iter().map(|item| unix_ms(item.turn)).collect();
    let locks: [&(dyn ToSql + Sync); 1] = [&locks];
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let columns: [&(dyn ToSql + Sync); 6] = [&ids, &channels, &users, &hashes, &times, &count];
    let (begun, shared, created, committed) = join4(
        client.batch_execute("begin"),
        client.execute(&share, &locks),
        client.execute(&statement, &columns),
        client.batch_execute("commit"),
    )
    .await;
    begun?;
    shared?;
    created?;
    committed?;
    Ok(())
}

//! What a dispatcher needs, see [`Turns`].

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::Sqlite;
use super::commit::{commit, erased};
use super::rows::{self, delivery_columns, settled_turn, until};
use super::wider;
use crate::domain::delivery::Delivery;
use crate::domain::ids::{ConversationId, ConversationKey, TurnId};
use crate::domain::outcome::Outcome;
use crate::domain::wider::{Kept, Scope};
use crate::store::text::clipped;
use crate::store::{
    CommitError, Committed, Conversation, Deaths, Session, SettledTurn, StoreError, TurnCommit,
    Turns,
};
use crate::topology::Queue;

const TURN: &str = "select outcome, reply from turn where turn_id = ?1";
const CONVERSATION: &str = "select version, state, touched_at from conversation where id = ?1";
/// Born above every number of a life before.
const BIRTH: &str = "
insert into conversation (id, channel_id, user_id, hash, version, next_delivery, state, touched_at)
select ?1, ?2, ?3, ?4,
       max(?5 * 1000, coalesce((select version + 1 from erasure where conversation = ?1), 0)),
       max(?5 * 1000, coalesce((select next_delivery + 1 from erasure where conversation = ?1), 0)),
       x'', ?5
 where true
    on conflict do nothing";
const UNSETTLED: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d
     where d.conversation = ?1 and d.state = 0 and d.turn_id = ?2 order by d.number"
);
const MARK: &str = "
insert into mark (turn_id, process, solo, at) values (?1, ?2, ?3, ?4)
    on conflict (turn_id, process) do update set solo = excluded.solo, at = excluded.at";
const DEATHS: &str =
    "select count(*), coalesce(sum(solo), 0) from mark where turn_id = ?1 and process <> ?2";
const UNMARK: &str = "delete from mark where turn_id = ?1 and process = ?2";
const STRAY: &str = "insert into stray (queue, body, reason, at) values (?1, ?2, ?3, ?4)";

impl Turns for Sqlite {
    async fn load(
        &self,
        key: &ConversationKey,
        turn: TurnId,
    ) -> Result<(Conversation, Option<SettledTurn>), StoreError> {
        let (id, now) = (key.id(), self.now());
        if let Some(loaded) = self.read(move |c| load(c, id, turn, now)).await? {
            return Ok(loaded);
        }
        let key = key.clone();
        let born = self.write(move |c| {
            // An erasure may have come in between: then nothing is to be born.
            if !erased(c, id, turn)? {
                let (channel, user) = (key.channel.as_str(), key.user.as_str());
                let hash = key.hash().cast_signed();
                c.prepare_cached(BIRTH)?.execute(params![
                    id.uuid().as_bytes(),
                    channel,
                    user,
                    hash,
                    now
                ])?;
            }
            load(c, id, turn, now)
        });
        let gone = || StoreError::Away("the conversation is gone again".to_owned());
        born.await?.ok_or_else(gone)
    }

    async fn commit(&self, commit_of: TurnCommit) -> Result<Committed, CommitError> {
        let now = self.now();
        self.write(move |c| commit(c, &commit_of, now)).await?.ok_or(CommitError::Missed)
    }

    async fn wider(&self, scopes: &[Scope]) -> Result<Vec<Kept>, StoreError> {
        let (scopes, now) = (scopes.to_vec(), self.now());
        self.read(move |c| wider::read(c, &scopes, now)).await
    }

    async fn unsettled(
        &self,
        conversation: ConversationId,
        turn: TurnId,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |c| {
            let (conversation, turn) = (conversation.uuid(), turn.uuid());
            let mut statement = c.prepare_cached(UNSETTLED)?;
            let found = statement
                .query_map(params![conversation.as_bytes(), turn.as_bytes()], rows::delivery)?;
            found.collect()
        })
        .await
    }

    async fn mark(&self, turn: TurnId, process: Uuid, solo: bool) -> Result<Deaths, StoreError> {
        let now = self.now();
        self.write(move |c| {
            let turn = turn.uuid();
            let (turn, process) = (turn.as_bytes(), process.as_bytes());
            c.prepare_cached(MARK)?.execute(params![turn, process, solo, now])?;
            c.prepare_cached(DEATHS)?.query_row(params![turn, process], |row| {
                Ok(Deaths { all: row.get(0)?, solo: row.get(1)? })
            })
        })
        .await
    }

    async fn unmark(&self, turn: TurnId, process: Uuid) -> Result<(), StoreError> {
        self.write(move |c| {
            let turn = turn.uuid();
            c.prepare_cached(UNMARK)?.execute(params![turn.as_bytes(), process.as_bytes()])
        })
        .await
        .map(drop)
    }

    async fn keep_stray(&self, queue: Queue, body: Bytes, reason: &str) -> Result<(), StoreError> {
        let (now, reason) = (self.now(), clipped(reason, 1_000));
        self.write(move |c| {
            let row = params![queue_code(queue), &*body, reason, now];
            c.prepare_cached(STRAY)?.execute(row)
        })
        .await
        .map(drop)
    }
}

const fn queue_code(queue: Queue) -> u8 {
    match queue {
        Queue::Turns => 0,
        Queue::Deliveries => 1,
    }
}

/// `None`: the conversation has no row, and this turn is to have one.
fn load(
    connection: &Connection,
    id: ConversationId,
    turn: TurnId,
    now: i64,
) -> rusqlite::Result<Option<(Conversation, Option<SettledTurn>)>> {
    let settled = connection
        .prepare_cached(TURN)?
        .query_row(params![turn.uuid().as_bytes()], |row| settled_turn(row, 0))
        .optional()?;
    // Of a turn that is older than its user's erasure nothing is left: it counts as settled.
    let settled = match settled {
        None if erased(connection, id, turn)? => {
            Some(SettledTurn { outcome: Outcome::Parked, reply: Bytes::new() })
        }
        settled => settled,
    };
    let conversation = connection
        .prepare_cached(CONVERSATION)?
        .query_row(params![id.uuid().as_bytes()], |row| {
            Ok(Conversation {
                id,
                version: row.get(0)?,
                session: Session { state: rows::bytes(row, 1)? },
                idle: until(now, row.get(2)?),
            })
        })
        .optional()?;
    // Nothing runs on a settled turn's conversation, so there is no need to make one.
    let nobody = Conversation { id, version: 0, session: Session::default(), idle: Duration::ZERO };
    let conversation = conversation.or_else(|| settled.is_some().then_some(nobody));
    Ok(conversation.map(|conversation| (conversation, settled)))
}

//! What a deliverer reads: the lowest delivery of a conversation, those of a turn, those that are due.

use std::collections::HashMap;

use uuid::Uuid;

use super::batch::Work;
use super::error::late;
use super::pool::{Connections, Held, ROUND};
use super::rows::{self, delivery_columns, lowest_columns};
use crate::domain::delivery::Delivery;
use crate::domain::ids::{ChannelId, ConversationId, TurnId};
use crate::store::{Lowest, StoreError};

pub(super) const LOWEST: &str = concat!(
    "select ",
    lowest_columns!(),
    " from (select id from unnest($1::uuid[]) as m (id) limit $2::int8) m
     cross join lateral (
       select * from delivery x
        where x.conversation_id = m.id and x.state = 0 order by x.number limit 1) d
      left join channel c on c.id = d.channel_id"
);

const UNSETTLED: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d
     where d.conversation_id = $1 and d.state = 0 and d.turn_id = $2
     order by d.number"
);

/// `statement_timestamp()` can bound an index scan, which `clock_timestamp()` cannot; here the
/// statement starts when it is asked for.
const DUE: &str = concat!(
    "select ",
    lowest_columns!(),
    " from (
       select * from delivery x
        where x.channel_id = $1 and x.head and x.state = 0 and x.due <= statement_timestamp()
          and (x.claimed_until is null or x.claimed_until <= statement_timestamp())
        order by x.due limit $2) d
      left join channel c on c.id = d.channel_id
     order by d.due"
);

/// Reads the lowest unsettled delivery of each conversation.
#[derive(Clone, Debug)]
pub(super) struct LowestReader {
    pub(super) hot: Connections,
}

impl Work for LowestReader {
    type Item = ConversationId;
    type Answer = Option<Lowest>;
    type Key = ();
    const GROUP: usize = 64;

    fn key(_: &ConversationId) -> Option<()> {
        None
    }

    fn weight(_: &ConversationId) -> usize {
        0
    }

    async fn group(&self, items: &[ConversationId]) -> Result<Vec<Self::Answer>, StoreError> {
        let held = self.hot.get().await?;
        let ids: Vec<Uuid> = items.iter().map(|id| id.uuid()).collect();
        let result = tokio::time::timeout(ROUND, lowest(&held, &ids)).await;
        let found = held.settle(result.map_err(late).flatten())?;
        Ok(items.iter().map(|id| found.get(id).cloned()).collect())
    }
}

pub(super) async fn lowest(
    client: &Held,
    ids: &[Uuid],
) -> Result<HashMap<ConversationId, Lowest>, StoreError> {
    let statement = client.prepare_cached(LOWEST).await?;
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let rows = client.query(&statement, &[&ids, &count]).await?;
    by_conversation(&rows)
}

pub(super) fn by_conversation(
    rows: &[tokio_postgres::Row],
) -> Result<HashMap<ConversationId, Lowest>, StoreError> {
    rows.iter()
        .map(|row| rows::lowest(row).map(|lowest| (lowest.delivery.place.conversation, lowest)))
        .collect()
}

pub(super) async fn unsettled(
    hot: &Connections,
    conversation: ConversationId,
    turn: TurnId,
) -> Result<Vec<Delivery>, StoreError> {
    let held = hot.get().await?;
    let work = async {
        let statement = held.prepare_cached(UNSETTLED).await?;
        let rows = held.query(&statement, &[&conversation.uuid(), &turn.uuid()]).await?;
        rows.iter().map(rows::delivery).collect()
    };
    let result = tokio::time::timeout(ROUND, work).await;
    held.settle(result.map_err(late).flatten())
}

pub(super) async fn due(
    calm: &Connections,
    channel: &ChannelId,
    limit: u32,
) -> Result<Vec<Lowest>, StoreError> {
    let held = calm.get().await?;
    let work = async {
        let statement = held.prepare_cached(DUE).await?;
        let rows = held.query(&statement, &[&channel.as_str(), &i64::from(limit)]).await?;
        rows.iter().map(rows::lowest).collect()
    };
    let result = tokio::time::timeout(ROUND, work).await;
    held.settle(result.map_err(late).flatten())
}

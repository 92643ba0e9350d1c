//! What ingress needs, see [`Intake`].

use std::time::Duration;

use uuid::Uuid;

use super::keys::Used;
use super::load::settled_turn;
use super::pool::{Connections, DEADLINE};
use super::{Postgres, within};
use crate::domain::ids::{ChannelId, ClientId, TurnId};
use crate::store::{Intake, KeyUse, SettledTurn, StoreError};

const HEALTH: Duration = Duration::from_secs(1);
/// How often a key's row may be cleaned away between the claim and the reading.
const KEY_TRIES: usize = 3;

/// Each pair is judged by itself: another app's turn is as if it had no row.
const OUTCOMES: &str = "
select t.turn_id, t.outcome, t.reply
  from (select distinct * from (
          select * from unnest($1::uuid[], $2::text[]) as m (turn_id, client_id) limit $5::int8) m) m
  join turn t on t.turn_id = m.turn_id and t.client_id = m.client_id
 where t.turn_id between $3 and $4 and t.committed_at > clock_timestamp() - interval '24 h'";

impl Intake for Postgres {
    async fn use_key(
        &self,
        channel: &ChannelId,
        key: &str,
        fingerprint: [u8; 32],
        turn: TurnId,
    ) -> Result<KeyUse, StoreError> {
        let used = Used { channel: channel.clone(), key: key.to_owned(), fingerprint, turn };
        let work = async {
            for _ in 0..KEY_TRIES {
                if let Some(found) = self.0.keys.ask(used.clone()).await? {
                    return Ok(found);
                }
            }
            Err(StoreError::Away("the key's row comes and goes".to_owned()))
        };
        within(DEADLINE, work).await
    }

    async fn outcomes(
        &self,
        turns: &[(ClientId, TurnId)],
    ) -> Result<Vec<(TurnId, SettledTurn)>, StoreError> {
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        within(DEADLINE, outcomes(&self.0.pools.hot, turns)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let work = async {
            // A connection that broke since it was last used is no sign that the database is away.
            if ping(&self.0.pools.ping).await.is_ok() {
                return Ok(());
            }
            ping(&self.0.pools.ping).await
        };
        within(HEALTH, work).await
    }
}

async fn outcomes(
    hot: &Connections,
    turns: &[(ClientId, TurnId)],
) -> Result<Vec<(TurnId, SettledTurn)>, StoreError> {
    let held = hot.get().await?;
    let ids: Vec<Uuid> = turns.iter().map(|(_, turn)| turn.uuid()).collect();
    let clients: Vec<&str> = turns.iter().map(|(client, _)| client.as_str()).collect();
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let first = ids.iter().min().copied().unwrap_or_default();
    let last = ids.iter().max().copied().unwrap_or_default();
    let work = async {
        let statement = held.prepare_cached(OUTCOMES).await?;
        let rows = held.query(&statement, &[&ids, &clients, &first, &last, &count]).await?;
        let one = |row: &tokio_postgres::Row| {
            let turn = TurnId::new(row.try_get(0)?);
            Ok((turn, settled_turn(row.try_get(1)?, row.try_get(2)?)?))
        };
        rows.iter().map(one).collect()
    };
    let result = work.await;
    held.settle(result)
}

async fn ping(connections: &Connections) -> Result<(), StoreError> {
    let held = connections.get().await?;
    let result = held.simple_query("select 1").await.map(drop).map_err(StoreError::from);
    held.settle(result)
}

//! What ingress needs, see [`Intake`].

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};

use super::Sqlite;
use super::rows::{self, Id};
use crate::broker::Health;
use crate::domain::ids::{ChannelId, ClientId, TurnId};
use crate::store::{Intake, KeyUse, SettledTurn, StoreError};

const PING_MAX: Duration = Duration::from_secs(1);
/// How long a key stands for its turn, and how long an answer is handed out.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

const KEY: &str = "select fingerprint, turn_id from idempotency
                    where channel_id = ?1 and key = ?2 and expires_at >= ?3";
const USE_KEY: &str = "
insert or replace into idempotency (channel_id, key, fingerprint, turn_id, expires_at)
values (?1, ?2, ?3, ?4, ?5)";
const OUTCOME: &str = "select outcome, reply from turn
                        where turn_id = ?1 and client_id = ?2 and committed_at > ?3";

impl Intake for Sqlite {
    async fn use_key(
        &self,
        channel: &ChannelId,
        key: &str,
        fingerprint: [u8; 32],
        turn: TurnId,
    ) -> Result<KeyUse, StoreError> {
        let (channel, key, now) = (channel.clone(), key.to_owned(), self.now());
        self.write(move |c| {
            let channel = channel.as_str();
            let standing = c
                .prepare_cached(KEY)?
                .query_row(params![channel, key, now], |row| {
                    let Id(turn) = row.get(1)?;
                    Ok((row.get_ref(0)?.as_blob()? == fingerprint, TurnId::new(turn)))
                })
                .optional()?;
            if let Some((same, first)) = standing {
                return Ok(if same { KeyUse::Repeat(first) } else { KeyUse::Mismatch });
            }
            let turn = turn.uuid();
            let row = params![channel, key, &fingerprint[..], turn.as_bytes(), now + KEPT_MS];
            c.prepare_cached(USE_KEY)?.execute(row)?;
            Ok(KeyUse::New)
        })
        .await
    }

    async fn outcomes(
        &self,
        turns: &[(ClientId, TurnId)],
    ) -> Result<Vec<(TurnId, SettledTurn)>, StoreError> {
        let oldest = self.now() - KEPT_MS;
        let mut turns = turns.to_vec();
        turns.sort_unstable();
        turns.dedup();
        self.read(move |c| {
            let mut statement = c.prepare_cached(OUTCOME)?;
            let mut found = Vec::new();
            for (client, turn) in turns {
                let id = turn.uuid();
                let asked = params![id.as_bytes(), client.as_str(), oldest];
                let settled =
                    statement.query_row(asked, |row| rows::settled_turn(row, 0)).optional()?;
                found.extend(settled.map(|settled| (turn, settled)));
            }
            Ok(found)
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if *self.database.health().borrow() != Health::Up {
            return Err(StoreError::Away("the file cannot be written".to_owned()));
        }
        let read = self.read(|c| c.query_row("select 1", [], |_| Ok(())));
        let late = |_| StoreError::Away("no answer within a second".to_owned());
        tokio::time::timeout(PING_MAX, read).await.map_err(late)?
    }
}

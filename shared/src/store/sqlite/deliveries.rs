//! What a deliverer needs, see [`Deliveries`].

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::{self, lowest_at, lowest_columns, millis};
use super::{Sqlite, settle, sweep};
use crate::domain::delivery::Place;
use crate::domain::ids::{ChannelId, ConversationId};
use crate::store::{
    AttemptRecord, Backlog, Claim, Claimed, Deliveries, Hint, Lowest, Settlement, StoreError,
    Verdict,
};

const CLAIMABLE: &str = concat!(
    "select ",
    lowest_columns!(),
    " from delivery d left join channel c on c.id = d.channel_id
     where d.conversation = ?1 and d.number = ?2 and d.state = 0 and d.attempt = ?3
       and d.due <= ?4 and d.claimed_until <= ?4"
);
const CLAIM: &str = "update delivery set attempt = attempt + 1, claimed_until = ?3
                      where conversation = ?1 and number = ?2";
const DUE: &str = concat!(
    "select ",
    lowest_columns!(),
    " from delivery d left join channel c on c.id = d.channel_id
     where d.channel_id = ?1 and d.head = 1 and d.due <= ?2 and d.claimed_until <= ?2
     order by d.due limit ?3"
);

impl Deliveries for Sqlite {
    async fn lowest(&self, conversation: ConversationId) -> Result<Option<Lowest>, StoreError> {
        let now = self.now();
        self.read(move |c| rows::lowest(c, conversation, now)).await
    }

    async fn claim(
        &self,
        place: Place,
        seen_attempt: u32,
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        let now = self.now();
        self.write(move |c| claim(c, place, seen_attempt, lease, now)).await
    }

    async fn settle(
        &self,
        place: Place,
        seen_attempt: u32,
        record: Option<AttemptRecord>,
        verdict: Verdict,
    ) -> Result<Settlement, StoreError> {
        let outcome = settle::Outcome { place, seen: seen_attempt, record, now: self.now() };
        self.write(move |c| outcome.write(c, &verdict)).await
    }

    async fn due(&self, channel: &ChannelId, limit: u32) -> Result<Vec<Lowest>, StoreError> {
        let (channel, now) = (channel.clone(), self.now());
        self.read(move |c| {
            let mut statement = c.prepare_cached(DUE)?;
            let found =
                statement.query_map(params![channel.as_str(), now, limit], lowest_at(now))?;
            found.collect()
        })
        .await
    }

    async fn sweep(
        &self,
        per_endpoint: u32,
        limit: u32,
        paused: &[ChannelId],
    ) -> Result<Vec<Hint>, StoreError> {
        let ask = sweep::Ask { per_endpoint, limit, paused: paused.to_vec(), now: self.now() };
        let look = ask.clone();
        // Most sweeps find nothing: those cost no write.
        if self.read(move |c| look.find(c)).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |c| ask.take(c)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let now = self.now();
        self.read(move |c| sweep::backlog(c, now)).await
    }
}

fn claim(
    connection: &Connection,
    place: Place,
    seen: u32,
    lease: Duration,
    now: i64,
) -> rusqlite::Result<Claimed> {
    let key = place.conversation.uuid();
    let key = key.as_bytes();
    let found = connection
        .prepare_cached(CLAIMABLE)?
        .query_row(params![key, place.number, seen, now], lowest_at(now))
        .optional()?;
    let Some(Lowest { mut delivery, disabled, .. }) = found else { return Ok(Claimed::No) };
    if disabled {
        return Ok(Claimed::Disabled(delivery));
    }
    let until = now.saturating_add(millis(lease));
    connection.prepare_cached(CLAIM)?.execute(params![key, place.number, until])?;
    delivery.attempt += 1;
    Ok(Claimed::Yes(Claim { delivery }))
}

//! The one sweep: finds rows that nobody seems to look after, and says whose doorbell to ring.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::Id;
use crate::domain::delivery::Place;
use crate::domain::ids::{ChannelId, ConversationId, TurnId};
use crate::store::{Backlog, Hint};

/// How long a rung doorbell is given before it is rung again.
const GRACE_MS: i64 = 30_000;

/// Endpoints are found by skipping through the index of heads: the cost follows their number and not
/// that of their rows.
const ENDPOINT: &str = "
select d.channel_id, coalesce(c.disabled, 0)
  from delivery d left join channel c on c.id = d.channel_id
 where d.head = 1 and d.channel_id > ?1 order by d.channel_id limit 1";
const CANDIDATES: &str = "
select conversation, number, hash, turn_id, due from delivery
 where channel_id = ?1 and head = 1 and due <= ?2 and hinted_at <= ?3 and claimed_until <= ?2
 order by due limit ?4";
const RING: &str = "update delivery set hinted_at = ?3 where conversation = ?1 and number = ?2";

/// What a sweep asks for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) per_endpoint: u32,
    pub(super) limit: u32,
    pub(super) paused: Vec<ChannelId>,
    pub(super) now: i64,
}

impl Ask {
    /// Finds the rows and sets their hint time.
    pub(super) fn take(&self, connection: &Connection) -> rusqlite::Result<Vec<Hint>> {
        let hints = self.find(connection)?;
        let mut ring = connection.prepare_cached(RING)?;
        for hint in &hints {
            let conversation = hint.place.conversation.uuid();
            ring.execute(params![conversation.as_bytes(), hint.place.number, self.now])?;
        }
        Ok(hints)
    }

    /// The oldest due first, over all endpoints.
    pub(super) fn find(&self, connection: &Connection) -> rusqlite::Result<Vec<Hint>> {
        let mut endpoint = connection.prepare_cached(ENDPOINT)?;
        let mut found: Vec<(i64, Hint)> = Vec::new();
        let mut after = String::new();
        let next = |after: &str, statement: &mut rusqlite::CachedStatement<'_>| {
            statement
                .query_row([after], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
                .optional()
        };
        while let Some((channel, disabled)) = next(&after, &mut endpoint)? {
            if !disabled {
                let channel = ChannelId::from(channel.as_str());
                let paused = self.paused.contains(&channel);
                let many = if paused { self.per_endpoint.min(1) } else { self.per_endpoint };
                found.extend(self.candidates(connection, &channel, many)?);
            }
            after = channel;
        }
        found.sort_by_key(|(due, _)| *due);
        found.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(_, hint)| hint).collect())
    }

    fn candidates(
        &self,
        connection: &Connection,
        channel: &ChannelId,
        many: u32,
    ) -> rusqlite::Result<Vec<(i64, Hint)>> {
        let mut statement = connection.prepare_cached(CANDIDATES)?;
        let asked = params![channel.as_str(), self.now, self.now - GRACE_MS, many];
        let rows = statement.query_map(asked, |row| {
            let (Id(conversation), Id(turn)) = (row.get(0)?, row.get(3)?);
            let hint = Hint {
                place: Place {
                    conversation: ConversationId::new(conversation),
                    number: row.get(1)?,
                },
                hash: row.get::<_, i64>(2)?.cast_unsigned(),
                channel: channel.clone(),
                turn: TurnId::new(turn),
            };
            Ok((row.get(4)?, hint))
        })?;
        rows.collect()
    }
}

const WAITING: &str = "
select count(*), min(due) from (
  select due from delivery
   where channel_id = ?1 and head = 1 and due <= ?2 and claimed_until <= ?2 order by due limit ?3)";

/// How much is due, endpoint by endpoint.
pub(super) fn backlog(connection: &Connection, now: i64) -> rusqlite::Result<Backlog> {
    let mut endpoint = connection.prepare_cached(ENDPOINT)?;
    let mut waiting = connection.prepare_cached(WAITING)?;
    let mut backlog = Backlog::default();
    let mut after = String::new();
    loop {
        let next = endpoint
            .query_row([&after], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
            .optional()?;
        let Some((channel, disabled)) = next else { return Ok(backlog) };
        if !disabled {
            let asked = params![channel, now, Backlog::PER_ENDPOINT];
            let (many, oldest) = waiting.query_row(asked, |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
            })?;
            let age = now.saturating_sub(oldest.unwrap_or(now)).max(0).cast_unsigned();
            backlog.due += many.cast_unsigned();
            backlog.oldest = backlog.oldest.max(Duration::from_millis(age));
        }
        after = channel;
    }
}

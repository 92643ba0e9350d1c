//! What scripts keep beyond one conversation.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::millis;
use crate::domain::wider::{self, Change, Effect, Kept, Scope};

const READ: &str = "
select key, value from wider_context
 where scope = ?1 and (expires_at is null or expires_at > ?2) order by key";
const ONE: &str = "
select value, expires_at from wider_context
 where scope = ?1 and key = ?2 and (expires_at is null or expires_at > ?3)";
const PUT: &str = "
insert into wider_context (scope, key, value, expires_at) values (?1, ?2, ?3, ?4)
    on conflict (scope, key) do update set value = excluded.value, expires_at = excluded.expires_at";
const DELETE: &str = "delete from wider_context where scope = ?1 and key = ?2";
const OF_USER: &str = "
delete from wider_context
 where scope = (select 'user/' || client_id || '/' || ?2 from channel where id = ?1)";

pub(super) fn read(
    connection: &Connection,
    scopes: &[Scope],
    now: i64,
) -> rusqlite::Result<Vec<Kept>> {
    let mut all = Vec::new();
    for scope in scopes {
        let mut statement = connection.prepare_cached(READ)?;
        let found = statement.query_map(params![scope.name(), now], |row| {
            Ok(Kept { scope: scope.clone(), key: row.get(0)?, value: row.get(1)? })
        })?;
        for kept in found {
            all.push(kept?);
        }
    }
    Ok(all)
}

pub(super) fn apply(connection: &Connection, changes: &[Change], now: i64) -> rusqlite::Result<()> {
    for Change { scope, key, effect } in &wider::fold(changes) {
        let scope = scope.name();
        let put = |value: &str, expires: Option<i64>| {
            connection.prepare_cached(PUT)?.execute(params![scope, key, value, expires]).map(drop)
        };
        match effect {
            Effect::Put(value, kept) => put(value, kept.map(|kept| now + millis(kept)))?,
            Effect::Delete => {
                connection.prepare_cached(DELETE)?.execute(params![scope, key])?;
            }
            Effect::Add(by) => {
                let there = connection
                    .prepare_cached(ONE)?
                    .query_row(params![scope, key, now], |row| {
                        Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
                    })
                    .optional()?;
                let value = there.as_ref().map(|(value, _)| value.as_str());
                put(&wider::sum(value, *by), there.as_ref().and_then(|(_, expires)| *expires))?;
            }
        }
    }
    Ok(())
}

/// Removes what is kept of a user of a channel's app, over all bots.
pub(super) fn erase(connection: &Connection, channel: &str, user: &str) -> rusqlite::Result<u64> {
    let rows = connection.prepare_cached(OF_USER)?.execute(params![channel, user])?;
    Ok(rows as u64)
}

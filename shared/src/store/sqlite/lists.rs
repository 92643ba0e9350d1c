//! Pages of lists for people: what is looked at is found by an index, in its order and without what was said;
//! only what is shown is read whole.

use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::ledger::{delivery, turn};
use super::rows::Id;
use crate::domain::delivery::Place;
use crate::domain::ids::{ChannelId, ConversationId, TurnId};
use crate::domain::outcome::Outcome;
use crate::store::ledger::{
    DeliveriesAsk, ENDPOINTS, Leaf, LedgerDelivery, LedgerTurn, SCAN, Settled, TurnsAsk,
};

/// Of a turn `t`.
macro_rules! turn_columns {
    () => {
        "t.turn_id, t.conversation, \
         (select c.user_id from conversation c where c.id = t.conversation), t.client_id, \
         t.channel_id, t.outcome, t.detail, t.queued_ms, t.bot_ms, t.committed_at"
    };
}
/// Of a delivery `d`.
macro_rules! delivery_columns {
    () => {
        "d.conversation, d.number, d.turn_id, d.idx, d.channel_id, \
         (select c.user_id from conversation c where c.id = d.conversation), d.state, d.reason, \
         d.attempt, d.failures, d.redriven, d.due, coalesce(d.settled_at, 0), d.body"
    };
}
pub(super) use {delivery_columns, turn_columns};

/// `?1` below this id, `?2` rows that are looked at, `?3` outcome (0 for any), `?4` limit.
macro_rules! turns {
    ($of:literal) => {
        concat!(
            "select ",
            turn_columns!(),
            " from (select turn_id, conversation, client_id, channel_id, outcome, detail,
                           queued_ms, bot_ms, committed_at
                      from turn where turn_id < ?1",
            $of,
            " order by turn_id desc limit ?2) t
             where ?3 in (0, t.outcome) order by t.turn_id desc limit ?4"
        )
    };
}
/// The last row that was looked at, when as many were as may be.
macro_rules! turns_end {
    ($of:literal) => {
        concat!(
            "select turn_id from turn where turn_id < ?1",
            $of,
            " order by turn_id desc limit 1 offset ?2"
        )
    };
}
const TURNS: [&str; 2] = [turns!(""), turns_end!("")];
const OF_CHANNEL: [&str; 2] = [turns!(" and channel_id = ?5"), turns_end!(" and channel_id = ?3")];
const OF_CONVERSATION: [&str; 2] =
    [turns!(" and conversation = ?5"), turns_end!(" and conversation = ?3")];

/// The next endpoint that has anything, behind `?1`.
const ENDPOINT: &str = "select channel_id from delivery where head = 1 and channel_id > ?1 order by channel_id limit 1";
/// `?2` limit.
const HEADS: &str = "select due, conversation, number from delivery
                      where channel_id = ?1 and head = 1 order by due limit ?2";
const ROW: &str = concat!(
    "select ",
    delivery_columns!(),
    " from delivery d where d.conversation = ?1 and d.number = ?2"
);

/// `?1` to `?3` the place before.
macro_rules! behind {
    () => {
        " and settled_at <= ?1 and (settled_at, conversation, number) < (?1, ?2, ?3)
          order by settled_at desc, conversation desc, number desc"
    };
}
/// `?4` state, `?5` limit.
const SETTLED: &str = concat!(
    "select conversation, number from delivery where state = ?4 and state <> 0",
    behind!(),
    " limit ?5"
);
/// `?6` channel, `?7` rows that are looked at.
const SETTLED_OF: &str = concat!(
    "select conversation, number from (
       select conversation, number, state, settled_at from delivery
        where channel_id = ?6 and state <> 0",
    behind!(),
    " limit ?7) where state = ?4
      order by settled_at desc, conversation desc, number desc limit ?5"
);
/// `?4` channel, `?5` rows before it.
const SETTLED_END: &str = concat!(
    "select settled_at, conversation, number from delivery where channel_id = ?4 and state <> 0",
    behind!(),
    " limit 1 offset ?5"
);

/// Of one conversation (which has one channel), of one channel, or of all.
pub(super) fn turns(c: &Connection, ask: &TurnsAsk) -> rusqlite::Result<Leaf<LedgerTurn, TurnId>> {
    let before = ask.before.map_or([0xff; 16], |turn| turn.uuid().into_bytes());
    let outcome = ask.outcome.map_or(0, Outcome::code);
    let conversation = ask.conversation.map(|id| id.uuid().into_bytes());
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let ([page, last], of): (_, Option<&dyn ToSql>) = match (&conversation, &channel) {
        (Some(id), _) => (OF_CONVERSATION, Some(id)),
        (None, Some(id)) => (OF_CHANNEL, Some(id)),
        (None, None) => (TURNS, None),
    };
    let words: [&dyn ToSql; 4] = [&before, &SCAN, &outcome, &ask.limit];
    let words: Vec<_> = words.into_iter().chain(of).collect();
    let mut statement = c.prepare_cached(page)?;
    let rows = statement.query_map(&words[..], turn)?.collect::<rusqlite::Result<Vec<_>>>()?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| row.turn);
        return Ok(Leaf { rows, next });
    }
    if ask.outcome.is_none() {
        return Ok(Leaf { rows, next: None });
    }
    let end = SCAN - 1;
    let words: [&dyn ToSql; 2] = [&before, &end];
    let words: Vec<_> = words.into_iter().chain(of).collect();
    let mut statement = c.prepare_cached(last)?;
    let last = statement.query_row(&words[..], |row| row.get(0)).optional()?;
    Ok(Leaf { rows, next: last.map(|Id(id)| TurnId::new(id)) })
}

pub(super) fn waiting(
    c: &Connection,
    ask: &DeliveriesAsk,
) -> rusqlite::Result<Leaf<LedgerDelivery, Settled>> {
    let mut heads: Vec<(i64, Id, i64)> = Vec::new();
    let mut of = |channel: &str| -> rusqlite::Result<()> {
        let mut statement = c.prepare_cached(HEADS)?;
        let rows = statement.query_map(params![channel, ask.limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.into_iter().try_for_each(|row| row.map(|row| heads.push(row)))
    };
    if let Some(channel) = &ask.channel {
        of(channel.as_str())?;
    } else {
        let mut endpoint = c.prepare_cached(ENDPOINT)?;
        let mut after = String::new();
        for _ in 0..ENDPOINTS {
            let next = endpoint.query_row([&after], |row| row.get(0)).optional()?;
            let Some(next) = next else { break };
            after = next;
            of(&after)?;
        }
    }
    heads.sort_by_key(|(due, Id(conversation), _)| (*due, *conversation));
    heads.truncate(ask.limit as usize);
    let places = heads.into_iter().map(|(_, Id(conversation), number)| (conversation, number));
    Ok(Leaf { rows: whole(c, places)?, next: None })
}

/// The rows of these places, in this order.
fn whole(
    c: &Connection,
    places: impl Iterator<Item = (uuid::Uuid, i64)>,
) -> rusqlite::Result<Vec<LedgerDelivery>> {
    let mut row = c.prepare_cached(ROW)?;
    let mut read =
        |(of, number): (uuid::Uuid, i64)| row.query_row(params![of.as_bytes(), number], delivery);
    places.map(&mut read).collect()
}

pub(super) fn settled(
    c: &Connection,
    ask: &DeliveriesAsk,
) -> rusqlite::Result<Leaf<LedgerDelivery, Settled>> {
    let (at, of, number) = match ask.after {
        Some(Settled { at_us, place }) => {
            (at_us / 1_000, place.conversation.uuid().into_bytes(), place.number)
        }
        None => (i64::MAX, [0xff; 16], i64::MAX),
    };
    let state = ask.standing.code();
    let channel = ask.channel.as_ref().map(ChannelId::as_str);
    let mut words: Vec<&dyn ToSql> = vec![&at, &of, &number, &state, &ask.limit];
    if channel.is_some() {
        words.extend([&channel as &dyn ToSql, &SCAN]);
    }
    let sql = if channel.is_some() { SETTLED_OF } else { SETTLED };
    let mut statement = c.prepare_cached(sql)?;
    let places = statement
        .query_map(&words[..], |row| Ok((row.get::<_, Id>(0)?.0, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let rows = whole(c, places.into_iter())?;
    if rows.len() >= ask.limit as usize {
        let next = rows.last().map(|row| Settled { at_us: row.settled_us, place: row.place });
        return Ok(Leaf { rows, next });
    }
    let Some(channel) = channel else { return Ok(Leaf { rows, next: None }) };
    let next = c
        .prepare_cached(SETTLED_END)?
        .query_row(params![at, of, number, channel, SCAN - 1], |row| {
            let Id(conversation) = row.get(1)?;
            let conversation = ConversationId::new(conversation);
            let place = Place { conversation, number: row.get(2)? };
            Ok(Settled { at_us: row.get::<_, i64>(0)?.saturating_mul(1_000), place })
        })
        .optional()?;
    Ok(Leaf { rows, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{replay, tally};

    /// Whatever a plan does with the great tables, it does by an index.
    #[test]
    fn no_list_and_no_figure_reads_a_whole_table() {
        let c = Connection::open_in_memory().unwrap();
        for sql in crate::sqlite::migrate::MIGRATIONS {
            c.execute_batch(sql).unwrap();
        }
        let lists = [TURNS, OF_CHANNEL, OF_CONVERSATION].concat();
        let others = [
            ENDPOINT,
            HEADS,
            ROW,
            SETTLED,
            SETTLED_OF,
            SETTLED_END,
            super::super::ledger::TURN,
            super::super::ledger::ITS_DELIVERIES,
            super::super::ledger::ATTEMPTS,
            tally::TURNS,
            tally::DELIVERIES,
            replay::COUNT,
        ];
        for sql in lists.into_iter().chain(others) {
            let mut statement = c.prepare(&format!("explain query plan {sql}")).unwrap();
            let steps: Vec<String> =
                statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
            assert!(!steps.is_empty(), "{sql}");
            for step in &steps {
                // What another step hands on is no table.
                let table = step.strip_prefix("SCAN ").filter(|table| {
                    let handed = |step: &String| *step == format!("CO-ROUTINE {table}");
                    !table.contains(' ') && !table.starts_with('(') && !steps.iter().any(handed)
                });
                assert_eq!(table, None, "{sql}: {steps:?}");
                // Only what one conversation holds is put in order.
                let sorts = step == "USE TEMP B-TREE FOR ORDER BY";
                let one = sql.contains(" conversation = ?") || sql.contains("d.conversation = ?");
                assert!(!sorts || one, "{sql}: {steps:?}");
            }
        }
    }
}

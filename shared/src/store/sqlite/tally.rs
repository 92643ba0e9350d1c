//! Figures of a channel, see [`crate::store::tally`].

use rusqlite::{Connection, params};

use super::clean::first_id;
use super::rows::Id;
use crate::domain::ids::TurnId;
use crate::store::tally::{COUNTED, Counted, Figures, Tally, TallyAsk, count};

/// One more than is counted tells whether there are more.
pub(super) const TURNS: &str = "
select turn_id, conversation, outcome, queued_ms + bot_ms from turn
 where channel_id = ?1 and turn_id >= ?2 and turn_id < ?3 order by turn_id desc limit ?4";
pub(super) const DELIVERIES: &str = "
select state, attempt, settled_at from delivery
 where channel_id = ?1 and state <> 0 and settled_at >= ?2 and settled_at < ?3
 order by settled_at desc limit ?4";

pub(super) fn tally(c: &Connection, ask: &TallyAsk) -> rusqlite::Result<Tally> {
    let buckets = vec![Figures::default(); ask.bounds().len()];
    let mut tally = Tally { buckets, ..Tally::default() };
    let (channel, most) = (ask.channel.as_str(), COUNTED + 1);
    let (from, end) = (first_id(ask.from_ms), first_id(ask.end_ms()));
    let mut turns: Vec<Counted> = c
        .prepare_cached(TURNS)?
        .query_map(params![channel, from, end, most], |row| {
            let (Id(turn), Id(conversation)) = (row.get(0)?, row.get(1)?);
            let at_ms = TurnId::new(turn).unix_ms().cast_signed();
            let took_ms = row.get::<_, i64>(3)?.unsigned_abs();
            Ok(Counted { at_ms, conversation, outcome: row.get(2)?, took_ms })
        })?
        .collect::<rusqlite::Result<_>>()?;
    tally.turns_cut = turns.len() > COUNTED as usize;
    turns.truncate(COUNTED as usize);
    count(ask, &turns, &mut tally);
    let mut statement = c.prepare_cached(DELIVERIES)?;
    let mut rows = statement.query(params![channel, ask.from_ms, ask.end_ms(), most])?;
    let mut counted = 0;
    while let Some(row) = rows.next()? {
        counted += 1;
        if counted > COUNTED {
            tally.deliveries_cut = true;
            break;
        }
        let (state, attempts, at_ms): (i16, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let place = (at_ms - ask.from_ms).div_euclid(ask.width_ms.max(1));
        let bucket = usize::try_from(place).ok().and_then(|place| tally.buckets.get_mut(place));
        for figures in bucket.into_iter().chain([&mut tally.whole]) {
            figures.delivered += u64::from(state == 1);
            figures.parked += u64::from(state == 2);
            figures.attempts += attempts.unsigned_abs();
        }
    }
    Ok(tally)
}

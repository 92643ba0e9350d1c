//! Figures of a channel, see [`crate::store::tally`]: counted by the database, in two statements.

use tokio_postgres::Row;
use uuid::Uuid;

use super::partitions::first_id;
use super::pool::Held;
use crate::domain::outcome::Outcome;
use crate::store::StoreError;
use crate::store::tally::{COUNTED, Figures, QUANTILES, Tally, TallyAsk};

/// `$1` channel, `$2` and `$3` the ids between, `$4` rows that are counted, `$5` the buckets' first ids, `$6` quantiles.
/// `{outcomes}` stands for a count of each outcome. One more than is counted tells whether there are more. A channel is a range, see
/// `lists`.
pub(super) const TURNS: &str = "
with seen as materialized (
  select turn_id, conversation_id, outcome, queued_ms + bot_ms as took
    from turn
   where channel_id >= $1::text and channel_id <= $1::text and turn_id >= $2 and turn_id < $3
   order by channel_id desc, turn_id desc limit $4::int8 + 1
), counted as (
  select width_bucket(turn_id, $5::uuid[]) as bucket, conversation_id, outcome, took
    from (select * from seen order by turn_id desc limit $4::int8) newest
)
select bucket, count(*), count(distinct conversation_id),
       array[{outcomes}],
       percentile_disc($6::float8[]) within group (order by took),
       (select count(*) > $4::int8 from seen)
  from counted group by grouping sets ((bucket), ())";
/// `$2` and `$3` the range in milliseconds, `$5` where the buckets begin.
pub(super) const DELIVERIES: &str = "
with seen as materialized (
  select state, attempt, settled_at from delivery
   where channel_id = $1 and state <> 0
     and settled_at >= timestamptz 'epoch' + $2::int8 * interval '1 millisecond'
     and settled_at < timestamptz 'epoch' + $3::int8 * interval '1 millisecond'
   order by settled_at desc limit $4::int8 + 1
), counted as (
  select width_bucket((extract(epoch from settled_at) * 1000)::int8, $5::int8[]) as bucket,
         state, attempt
    from (select * from seen order by settled_at desc limit $4::int8) newest
)
select bucket, count(*) filter (where state = 1), count(*) filter (where state = 2),
       coalesce(sum(attempt), 0)::int8, (select count(*) > $4::int8 from seen)
  from counted group by grouping sets ((bucket), ())";

pub(super) async fn tally(held: &Held, ask: &TallyAsk) -> Result<Tally, StoreError> {
    let bounds = ask.bounds();
    let mut tally = Tally { buckets: vec![Figures::default(); bounds.len()], ..Tally::default() };
    let (channel, most) = (ask.channel.as_str(), i64::from(COUNTED));
    let (from, end) = (first_id(ask.from_ms), first_id(ask.end_ms()));
    let ids: Vec<Uuid> = bounds.iter().map(|ms| first_id(*ms)).collect();
    let quantiles = QUANTILES.as_slice();
    let outcomes = Outcome::ALL
        .map(|outcome| format!("count(*) filter (where outcome = {})", outcome.code()))
        .join(", ");
    let turns = held.prepare_cached(&TURNS.replace("{outcomes}", &outcomes)).await?;
    for row in held.query(&turns, &[&channel, &from, &end, &most, &ids, &quantiles]).await? {
        tally.turns_cut |= row.try_get::<_, bool>(5)?;
        let Some(figures) = place(&row, &mut tally)? else { continue };
        figures.turns = count(&row, 1)?;
        figures.users = count(&row, 2)?;
        let outcomes: Vec<i64> = row.try_get(3)?;
        for (figure, count) in figures.outcomes.iter_mut().zip(outcomes) {
            *figure = count.unsigned_abs();
        }
        let latency: Option<Vec<Option<i64>>> = row.try_get(4)?;
        for (figure, took) in figures.latency.iter_mut().zip(latency.unwrap_or_default()) {
            *figure = took.unwrap_or(0).unsigned_abs();
        }
    }
    let (from, end) = (ask.from_ms, ask.end_ms());
    let deliveries = held.prepare_cached(DELIVERIES).await?;
    for row in held.query(&deliveries, &[&channel, &from, &end, &most, &bounds]).await? {
        tally.deliveries_cut |= row.try_get::<_, bool>(4)?;
        let Some(figures) = place(&row, &mut tally)? else { continue };
        figures.delivered = count(&row, 1)?;
        figures.parked = count(&row, 2)?;
        figures.attempts = count(&row, 3)?;
    }
    Ok(tally)
}

/// A row's bucket, from 1; none for all of them.
fn place<'t>(row: &Row, tally: &'t mut Tally) -> Result<Option<&'t mut Figures>, StoreError> {
    let Some(bucket) = row.try_get::<_, Option<i32>>(0)? else {
        return Ok(Some(&mut tally.whole));
    };
    Ok(usize::try_from(bucket - 1).ok().and_then(|place| tally.buckets.get_mut(place)))
}

fn count(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(row.try_get::<_, i64>(column)?.unsigned_abs())
}

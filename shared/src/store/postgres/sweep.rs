//! The one sweep: finds rows that nobody seems to look after, and says whose doorbell to ring.

use std::time::Duration;

use super::error::late;
use super::pool::{Connections, ROUND};
use crate::domain::delivery::Place;
use crate::domain::ids::{ChannelId, ConversationId, TurnId};
use crate::store::{Backlog, Hint, StoreError};

/// Endpoints with heads are found by skipping through the index over (channel, due), so that the cost
/// follows their number and not that of their rows. Candidates are chosen without a lock, then locked
/// by `skip locked`, which looks at their newest version again: what another sweep has just taken
/// falls out.
const SWEEP: &str = "
with recursive endpoint (id) as (
  (select x.channel_id from delivery x where x.head and x.state = 0 order by x.channel_id limit 1)
  union all
  select (select x.channel_id from delivery x
           where x.head and x.state = 0 and x.channel_id > endpoint.id
           order by x.channel_id limit 1)
    from endpoint where endpoint.id is not null
), candidate as materialized (
  select d.conversation_id, d.number, d.due
    from endpoint
    left join channel c on c.id = endpoint.id
   cross join lateral (
     select x.conversation_id, x.number, x.due,
            row_number() over (order by x.due) as nth
       from (
         select y.conversation_id, y.number, y.due from delivery y
          where y.channel_id = endpoint.id and y.head and y.state = 0
            and y.due <= statement_timestamp()
            and (y.hinted_at is null or y.hinted_at <= statement_timestamp() - interval '30 s')
            and (y.claimed_until is null or y.claimed_until <= statement_timestamp())
          order by y.due limit $1) x) d
   where endpoint.id is not null and not coalesce(c.disabled, false)
     and (d.nth = 1 or endpoint.id <> all ($3::text[]))
   order by d.due limit $2
), locked as materialized (
  select x.conversation_id, x.number
    from delivery x
   where (x.conversation_id, x.number) in (select conversation_id, number from candidate)
     and x.head and x.state = 0 and x.due <= statement_timestamp()
     and (x.hinted_at is null or x.hinted_at <= statement_timestamp() - interval '30 s')
     and (x.claimed_until is null or x.claimed_until <= statement_timestamp())
     for update skip locked
), rung as (
  update delivery d set hinted_at = clock_timestamp()
    from locked l
   where d.conversation_id = l.conversation_id and d.number = l.number
  returning d.conversation_id, d.number, d.hash, d.channel_id, d.turn_id, d.due
)
select conversation_id, number, hash, channel_id, turn_id from rung order by due";

/// Looks at each endpoint's oldest rows only: an endpoint with a million of them costs no more.
const BACKLOG: &str = "
with recursive endpoint (id) as (
  (select x.channel_id from delivery x where x.head and x.state = 0 order by x.channel_id limit 1)
  union all
  select (select x.channel_id from delivery x
           where x.head and x.state = 0 and x.channel_id > endpoint.id
           order by x.channel_id limit 1)
    from endpoint where endpoint.id is not null
)
select coalesce(sum(d.many), 0)::bigint,
       coalesce(extract(epoch from statement_timestamp() - min(d.oldest)) * 1000, 0)::bigint
  from endpoint
  left join channel c on c.id = endpoint.id
 cross join lateral (
   select count(*) as many, min(x.due) as oldest
     from (select y.due from delivery y
            where y.channel_id = endpoint.id and y.head and y.state = 0
              and y.due <= statement_timestamp()
              and (y.claimed_until is null or y.claimed_until <= statement_timestamp())
            order by y.due limit $1) x) d
 where endpoint.id is not null and not coalesce(c.disabled, false)";

pub(super) async fn backlog(calm: &Connections) -> Result<Backlog, StoreError> {
    let held = calm.get().await?;
    let work = async {
        let statement = held.prepare_cached(BACKLOG).await?;
        let row = held.query_one(&statement, &[&i64::from(Backlog::PER_ENDPOINT)]).await?;
        let (due, oldest_ms): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Backlog {
            due: due.cast_unsigned(),
            oldest: Duration::from_millis(oldest_ms.max(0).cast_unsigned()),
        })
    };
    let result = tokio::time::timeout(ROUND, work).await;
    held.settle(result.map_err(late).flatten())
}

pub(super) async fn sweep(
    calm: &Connections,
    per_endpoint: u32,
    limit: u32,
    paused: &[ChannelId],
) -> Result<Vec<Hint>, StoreError> {
    let held = calm.get().await?;
    let paused: Vec<&str> = paused.iter().map(ChannelId::as_str).collect();
    let work = async {
        let statement = held.prepare_cached(SWEEP).await?;
        let rows =
            held.query(&statement, &[&i64::from(per_endpoint), &i64::from(limit), &paused]).await?;
        rows.iter().map(hint).collect()
    };
    let result = tokio::time::timeout(ROUND, work).await;
    held.settle(result.map_err(late).flatten())
}

fn hint(row: &tokio_postgres::Row) -> Result<Hint, StoreError> {
    Ok(Hint {
        place: Place {
            conversation: ConversationId::new(row.try_get(0)?),
            number: row.try_get(1)?,
        },
        hash: row.try_get::<_, i64>(2)?.cast_unsigned(),
        channel: ChannelId::from(row.try_get::<_, &str>(3)?),
        turn: TurnId::new(row.try_get(4)?),
    })
}

//! Sending settled deliveries again, see [`ReplayStore`].

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::Sqlite;
use super::control::LOG;
use super::erase::append;
use super::rows::Id;
use crate::domain::ids::{ChannelId, ConversationId, DeliveryId, TurnId};
use crate::registry::control::Audit;
use crate::store::StoreError;
use crate::store::ledger::Standing;
use crate::store::replay::{
    Begun, Chosen, Counted, MOST, Range, Replay, ReplayDraft, ReplayState, ReplayStore, SEEN,
    Stepped,
};

macro_rules! columns {
    () => {
        "id, channel_id, actor, state, total, sent, passed, created_at, ended_at, from_ms, to_ms, \
         standing, turn_id, message, fingerprint"
    };
}
/// `?1` channel, `?2` and `?3` the range in milliseconds, `?4` rows that are looked at.
macro_rules! seen {
    () => {
        "select conversation, number, state from delivery
          where channel_id = ?1 and state <> 0 and settled_at >= ?2 and settled_at < ?3
          order by settled_at limit ?4"
    };
}

/// `?5` the state, 0 for any.
pub(super) const COUNT: &str =
    concat!("select count(*), count(*) filter (where ?5 in (0, state)) from (", seen!(), ")");
const BEGIN: &str = "
insert into replay (id, once, fingerprint, actor, channel_id, from_ms, to_ms, standing, turn_id,
                    message, created_at)
values (?1, ?2, ?3, ?4, coalesce(?5, (
          select d.channel_id from turn t join delivery d on d.conversation = t.conversation
           where t.turn_id = ?9 and d.turn_id = ?9 and d.idx = ?10), ''),
        ?6, ?7, ?8, ?9, ?10, ?11)";
const BY_KEY: &str = concat!("select ", columns!(), " from replay where once = ?1");
const BY_ID: &str = concat!("select ", columns!(), " from replay where id = ?1");
const PAGE: &str =
    concat!("select ", columns!(), " from replay where id < ?1 order by id desc limit ?2");
const ONE: &str = "
insert into replay_item (replay_id, conversation, number)
select ?1, d.conversation, d.number from turn t join delivery d on d.conversation = t.conversation
 where t.turn_id = ?2 and d.turn_id = ?2 and d.idx = ?3 and d.state <> 0";
/// `?5` the state, 0 for any; `?6` the replay.
const RANGE: &str = concat!(
    "insert into replay_item (replay_id, conversation, number)
     select ?6, conversation, number from (",
    seen!(),
    ") where ?5 in (0, state)"
);
const TOTAL: &str = "update replay set total = ?2 where id = ?1";
const CANCEL: &str = "update replay set state = 2, ended_at = ?2 where id = ?1 and state = 0";
const DROP: &str = "delete from replay where id = ?1";
const DROP_ITEMS: &str = "delete from replay_item where replay_id = ?1";
const OLDEST: &str = "select id from replay where state = 0 order by id limit 1";
const NEXT: &str =
    "select conversation from replay_item where replay_id = ?1 order by conversation limit 1";
const END: &str = "update replay set state = 1, ended_at = ?2 where id = ?1";
/// What is not settled under its number any more is passed over.
const ITEMS: &str = "
select i.number, d.number is not null
  from replay_item i
  left join delivery d on d.conversation = i.conversation and d.number = i.number and d.state <> 0
 where i.replay_id = ?1 and i.conversation = ?2 order by i.number";
const TAKE: &str = "delete from replay_item where replay_id = ?1 and conversation = ?2";
const STEP: &str = "update replay set sent = sent + ?2, passed = passed + ?3 where id = ?1";

impl ReplayStore for Sqlite {
    async fn count_settled(&self, range: &Range) -> Result<Counted, StoreError> {
        let range = range.clone();
        self.read(move |c| count(c, &range)).await
    }

    async fn begin_replay(&self, draft: &ReplayDraft) -> Result<Begun, StoreError> {
        let (draft, now) = (draft.clone(), self.now());
        self.write(move |c| begin(c, &draft, now)).await
    }

    async fn replay(&self, id: Uuid) -> Result<Option<Replay>, StoreError> {
        self.read(move |c| one(c, id)).await
    }

    async fn replays(&self, before: Option<Uuid>, limit: u32) -> Result<Vec<Replay>, StoreError> {
        let before = before.unwrap_or(Uuid::max());
        self.read(move |c| {
            let mut page = c.prepare_cached(PAGE)?;
            page.query_map(params![before.as_bytes(), limit], read)?.collect()
        })
        .await
    }

    async fn cancel_replay(&self, id: Uuid, audit: &Audit) -> Result<Option<Replay>, StoreError> {
        let (audit, now) = (audit.clone(), self.now());
        self.write(move |c| {
            if c.prepare_cached(CANCEL)?.execute(params![id.as_bytes(), now])? > 0 {
                c.prepare_cached(DROP_ITEMS)?.execute([id.as_bytes()])?;
                log(c, &audit, now)?;
            }
            one(c, id)
        })
        .await
    }

    async fn step_replay(&self) -> Result<Stepped, StoreError> {
        let running = |c: &Connection| c.prepare_cached(OLDEST)?.exists([]);
        if !self.read(running).await? {
            return Ok(Stepped::Idle);
        }
        let now = self.now();
        self.write(move |c| step(c, now)).await
    }
}

fn one(c: &Connection, id: Uuid) -> rusqlite::Result<Option<Replay>> {
    c.prepare_cached(BY_ID)?.query_row([id.as_bytes()], read).optional()
}

fn state(range: &Range) -> i16 {
    match range.standing {
        None => 0,
        Some(Standing::Waiting) => -1,
        Some(standing) => standing.code(),
    }
}

fn count(c: &Connection, range: &Range) -> rusqlite::Result<Counted> {
    let of = params![range.channel.as_str(), range.from_ms, range.to_ms, SEEN + 1, state(range)];
    let (seen, found): (u32, u32) =
        c.prepare_cached(COUNT)?.query_row(of, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if seen > SEEN {
        return Ok(Counted::TooWide);
    }
    Ok(if found > MOST { Counted::TooMany } else { Counted::Exactly(found) })
}

fn begin(c: &Connection, draft: &ReplayDraft, now: i64) -> rusqlite::Result<Begun> {
    let once = draft.once.as_ref();
    let fingerprint = once.map_or("", |(_, fingerprint)| fingerprint.as_str());
    let once = once.map(|(once, _)| once.as_str());
    if let Some(once) = once {
        let known = c
            .prepare_cached(BY_KEY)?
            .query_row([once], |row| Ok((row.get::<_, String>(14)?, read(row)?)));
        if let Some((of, replay)) = known.optional()? {
            return Ok(if of == fingerprint { Begun::Yes(replay) } else { Begun::Reused });
        }
    }
    // Nothing is written of what is refused.
    let range = match &draft.chosen {
        Chosen::Range(range) => match count(c, range)? {
            Counted::TooWide => return Ok(Begun::TooWide),
            Counted::TooMany => return Ok(Begun::TooMany),
            Counted::Exactly(0) => return Ok(Begun::Nothing),
            Counted::Exactly(_) => Some(range),
        },
        Chosen::One(_) => None,
    };
    let of = match &draft.chosen {
        Chosen::One(id) => Some((id.turn.uuid().into_bytes(), id.index)),
        Chosen::Range(_) => None,
    };
    let key = draft.id.as_bytes();
    c.prepare_cached(BEGIN)?.execute(params![
        key,
        once,
        fingerprint,
        draft.audit.actor,
        range.map(|range| range.channel.as_str()),
        range.map(|range| range.from_ms),
        range.map(|range| range.to_ms),
        range.and_then(|range| range.standing).map(Standing::code),
        of.map(|(turn, _)| turn),
        of.map(|(_, index)| index),
        now,
    ])?;
    let total = choose(c, draft)?;
    if total == 0 {
        c.prepare_cached(DROP)?.execute([key])?;
        return Ok(Begun::Nothing);
    }
    c.prepare_cached(TOTAL)?.execute(params![key, i64::try_from(total).unwrap_or(i64::MAX)])?;
    log(c, &draft.audit, now)?;
    c.prepare_cached(BY_ID)?.query_row([key], read).map(Begun::Yes)
}

/// How many were taken.
fn choose(c: &Connection, draft: &ReplayDraft) -> rusqlite::Result<usize> {
    let key = draft.id.as_bytes();
    match &draft.chosen {
        Chosen::One(id) => {
            let (turn, index) = (id.turn.uuid(), id.index);
            c.prepare_cached(ONE)?.execute(params![key, turn.as_bytes(), index])
        }
        Chosen::Range(range) => {
            let channel = range.channel.as_str();
            let of = params![channel, range.from_ms, range.to_ms, SEEN, state(range), key];
            c.prepare_cached(RANGE)?.execute(of)
        }
    }
}

fn log(c: &Connection, audit: &Audit, now: i64) -> rusqlite::Result<()> {
    let Audit { id, actor, action, subject, detail } = audit;
    c.prepare_cached(LOG)?.execute(params![id, now, actor, action, subject, detail]).map(drop)
}

fn step(c: &Connection, now: i64) -> rusqlite::Result<Stepped> {
    let oldest = c.prepare_cached(OLDEST)?.query_row([], |row| row.get(0)).optional()?;
    let Some(Id(id)) = oldest else { return Ok(Stepped::Idle) };
    let key = id.as_bytes();
    let next = c.prepare_cached(NEXT)?.query_row([key], |row| row.get(0)).optional()?;
    let Some(Id(conversation)) = next else {
        c.prepare_cached(END)?.execute(params![key, now])?;
        return c.prepare_cached(BY_ID)?.query_row([key], read).map(Stepped::Ended);
    };
    let of = params![key, conversation.as_bytes()];
    let items: Vec<(i64, bool)> = c
        .prepare_cached(ITEMS)?
        .query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    c.prepare_cached(TAKE)?.execute(of)?;
    let settled: Vec<i64> =
        items.iter().filter(|(_, is_settled)| *is_settled).map(|(number, _)| *number).collect();
    let sent = append(c, ConversationId::new(conversation), &settled, now)?;
    let passed = i64::try_from(items.len() - settled.len()).unwrap_or(i64::MAX);
    c.prepare_cached(STEP)?.execute(params![key, sent.cast_signed(), passed])?;
    Ok(Stepped::Appended(sent))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Replay> {
    let Id(id) = row.get(0)?;
    let channel = ChannelId::from(row.get::<_, String>(1)?);
    let code: i16 = row.get(3)?;
    let newer = || {
        let why = format!("a newer release wrote {code}");
        rusqlite::Error::FromSqlConversionFailure(3, Type::Integer, why.into())
    };
    let turn: Option<Id> = row.get(12)?;
    let chosen = if let Some(Id(turn)) = turn {
        Chosen::One(DeliveryId { turn: TurnId::new(turn), index: row.get(13)? })
    } else {
        let standing: Option<i16> = row.get(11)?;
        Chosen::Range(Range {
            channel: channel.clone(),
            from_ms: row.get(9)?,
            to_ms: row.get(10)?,
            standing: standing.and_then(Standing::from_code),
        })
    };
    let count = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
    Ok(Replay {
        id,
        channel,
        chosen,
        actor: row.get(2)?,
        state: ReplayState::from_code(code).ok_or_else(newer)?,
        total: count(4)?,
        sent: count(5)?,
        passed: count(6)?,
        created_ms: count(7)?,
        ended_ms: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
    })
}

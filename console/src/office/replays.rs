//! Sending settled deliveries again: one, or those of a channel in a range of time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::domain::ids::{DeliveryId, TurnId};
use shared::store::Store;
use shared::store::ledger::Standing;
use shared::store::replay::{Begun, Chosen, Counted, MOST, Range, Replay, ReplayDraft, SEEN};
use uuid::Uuid;

use super::actor::{Actor, Scope};
use super::decide::Log;
use super::execute::Desk;
use super::find;
use super::ledger::Paged;
use super::problem::{Kind, Problem};

/// The last moment that databases know: the end of the year 9999.
const END_MS: u64 = 253_402_300_799_000;

/// Deliveries of a channel by when they were settled.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayAsk {
    /// By id or name.
    pub channel: String,
    /// Milliseconds since 1970.
    pub from_ms: u64,
    /// Not included.
    pub to_ms: u64,
    /// `delivered` or `parked`; both when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Deliveries that are sent again, and how far that is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReplayView {
    pub replay_id: String,
    /// `running`, `done` or `cancelled`.
    pub state: String,
    pub channel_id: String,
    /// Who asked for it.
    pub actor: String,
    /// Of a range: deliveries that were settled from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
    /// Of a range: `delivered` or `parked` ones only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_state: Option<String>,
    /// Of one delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<u32>,
    /// Deliveries that were chosen.
    pub deliveries: u64,
    /// Those that were put at the end of their conversations until now.
    pub sent: u64,
    /// Those that were not settled any more when it was their turn.
    pub passed_over: u64,
    pub created_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}

impl<S: Store> Desk<S> {
    /// How many deliveries a replay would send again.
    pub async fn count_deliveries(&self, actor: &Actor, ask: &ReplayAsk) -> Result<u64, Problem> {
        actor.need(Scope::Read)?;
        let range = self.range(ask).await?;
        match self.store.count_settled(&range).await? {
            Counted::Exactly(count) => Ok(count.into()),
            Counted::TooMany => Err(too_many()),
            Counted::TooWide => Err(too_wide()),
        }
    }

    /// Has the settled deliveries of a range sent again.
    pub async fn add_replay(&self, actor: &Actor, ask: &ReplayAsk) -> Result<ReplayView, Problem> {
        actor.need(Scope::Operate)?;
        let chosen = Chosen::Range(self.range(ask).await?);
        self.begin(actor, "delivery.replay", chosen, serde_json::json!(ask)).await
    }

    /// Has one settled delivery sent again.
    pub async fn resend(
        &self,
        actor: &Actor,
        turn: &str,
        message: &str,
    ) -> Result<ReplayView, Problem> {
        actor.need(Scope::Operate)?;
        let missing = || Problem::missing("delivery", &format!("{turn}/{message}"));
        let id = TurnId::parse(turn).ok_or_else(missing)?;
        let index = message.parse().map_err(|_| missing())?;
        let whole = self.store.turn(id).await?.ok_or_else(missing)?;
        let id = DeliveryId { turn: id, index };
        let row = whole.deliveries.iter().find(|one| one.id == id).ok_or_else(missing)?;
        find::channel(&self.book().await?.registry, row.channel.as_str())?;
        let detail = serde_json::json!({"turn_id": id.turn.to_string(), "message": index});
        self.begin(actor, "delivery.resend", Chosen::One(id), detail).await
    }

    /// Replays, newest first.
    pub async fn replays(
        &self,
        actor: &Actor,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Paged<ReplayView>, Problem> {
        actor.need(Scope::Read)?;
        let wrong = || Problem::invalid("cursor: take it from the page before");
        let before = after.map(|text| Uuid::try_parse(text).map_err(|_| wrong())).transpose()?;
        let mut rows = self.store.replays(before, limit.saturating_add(1)).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let last = rows.last().filter(|_| more);
        let next = last.map(|replay| replay.id.simple().to_string());
        Ok(Paged { items: rows.iter().map(ReplayView::of).collect(), next })
    }

    pub async fn replay(&self, actor: &Actor, id: &str) -> Result<ReplayView, Problem> {
        actor.need(Scope::Read)?;
        let missing = || Problem::missing("replay", id);
        let uuid = Uuid::try_parse(id).map_err(|_| missing())?;
        let replay = self.store.replay(uuid).await?.ok_or_else(missing)?;
        Ok(ReplayView::of(&replay))
    }

    /// Stops a replay; what it has sent stays sent. One that has ended stays as it is.
    pub async fn cancel_replay(&self, actor: &Actor, id: &str) -> Result<ReplayView, Problem> {
        actor.need(Scope::Operate)?;
        let missing = || Problem::missing("replay", id);
        let uuid = Uuid::try_parse(id).map_err(|_| missing())?;
        let subject = uuid.simple().to_string();
        let log = Log::new("delivery.replay_cancel", subject, serde_json::json!({}));
        let audit = self.entry(actor, log);
        let replay = self.store.cancel_replay(uuid, &audit).await?.ok_or_else(missing)?;
        Ok(ReplayView::of(&replay))
    }

    async fn range(&self, ask: &ReplayAsk) -> Result<Range, Problem> {
        let standing = match ask.state.as_deref() {
            None => None,
            Some(text) => {
                let settled = Standing::parse(text).filter(|one| *one != Standing::Waiting);
                let wrong = || Problem::invalid("state: delivered or parked, or both without it");
                Some(settled.ok_or_else(wrong)?)
            }
        };
        if ask.from_ms >= ask.to_ms || ask.to_ms > END_MS {
            return Err(Problem::invalid("the range: it must begin before it ends"));
        }
        let channel = find::channel(&self.book().await?.registry, &ask.channel)?.id.clone();
        let [from_ms, to_ms] =
            [ask.from_ms, ask.to_ms].map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        Ok(Range { channel, from_ms, to_ms, standing })
    }

    async fn begin(
        &self,
        actor: &Actor,
        action: &'static str,
        chosen: Chosen,
        detail: serde_json::Value,
    ) -> Result<ReplayView, Problem> {
        let id = self.entropy.uuid_v7(self.clock.unix_ms());
        let once = self.once.as_ref().map(|once| (once.id.clone(), once.fingerprint.clone()));
        let audit = self.entry(actor, Log::new(action, id.simple().to_string(), detail));
        let draft = ReplayDraft { id, chosen, once, audit };
        match self.store.begin_replay(&draft).await? {
            Begun::Yes(replay) => Ok(ReplayView::of(&replay)),
            Begun::Reused => {
                let words = "the Idempotency-Key was used for something else";
                Err(Problem::new(Kind::Reused, words))
            }
            Begun::Nothing => Err(Problem::conflict(
                "nothing settled is like this: what waits for delivery is not sent again",
            )),
            Begun::TooMany => Err(too_many()),
            Begun::TooWide => Err(too_wide()),
        }
    }
}

fn too_many() -> Problem {
    Problem::invalid(format!("the range: it holds more than {MOST} deliveries; take a part of it"))
}

fn too_wide() -> Problem {
    let words =
        format!("the range: more than {SEEN} deliveries were settled in it; take a part of it");
    Problem::invalid(words)
}

impl ReplayView {
    fn of(row: &Replay) -> Self {
        let (range, one) = match &row.chosen {
            Chosen::Range(range) => (Some(range), None),
            Chosen::One(id) => (None, Some(id)),
        };
        let standing = range.and_then(|range| range.standing);
        Self {
            replay_id: row.id.simple().to_string(),
            state: row.state.as_str().to_owned(),
            channel_id: row.channel.to_string(),
            actor: row.actor.clone(),
            from_ms: range.map(|range| range.from_ms.unsigned_abs()),
            to_ms: range.map(|range| range.to_ms.unsigned_abs()),
            of_state: standing.map(|standing| standing.as_str().to_owned()),
            turn_id: one.map(|id| id.turn.to_string()),
            message: one.map(|id| id.index.into()),
            deliveries: row.total,
            sent: row.sent,
            passed_over: row.passed,
            created_at_ms: row.created_ms,
            ended_at_ms: row.ended_ms,
        }
    }
}

//! Turns and deliveries as operators look at them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::domain::delivery::Place;
use shared::domain::ids::{ChannelId, ConversationId, ConversationKey, TurnId, UserId};
use shared::domain::outcome::Outcome;
use shared::store::Store;
use shared::store::ledger::{
    DeliveriesAsk, LedgerAttempt, LedgerDelivery, LedgerTurn, Settled, Standing, Tried, TurnsAsk,
};

use super::actor::{Actor, Scope};
use super::execute::Desk;
use super::find;
use super::problem::Problem;

/// The most attempts that are shown at once, unless it is said otherwise: each may have a long response.
pub const ATTEMPTS: u32 = 50;

/// A turn as it ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TurnView {
    pub turn_id: String,
    pub channel_id: String,
    /// `from.id`; missing once the conversation is cleaned or erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `answered`, `bot_failed`, `bot_timed_out`, `bot_unavailable`, `result_refused` or `parked`.
    pub outcome: String,
    /// Why, for an operator.
    pub detail: String,
    /// When ingress accepted it, in milliseconds since 1970.
    pub accepted_at_ms: u64,
    /// From then to the start of the bot's run.
    pub queued_ms: u64,
    /// How long the bot took.
    pub bot_ms: u64,
    pub committed_at_ms: u64,
}

/// All that is known of a turn.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WholeTurnView {
    pub turn: TurnView,
    /// The stored answer: a body of protocol version 1. Empty once erased.
    pub reply: String,
    pub deliveries: Vec<DeliveryView>,
    /// The first 50 attempts at its deliveries, by message and attempt.
    pub attempts: Vec<AttemptView>,
    /// Whether there are more: the list of its attempts has all of them.
    pub more_attempts: bool,
}

/// The duty to bring one message of a turn to an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    pub turn_id: String,
    /// Which message of the turn, from 0.
    pub message: u32,
    pub channel_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `waiting`, `delivered` or `parked`.
    pub state: String,
    /// Why it was parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub attempts: u32,
    pub redriven: bool,
    /// When it is due, in milliseconds since 1970.
    pub due_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at_ms: Option<u64>,
    /// What is sent.
    pub body: String,
}

/// One POST.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    pub message: u32,
    pub attempt: u32,
    /// Missing when there was no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub took_ms: u64,
    /// The head of the response's body.
    pub response: String,
    pub at_ms: u64,
}

/// A page of views, and where to go on.
pub struct Paged<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// What narrows a list of turns. Empty words ask for nothing.
#[derive(Clone, Copy, Default)]
pub struct TurnsOf<'a> {
    pub channel: Option<&'a str>,
    /// `from.id`, exactly; only together with a channel.
    pub user: Option<&'a str>,
    pub outcome: Option<&'a str>,
    /// Where the page before said to go on.
    pub after: Option<&'a str>,
    pub limit: u32,
}

/// As [`TurnsOf`].
#[derive(Clone, Copy, Default)]
pub struct DeliveriesOf<'a> {
    pub channel: Option<&'a str>,
    pub state: Option<&'a str>,
    pub after: Option<&'a str>,
    pub limit: u32,
}

impl<S: Store> Desk<S> {
    /// Turns, newest first.
    pub async fn turns(&self, actor: &Actor, of: TurnsOf<'_>) -> Result<Paged<TurnView>, Problem> {
        actor.need(Scope::Read)?;
        let channel = self.channel_id(of.channel).await?;
        let outcome = of.outcome.map(|text| {
            let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
            known.ok_or_else(|| Problem::invalid("outcome: not one that there is"))
        });
        let conversation = match (of.user, &channel) {
            (None, _) => None,
            (Some(user), Some(channel)) => {
                Some(ConversationKey::new(channel.clone(), UserId::from(user)).id())
            }
            (Some(_), None) => return Err(Problem::invalid("user: give the channel too")),
        };
        let before = of.after.map(|text| TurnId::parse(text).ok_or_else(cursor)).transpose()?;
        let outcome = outcome.transpose()?;
        let ask = TurnsAsk { conversation, channel, outcome, before, limit: of.limit };
        let leaf = self.store.turns(&ask).await?;
        let next = leaf.next.map(|turn| turn.to_string());
        Ok(Paged { items: leaf.rows.iter().map(TurnView::of).collect(), next })
    }

    /// One turn with its deliveries and the first attempts at them.
    pub async fn turn(&self, actor: &Actor, id: &str) -> Result<WholeTurnView, Problem> {
        actor.need(Scope::Read)?;
        let missing = || Problem::missing("turn", id);
        let turn = TurnId::parse(id).ok_or_else(missing)?;
        let whole = self.store.turn(turn).await?.ok_or_else(missing)?;
        let attempts = self.store.attempts(turn, None, ATTEMPTS).await?;
        Ok(WholeTurnView {
            turn: TurnView::of(&whole.turn),
            reply: text(&whole.reply),
            deliveries: whole.deliveries.iter().map(DeliveryView::of).collect(),
            attempts: attempts.rows.iter().map(AttemptView::of).collect(),
            more_attempts: attempts.next.is_some(),
        })
    }

    /// Attempts at a turn's deliveries, by message and attempt.
    pub async fn attempts(
        &self,
        actor: &Actor,
        id: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Paged<AttemptView>, Problem> {
        actor.need(Scope::Read)?;
        let turn = TurnId::parse(id).ok_or_else(|| Problem::missing("turn", id))?;
        let after = after.map(|text| tried(text).ok_or_else(cursor)).transpose()?;
        let leaf = self.store.attempts(turn, after, limit).await?;
        let next = leaf.next.map(|at| format!("{}.{}", at.index, at.attempt));
        Ok(Paged { items: leaf.rows.iter().map(AttemptView::of).collect(), next })
    }

    /// Deliveries: waiting ones (as is usual) by due time, settled ones last settled first.
    pub async fn deliveries(
        &self,
        actor: &Actor,
        of: DeliveriesOf<'_>,
    ) -> Result<Paged<DeliveryView>, Problem> {
        actor.need(Scope::Read)?;
        let standing = match of.state {
            None => Standing::Waiting,
            Some(text) => Standing::parse(text)
                .ok_or_else(|| Problem::invalid("state: waiting, delivered or parked"))?,
        };
        let channel = self.channel_id(of.channel).await?;
        let after = of.after.map(|text| place(text).ok_or_else(cursor)).transpose()?;
        let ask = DeliveriesAsk { standing, channel, after, limit: of.limit };
        let leaf = self.store.deliveries(&ask).await?;
        let next = leaf.next.map(|at| {
            let Place { conversation, number } = at.place;
            format!("{}.{}.{number}", at.at_us, conversation.uuid().simple())
        });
        Ok(Paged { items: leaf.rows.iter().map(DeliveryView::of).collect(), next })
    }

    async fn channel_id(&self, name: Option<&str>) -> Result<Option<ChannelId>, Problem> {
        let Some(name) = name else { return Ok(None) };
        let book = self.book().await?;
        // A channel that is gone has left turns behind.
        let id = ChannelId::from(name);
        match find::channel(&book.registry, name) {
            Ok(channel) => Ok(Some(channel.id.clone())),
            Err(_) if name.starts_with("ivrInst-") => Ok(Some(id)),
            Err(problem) => Err(problem),
        }
    }
}

fn cursor() -> Problem {
    Problem::invalid("cursor: take it from the page before")
}

fn place(text: &str) -> Option<Settled> {
    let mut parts = text.splitn(3, '.');
    let at_us = parts.next()?.parse().ok()?;
    let conversation = ConversationId::new(uuid::Uuid::try_parse(parts.next()?).ok()?);
    // Moments and numbers are no further away than a database's.
    let number = parts.next()?.parse().ok()?;
    let sane = (0..253_402_300_799_000_000).contains(&at_us);
    sane.then_some(Settled { at_us, place: Place { conversation, number } })
}

/// Behind this attempt of this message.
fn tried(text: &str) -> Option<Tried> {
    let (index, attempt) = text.split_once('.')?;
    Some(Tried { index: index.parse().ok()?, attempt: attempt.parse().ok()? })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl TurnView {
    fn of(row: &LedgerTurn) -> Self {
        Self {
            turn_id: row.turn.to_string(),
            channel_id: row.channel.to_string(),
            user: row.user.clone(),
            outcome: row.outcome.as_str().to_owned(),
            detail: row.detail.clone(),
            accepted_at_ms: row.turn.unix_ms(),
            queued_ms: row.queued_ms,
            bot_ms: row.bot_ms,
            committed_at_ms: row.committed_at_ms,
        }
    }
}

impl DeliveryView {
    fn of(row: &LedgerDelivery) -> Self {
        let settled = u64::try_from(row.settled_us / 1_000).ok().filter(|ms| *ms > 0);
        Self {
            turn_id: row.id.turn.to_string(),
            message: row.id.index.into(),
            channel_id: row.channel.to_string(),
            user: row.user.clone(),
            state: row.standing.as_str().to_owned(),
            reason: row.reason.map(|reason| reason.as_str().to_owned()),
            attempts: row.attempt,
            redriven: row.redriven,
            due_at_ms: row.due_ms,
            settled_at_ms: settled,
            body: text(&row.body),
        }
    }
}

impl AttemptView {
    fn of(row: &LedgerAttempt) -> Self {
        Self {
            message: row.id.index.into(),
            attempt: row.attempt,
            status: Some(row.status).filter(|status| *status != 0),
            error: row.error.clone(),
            took_ms: row.took_ms,
            response: text(&row.response),
            at_ms: row.at_ms,
        }
    }
}

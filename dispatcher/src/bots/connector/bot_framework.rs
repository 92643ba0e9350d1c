//! A bot of the Bot Framework or the Agents SDK. It replies with its response (`expectReplies`) or by calls of
//! its own, which come to this process through an ingress (`callbacks`).

use std::time::Duration;

use ::http::StatusCode;
use serde_json::Value;
use shared::registry::{Activities, RepliesBy};
use shared::wire::v1::TaskEnd;
use tokio::time::{Instant, timeout_at};

use super::call::{Answer, Call, response_max};
use super::callbacks::{Place, Way};
use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::activity::{self, Back, Gathered, Said};

/// What is left of a turn for what was said, where a bot goes on until the deadline.
const MARGIN: Duration = Duration::from_millis(100);

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    how: &Activities,
) -> Result<TurnEnd, BotError> {
    let place = bot.callbacks.wait(exchange.turn, bot.entropy);
    let gathered = Gathered::new(response_max(exchange.turn));
    let mut asking = Asking { bot, exchange, how, place, gathered, last: Instant::now() };
    let way = asking.way().await?;
    if how.welcome && exchange.is_new {
        let said = asking.ask(Kind::Arrival, way).await?;
        exchange.say(said.messages)?;
    }
    let said = asking.ask(Kind::Message, way).await?;
    exchange.say(said.messages)?;
    let task = said.ended.then_some(TaskEnd {
        end_of_task: true,
        end_reason: None,
        completed_task_id: None,
        completed_task_name: None,
    });
    Ok(TurnEnd { task })
}

/// What a turn asks of the bot.
struct Asking<'a> {
    bot: &'a ConnectorBot<'a>,
    exchange: &'a Exchange<'a>,
    how: &'a Activities,
    place: Option<Place>,
    /// What has come by calls and was not said yet.
    gathered: Gathered,
    /// When the last of them came, or the last response.
    last: Instant,
}

/// What the bot is told of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Arrival,
    Message,
    Typing,
}

impl Asking<'_> {
    /// How the bot replies. One that nothing is known of is asked with an activity that asks for nothing: a
    /// message that is sent again would be heard twice.
    async fn way(&mut self) -> Result<Way, BotError> {
        match (self.how.replies, &self.place) {
            (RepliesBy::Expect, _) | (RepliesBy::Auto, None) => return Ok(Way::Response),
            (RepliesBy::Normal, Some(_)) => return Ok(Way::Calls),
            (RepliesBy::Normal, None) => {
                return Err(failed("it replies by calls, and there is no way for them just now"));
            }
            (RepliesBy::Auto, Some(_)) => {}
        }
        let id = &self.exchange.turn.bot.id;
        if let Some(way) = self.bot.callbacks.way(id) {
            return Ok(way);
        }
        let answer = self.post(Kind::Typing, Way::Response).await?;
        self.gathered.take();
        let way = match answer.status {
            // As the SDK does that runs the turn and cannot write the replies.
            StatusCode::INTERNAL_SERVER_ERROR => Way::Calls,
            status if status.is_success() && activities(&answer).is_some() => Way::Response,
            status if status.is_success() => Way::Calls,
            // It does not want this activity, which says nothing of others.
            _ => return Ok(Way::Response),
        };
        self.bot.callbacks.found(id, way);
        Ok(way)
    }

    async fn ask(&mut self, kind: Kind, way: Way) -> Result<Said, BotError> {
        let answer = self.post(kind, way).await?;
        if way == Way::Response && answer.status == StatusCode::INTERNAL_SERVER_ERROR {
            self.bot.callbacks.forget(&self.exchange.turn.bot.id);
            return Err(failed(
                "it answered 500: it failed, or its SDK does not know expectReplies",
            ));
        }
        let answer = answer.well()?;
        let replies = if way == Way::Response { activities(&answer) } else { None };
        match replies {
            Some(replies) => self.gathered.add(replies),
            None if way == Way::Calls => self.gather(kind, answer.status).await?,
            None if self.how.replies == RepliesBy::Auto && self.place.is_some() => {
                self.bot.callbacks.found(&self.exchange.turn.bot.id, Way::Calls);
                self.gather(kind, answer.status).await?;
            }
            None => return Err(failed("it does not reply with its response (expectReplies)")),
        }
        Ok(activity::said(&self.gathered.take()))
    }

    /// Tells the bot; meanwhile it may call.
    async fn post(&mut self, kind: Kind, way: Way) -> Result<Answer, BotError> {
        let heard = self.exchange.heard();
        let back = Back {
            service_url: self.place.as_ref().map(|place| place.service_url.as_str()),
            with_response: way == Way::Response,
        };
        let body = match kind {
            Kind::Arrival => activity::arrival(heard, back),
            Kind::Message => activity::message(heard, back),
            Kind::Typing => activity::typing(heard, back),
        };
        let call = Call { url: self.bot.logic.url.clone(), body, header: None };
        let calling = self.bot.call(self.exchange, &call);
        tokio::pin!(calling);
        loop {
            let called = async {
                match &mut self.place {
                    Some(place) => place.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                call = called => self.gathered.hear(call).map_err(failed)?,
                answer = &mut calling => {
                    self.last = Instant::now();
                    return answer;
                }
            }
        }
    }

    /// Waits until nothing more has come for a while. A bot that has only accepted what it was told may not
    /// have begun: its first word is waited for until the turn's deadline. Nobody waits for what a bot says
    /// of an arrival: its message comes behind it.
    async fn gather(&mut self, kind: Kind, status: StatusCode) -> Result<(), BotError> {
        let accepted = status == StatusCode::ACCEPTED;
        let Some(place) = self.place.as_mut().filter(|_| accepted || kind == Kind::Message) else {
            return Ok(());
        };
        let idle = Duration::from_millis(self.how.idle_ms.into());
        let end = self.exchange.turn.deadline - MARGIN;
        let silent = |gathered: &Gathered| accepted && kind == Kind::Message && gathered.is_empty();
        loop {
            let until = if silent(&self.gathered) { end } else { end.min(self.last + idle) };
            match timeout_at(until, place.next()).await {
                Ok(call) => self.gathered.hear(call).map_err(failed)?,
                Err(_) if silent(&self.gathered) => return Err(BotError::TimedOut),
                Err(_) => return Ok(()),
            }
            self.last = Instant::now();
        }
    }
}

/// The activities in a response; `None` when it is not made of any.
fn activities(answer: &Answer) -> Option<Vec<Value>> {
    let mut body = answer.json().ok()?;
    match body.get_mut("activities")?.take() {
        Value::Array(activities) => Some(activities),
        _ => None,
    }
}

//! A bot of the Bot Framework or the Agents SDK. Replies come with the response (`expectReplies`); the
//! other way, replies as calls of their own, needs a door that a dispatcher does not have.

use ::http::StatusCode;
use serde_json::Value;
use shared::wire::v1::TaskEnd;

use super::call::Call;
use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::activity::{self, Said};

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    welcome: bool,
) -> Result<TurnEnd, BotError> {
    if welcome && exchange.is_new {
        let said = ask(bot, exchange, activity::arrival(exchange.heard())).await?;
        exchange.say(said.messages)?;
    }
    let said = ask(bot, exchange, activity::message(exchange.heard())).await?;
    exchange.say(said.messages)?;
    let task = said.ended.then_some(TaskEnd {
        end_of_task: true,
        end_reason: None,
        completed_task_id: None,
        completed_task_name: None,
    });
    Ok(TurnEnd { task })
}

async fn ask(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    body: Value,
) -> Result<Said, BotError> {
    let call = Call { url: bot.logic.url.clone(), body, header: None };
    let answer = bot.call(exchange, &call).await?;
    if answer.status == StatusCode::INTERNAL_SERVER_ERROR {
        return Err(failed("it answered 500: it failed, or its SDK does not know expectReplies"));
    }
    let answer = answer.well()?;
    let body = if answer.text.trim().is_empty() { Value::Null } else { answer.json()? };
    activity::answer(&body).ok_or_else(|| {
        failed("it does not reply with its response (expectReplies), and no other way is supported")
    })
}

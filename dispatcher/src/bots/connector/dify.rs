//! A Dify app. Its conversation's id is kept in the session.

use ::http::StatusCode;
use serde_json::json;

use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::{cards, dify};

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    stream: bool,
) -> Result<TurnEnd, BotError> {
    let kept = exchange.kept(&bot.logic.peer);
    let conversation = kept["conversation"].as_str().unwrap_or_default();
    let question = |conversation| dify::question(exchange.heard(), conversation, stream);
    let path = ["chat-messages"];
    let mut answer = bot.post(exchange, &path, question(conversation)).await?;
    if answer.status == StatusCode::NOT_FOUND && !conversation.is_empty() {
        // It is gone over there, or it was another app's: the conversation begins anew.
        answer = bot.post(exchange, &path, question("")).await?;
    }
    let answer = answer.well()?;
    let answer = dify::answer(&answer.text).map_err(failed)?;
    exchange.say(cards::said(&answer.text).into_iter().collect())?;
    if let Some(conversation) = answer.conversation {
        exchange.keep(&bot.logic.peer, &json!({"conversation": conversation}))?;
    }
    Ok(TurnEnd::default())
}

//! A Rasa server, by its REST channel.

use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::rasa;

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
) -> Result<TurnEnd, BotError> {
    let question = rasa::question(exchange.heard());
    let answer = bot.post(exchange, &["webhooks", "rest", "webhook"], question).await?.well()?;
    let messages = rasa::answer(&answer.text).ok_or_else(|| failed("its answer is no messages"))?;
    if messages.is_empty() {
        // Rasa answers so, too, when one of its actions has failed.
        tracing::warn!(bot.id = %exchange.turn.bot.id, "a Rasa bot said nothing");
    }
    exchange.say(messages)?;
    Ok(TurnEnd::default())
}

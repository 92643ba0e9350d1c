//! A Rasa action server: one action answers, and may name the next.

use ::http::StatusCode;

use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::rasa_actions::{self, Tracker};

/// Actions of one turn.
const ACTIONS_MAX: usize = 10;

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    action: &str,
) -> Result<TurnEnd, BotError> {
    let kept = exchange.kept(&bot.logic.peer);
    let mut tracker: Tracker = serde_json::from_value(kept).unwrap_or_default();
    let mut next = Some(action.to_owned());
    for _ in 0..ACTIONS_MAX {
        let Some(action) = next.take() else { break };
        let question = rasa_actions::question(exchange.heard(), &tracker, &action);
        let answer = bot.post(exchange, &["webhook"], question).await?;
        if answer.status == StatusCode::NOT_FOUND {
            // What a peer names may be anything, and this is logged.
            let known = action.len() <= 60 && action.bytes().all(|byte| byte.is_ascii_graphic());
            let which = if known { action.as_str() } else { "of a strange name" };
            return Err(failed(format!("it has no action {which}")));
        }
        let body = answer.well()?.json()?;
        let done = rasa_actions::answer(&body, &mut tracker, &action).map_err(failed)?;
        exchange.say(done.messages)?;
        next = done.followup;
    }
    if next.is_some() {
        return Err(failed(format!("it ran more than {ACTIONS_MAX} actions in one turn")));
    }
    let kept = serde_json::to_value(&tracker).expect("invariant: maps of strings are JSON");
    exchange.keep(&bot.logic.peer, &kept)?;
    Ok(TurnEnd::default())
}

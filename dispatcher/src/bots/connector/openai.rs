//! OpenAI-compatible chat completions. The conversation is kept in the session.

use serde_json::{Value, json};
use shared::registry::Model;

use super::{ConnectorBot, Exchange, failed, tools};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::{cards, chat};

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    model: &Model,
) -> Result<TurnEnd, BotError> {
    let mut history = history(exchange.kept(&bot.logic.peer));
    history.push(json!({"role": "user", "content": exchange.heard().text}));
    let mut messages = history.clone();
    let mut said = Vec::new();
    let mut calls = 0;
    let mut spent = 0;
    for round in 0..=tools::ROUNDS_MAX {
        let question = chat::question(model, &messages);
        let answer = bot.post(exchange, &["chat", "completions"], question).await?.well()?;
        let answer = chat::answer(&answer.text).map_err(failed)?;
        if !answer.text.is_empty() {
            said.push(answer.text.clone());
        }
        if answer.calls.is_empty() {
            exchange.say(said.iter().filter_map(|text| cards::said(text)).collect())?;
            history.push(json!({"role": "assistant", "content": said.join("\n")}));
            exchange.keep_history(&bot.logic.peer, history, model.history)?;
            return Ok(TurnEnd::default());
        }
        if round == tools::ROUNDS_MAX {
            break;
        }
        if answer.calls.len() > tools::CALLS_MAX {
            return Err(failed("it makes too many calls at once"));
        }
        messages.push(chat::called(&answer));
        for call in &answer.calls {
            let result = tools::make(bot, exchange, &model.tools, call, calls).await;
            spent += call.arguments.len() + result.len();
            messages.push(chat::result(call, &result));
            calls += 1;
        }
        tools::within(spent + said.iter().map(String::len).sum::<usize>()).map_err(failed)?;
    }
    Err(failed("it calls tools without an end"))
}

/// The conversation until now, as it is kept.
pub(super) fn history(mut kept: Value) -> Vec<Value> {
    match kept.get_mut("history").map(Value::take) {
        Some(Value::Array(messages)) => messages,
        Some(_) | None => Vec::new(),
    }
}

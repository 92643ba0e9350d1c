//! OpenAI-compatible responses. The conversation is kept in the session, or by the peer with only its last
//! answer's id here.

use ::http::StatusCode;
use serde_json::{Value, json};
use shared::registry::Model;

use super::openai::history;
use super::{ConnectorBot, Exchange, failed, tools};
use crate::bots::{BotError, TurnEnd};
use crate::domain::peers::responses::Answer;
use crate::domain::peers::{cards, responses};

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    model: &Model,
    store: bool,
) -> Result<TurnEnd, BotError> {
    let kept = exchange.kept(&bot.logic.peer);
    let mut previous = kept["previous"].as_str().filter(|_| store).map(str::to_owned);
    let mut history = if store { Vec::new() } else { history(kept) };
    history.push(json!({"role": "user", "content": exchange.heard().text}));
    let mut input = history.clone();
    let mut said = Vec::new();
    let mut calls = 0;
    let mut spent = 0;
    for round in 0..=tools::ROUNDS_MAX {
        let answer = ask(bot, exchange, model, store, previous.as_deref(), &input).await?;
        said.extend(answer.texts);
        if store {
            previous = answer.id;
            input.clear();
        } else {
            input.extend(answer.output);
        }
        if answer.calls.is_empty() {
            exchange.say(said.iter().filter_map(|text| cards::said(text)).collect())?;
            history.push(json!({"role": "assistant", "content": said.join("\n")}));
            let peer = &bot.logic.peer;
            if store {
                exchange.keep(peer, &json!({"previous": previous}))?;
            } else {
                exchange.keep_history(peer, history, model.history)?;
            }
            return Ok(TurnEnd::default());
        }
        if round == tools::ROUNDS_MAX {
            break;
        }
        if answer.calls.len() > tools::CALLS_MAX {
            return Err(failed("it makes too many calls at once"));
        }
        for call in &answer.calls {
            let result = tools::make(bot, exchange, &model.tools, call, calls).await;
            spent += call.arguments.len() + result.len();
            input.push(responses::result(call, &result));
            calls += 1;
        }
        tools::within(spent + said.iter().map(String::len).sum::<usize>()).map_err(failed)?;
    }
    Err(failed("it calls tools without an end"))
}

/// An answer that the peer was to remember may be gone: the conversation then begins anew there.
async fn ask(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    model: &Model,
    store: bool,
    previous: Option<&str>,
    input: &[Value],
) -> Result<Answer, BotError> {
    let question = responses::question(model, store, previous, input);
    let mut answer = bot.post(exchange, &["responses"], question).await?;
    let gone = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&answer.status)
        && answer.json().is_ok_and(|body| body["error"]["code"] == "previous_response_not_found");
    if previous.is_some() && gone {
        let question = responses::question(model, store, None, input);
        answer = bot.post(exchange, &["responses"], question).await?;
    }
    responses::answer(&answer.well()?.text).map_err(failed)
}

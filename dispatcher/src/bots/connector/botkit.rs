//! A Kore `BotKit` server's `on_webhook`: the kit's answer is the payload, changed.

use ::http::{HeaderName, StatusCode};
use jsonwebtoken::{EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::call::{Call, below};
use super::{ConnectorBot, Exchange, failed};
use crate::bots::{BotError, TurnEnd, user_context};
use crate::domain::peers::botkit;

pub(super) async fn turn(
    bot: &ConnectorBot<'_>,
    exchange: &Exchange<'_>,
    client_id: &str,
    component: &str,
) -> Result<TurnEnd, BotError> {
    let heard = exchange.heard();
    let channel = json!({
        "id": heard.channel,
        "name": exchange.turn.channel.name,
        "type": "ivr",
    });
    let bot_user = exchange.turn.session().with_last_message(&exchange.payload, &channel);
    let user = user_context(exchange.turn, &exchange.payload);
    let path = ["sdk", "bots", heard.bot, "components", component, "on_webhook"];
    let call = Call {
        url: below(&bot.logic.url, &path)?,
        body: botkit::question(heard, component, &bot_user, &user),
        header: Some((HeaderName::from_static("token"), token(bot, client_id)?)),
    };
    let answer = bot.call(exchange, &call).await?.well()?;
    if answer.status == StatusCode::ACCEPTED {
        return Err(failed("it wants to answer later, by callbackUrl, which is not supported"));
    }
    let said = botkit::answer(&answer.json()?, heard);
    exchange.say(said.messages)?;
    if let Some(bot_user) = said.bot_user {
        exchange.turn.set_session(bot_user)?;
    }
    Ok(TurnEnd::default())
}

/// What a kit knows its platform by.
fn token(bot: &ConnectorBot<'_>, client_id: &str) -> Result<SecretString, BotError> {
    let secret = bot.logic.authorization.as_ref().ok_or_else(|| failed("it has no secret"))?;
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &json!({"appId": client_id}), &key);
    token.map(SecretString::from).map_err(|_| failed("its token cannot be signed"))
}

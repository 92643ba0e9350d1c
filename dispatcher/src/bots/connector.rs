//! Bots of other platforms (`docs/connectors.md`): one file per protocol. What is asked and what an answer
//! says is decided in `domain::peers`; here it is sent and received.
//!
//! A turn is at least once for the peer: a run again after a crash asks again. Within a run a call is
//! repeated only where the peer has surely not begun to work on it.

mod bot_framework;
mod botkit;
mod call;
mod callbacks;
mod dify;
mod openai;
mod rasa;
mod rasa_actions;
mod responses;
mod tools;

use serde_json::{Map, Value, json};
use shared::egress::Client;
use shared::entropy::Entropy;
use shared::registry::{ConnectorLogic, Peer};
use shared::wire::v1::BotMessage;

pub use callbacks::Callbacks;

use super::{Bot, BotError, TurnContext, TurnEnd};
use crate::domain::clean;
use crate::domain::peers::{Heard, chat};

/// Bytes of JSON around what is kept of a peer.
const AROUND: usize = 128;

/// One turn's use of a peer.
#[derive(Debug)]
pub struct ConnectorBot<'a> {
    pub logic: &'a ConnectorLogic,
    pub egress: &'a Client,
    pub entropy: &'a Entropy,
    pub callbacks: &'a Callbacks,
}

impl Bot for ConnectorBot<'_> {
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        let exchange = Exchange::new(turn);
        match &self.logic.peer {
            Peer::Rasa => rasa::turn(self, &exchange).await,
            Peer::RasaActions { action } => rasa_actions::turn(self, &exchange, action).await,
            Peer::BotFramework(how) => bot_framework::turn(self, &exchange, how).await,
            Peer::Openai(model) => openai::turn(self, &exchange, model).await,
            Peer::OpenaiResponses { model, store } => {
                responses::turn(self, &exchange, model, *store).await
            }
            Peer::Botkit { client_id, component } => {
                botkit::turn(self, &exchange, client_id, component).await
            }
            Peer::Dify { stream } => dify::turn(self, &exchange, *stream).await,
        }
    }
}

/// A turn, and what its texts are once and for all.
struct Exchange<'a> {
    turn: &'a TurnContext,
    id: String,
    payload: Value,
    session: String,
    is_new: bool,
}

impl<'a> Exchange<'a> {
    fn new(turn: &'a TurnContext) -> Self {
        let session = turn.session();
        Self {
            turn,
            id: turn.turn.id.to_string(),
            payload: serde_json::from_str(&turn.turn.payload).unwrap_or_default(),
            session: session.id,
            is_new: session.is_new,
        }
    }

    fn heard(&self) -> Heard<'_> {
        Heard {
            turn: &self.id,
            user: self.turn.turn.user.as_str(),
            session: &self.session,
            is_new: self.is_new,
            bot: self.turn.bot.id.as_str(),
            channel: self.turn.channel.id.as_str(),
            text: &self.turn.turn.text,
            payload: &self.payload,
        }
    }

    fn say(&self, messages: Vec<BotMessage>) -> Result<(), BotError> {
        for message in messages {
            if matches!(&message, BotMessage::Template(value) if !clean::is_shallow(value)) {
                return Err(failed("a message is nested too deep"));
            }
            self.turn.say(message)?;
        }
        Ok(())
    }

    /// What this kind of peer has kept in the session: null when there is nothing.
    fn kept(&self, peer: &Peer) -> Value {
        let kept = self.turn.session().dialog.filter(|kept| kept["peer"] == peer.kind());
        kept.map_or(Value::Null, |kept| kept["kept"].clone())
    }

    /// Keeps something in the session beside what is there.
    fn keep(&self, peer: &Peer, kept: &Value) -> Result<(), BotError> {
        let bot_user = self.turn.session().bot_user;
        self.keep_both(peer, kept, bot_user)
    }

    /// Keeps a conversation with a model: of what was said as much as the session has room for, the newest.
    fn keep_history(&self, peer: &Peer, history: Vec<Value>, most: u32) -> Result<(), BotError> {
        let bot_user = self.turn.session().bot_user;
        let room = self.turn.room(&bot_user).saturating_sub(AROUND);
        let history = chat::trim(history, most, room);
        let kept = json!({"peer": peer.kind(), "kept": {"history": history}});
        self.turn.set_state(bot_user, (!history.is_empty()).then_some(kept))
    }

    fn keep_both(
        &self,
        peer: &Peer,
        kept: &Value,
        bot_user: Map<String, Value>,
    ) -> Result<(), BotError> {
        self.turn.set_state(bot_user, Some(json!({"peer": peer.kind(), "kept": kept})))
    }
}

fn failed(why: impl Into<String>) -> BotError {
    BotError::Failed(why.into())
}

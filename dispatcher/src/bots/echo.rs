//! Says back what the user said: for demonstrations and measurements.

use shared::wire::v1::BotMessage;

use super::{Bot, BotError, TurnContext, TurnEnd};

#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Bot for Echo {
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        turn.say(BotMessage::Text(turn.turn.text.clone()))?;
        Ok(TurnEnd::default())
    }
}

//! The append bot: what it keeps is the list of what it was told, and what it says shows the list. A list
//! shows loss, doubles and order at once.

use std::time::Duration;

use dispatcher::bots::{Bot, BotError, TurnContext, TurnEnd};
use serde_json::Value;
use shared::domain::turn::Mode;
use shared::wire::v1::BotMessage;

use crate::world::{Process, World};

#[derive(Clone, Debug)]
pub(crate) struct Appender {
    pub(crate) world: World,
    pub(crate) process: Process,
}

/// How many messages a turn of an asynchronous channel is answered with.
pub(crate) const fn messages(number: u64) -> u64 {
    1 + number % 3
}

impl Bot for Appender {
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        let slow = self.world.bots_are_slow();
        let think = self.world.draw(|chance| match chance.between(0, 9) {
            _ if slow => chance.ms(500, 4_000),
            0..6 => Duration::ZERO,
            6..9 => chance.ms(1, 300),
            _ => chance.ms(300, 4_000),
        });
        tokio::time::sleep(think).await;
        self.world.gate(self.process).await;
        let wrong = |_| BotError::Failed("not a number".to_owned());
        // A line each: messages that are answered as one.
        let numbers: Result<Vec<u64>, _> = turn.turn.text.lines().map(str::parse).collect();
        let numbers = numbers.map_err(wrong)?;
        let number = numbers.last().copied().unwrap_or_default();
        let mut kept = turn.session().bot_user;
        let list = kept.entry("list").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.extend(numbers.into_iter().map(Value::from));
        }
        let list = list.to_string();
        turn.set_session(kept)?;
        if turn.turn.mode == Mode::Sync {
            turn.say(BotMessage::Text(list))?;
        } else {
            for index in 0..messages(number) {
                turn.say(BotMessage::Text(format!("{number}#{index}")))?;
            }
        }
        Ok(TurnEnd::default())
    }
}

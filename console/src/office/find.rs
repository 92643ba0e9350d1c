//! Which app, bot or channel a person means: an id, or a name where only one has it.

use std::sync::Arc;

use shared::domain::ids::BotId;
use shared::registry::{App, Bot, Channel, Registry};

use super::problem::Problem;

pub fn app(registry: &Registry, name: &str) -> Result<Arc<App>, Problem> {
    if let Some(app) = registry.apps.get(&name.into()) {
        return Ok(Arc::clone(app));
    }
    only(registry.apps.values().filter(|app| app.name == name), "app", name)
}

pub fn bot(registry: &Registry, name: &str) -> Result<Arc<Bot>, Problem> {
    if let Some(bot) = registry.bots.get(&name.into()) {
        return Ok(Arc::clone(bot));
    }
    let mut unreadable = registry.unreadable.iter();
    if unreadable.any(|(id, bot)| id.as_str() == name || bot.name == name) {
        let words = format!("the bot {name:?} has settings that this release cannot read");
        return Err(Problem::conflict(words));
    }
    only(registry.bots.values().filter(|bot| bot.name == name), "bot", name)
}

/// A channel by its id, its name, or `BOT/NAME`.
pub fn channel(registry: &Registry, name: &str) -> Result<Arc<Channel>, Problem> {
    if let Some(channel) = registry.channels.get(&name.into()) {
        return Ok(Arc::clone(channel));
    }
    let named = |channel: &&Arc<Channel>| {
        let of_bot = name.strip_suffix(channel.name.as_str()).and_then(|b| b.strip_suffix('/'));
        let bot_name = registry.bots.get(&channel.bot).map(|bot| bot.name.as_str());
        channel.name == name
            || of_bot.is_some_and(|bot| bot == channel.bot.as_str() || Some(bot) == bot_name)
    };
    only(registry.channels.values().filter(named), "channel", name)
}

/// A channel of one bot.
pub fn channel_of(registry: &Registry, bot: &BotId, name: &str) -> Result<Arc<Channel>, Problem> {
    let named = |channel: &&Arc<Channel>| {
        channel.bot == *bot && (channel.id.as_str() == name || channel.name == name)
    };
    only(registry.channels.values().filter(named), "channel", name)
}

fn only<'a, T: 'a>(
    mut found: impl Iterator<Item = &'a Arc<T>>,
    what: &str,
    name: &str,
) -> Result<Arc<T>, Problem> {
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(Arc::clone(one)),
        (None, _) => Err(Problem::missing(what, name)),
        (Some(_), Some(_)) => {
            Err(Problem::conflict(format!("several are named {name:?}: give the {what}'s id")))
        }
    }
}

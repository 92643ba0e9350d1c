//! Which app, bot or channel a person means: an id, or a name where only one has it.

use std::sync::Arc;

use shared::registry::{App, Bot, Channel, Registry};

pub fn app(registry: &Registry, name: &str) -> Result<Arc<App>, String> {
    if let Some(app) = registry.apps.get(&name.into()) {
        return Ok(Arc::clone(app));
    }
    only(registry.apps.values().filter(|app| app.name == name), "app", name)
}

pub fn bot(registry: &Registry, name: &str) -> Result<Arc<Bot>, String> {
    if let Some(bot) = registry.bots.get(&name.into()) {
        return Ok(Arc::clone(bot));
    }
    only(registry.bots.values().filter(|bot| bot.name == name), "bot", name)
}

/// A channel by its id, its name, or `BOT/NAME`.
pub fn channel(registry: &Registry, name: &str) -> Result<Arc<Channel>, String> {
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

fn only<'a, T: 'a>(
    mut found: impl Iterator<Item = &'a Arc<T>>,
    what: &str,
    name: &str,
) -> Result<Arc<T>, String> {
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(Arc::clone(one)),
        (None, _) => Err(format!("there is no {what} {name:?}")),
        (Some(_), Some(_)) => Err(format!("several are named {name:?}: give the {what}'s id")),
    }
}

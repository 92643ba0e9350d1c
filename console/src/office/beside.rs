//! Bots that stand beside a bot, as drafts name them.

use shared::domain::ids::BotId;
use shared::registry::{Beside, Bot, Canary, Registry};

use super::drafts::BotDraft;
use super::find;
use super::validate::Wrong;

/// As the draft names them: by id or name.
pub(super) fn of(draft: &BotDraft, wrong: &mut Wrong) -> Beside {
    let name = |text: &Option<String>| text.as_deref().map(BotId::from);
    let canary = match (&draft.canary, draft.canary_percent) {
        (Some(bot), Some(percent)) if (0.0..=100.0).contains(&percent) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to 10,000"
            )]
            let share = (percent * 100.0).round() as u32;
            Some(Canary { bot: BotId::from(bot.as_str()), share })
        }
        (None, None) => None,
        (Some(_), _) => {
            wrong.push("canary_percent: the canary's share of conversations, 0 to 100".to_owned());
            None
        }
        (None, Some(_)) => {
            wrong.push("canary: canary_percent is there, but no canary".to_owned());
            None
        }
    };
    Beside { fallback: name(&draft.fallback), shadow: name(&draft.shadow), canary }
}

/// Finds those that are named. A bot does not stand beside itself.
pub(super) fn resolve(bot: &mut Bot, registry: &Registry) -> Result<(), String> {
    let own = bot.id.clone();
    let found = |word: &str, named: &BotId| {
        let found = find::bot(registry, named.as_str());
        let id = found.map(|other| other.id.clone()).map_err(|error| format!("{word}: {error}"))?;
        if id == own {
            return Err(format!("{word}: it is the bot itself"));
        }
        Ok(id)
    };
    let Beside { fallback, shadow, canary } = &mut bot.beside;
    for (word, named) in [("fallback", fallback), ("shadow", shadow)] {
        if let Some(named) = named {
            *named = found(word, named)?;
        }
    }
    if let Some(canary) = canary {
        canary.bot = found("canary", &canary.bot)?;
    }
    Ok(())
}

/// A bot that the named one stands beside.
pub(super) fn user<'r>(registry: &'r Registry, bot: &BotId) -> Option<&'r str> {
    let mut all = registry.bots.values();
    let uses = |other: &Bot| other.beside.all().any(|(_, named)| named == bot);
    all.find(|other| uses(other)).map(|other| other.name.as_str())
}

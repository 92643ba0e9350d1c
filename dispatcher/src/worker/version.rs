//! A dialog goes on with the script that it began with, though its bot has another by now.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::broker::Broker;
use shared::domain::ids::BotId;
use shared::lanes::Run;
use shared::registry::{self, Logic, RegistryStore, ScriptLogic};
use shared::store::Turns;

use super::{Halt, Work};
use crate::bots::{Bot, script};
use crate::domain::session::Session;
use crate::room::Room;

/// Scripts of the past that a process remembers, of 256 KiB each at most.
const KNOWN_MAX: usize = 32;

/// Scripts of the past, as the store has told them: the latest last.
#[derive(Debug, Default)]
pub(crate) struct Replaced(Mutex<VecDeque<(BotId, String, Arc<str>)>>);

impl Replaced {
    fn get(&self, bot: &BotId, version: &str) -> Option<Arc<str>> {
        let known = self.known();
        let found = known.iter().find(|(of, known, _)| of == bot && known == version);
        found.map(|(.., source)| Arc::clone(source))
    }

    fn put(&self, bot: &BotId, version: &str, source: Arc<str>) {
        let mut known = self.known();
        if known.len() == KNOWN_MAX {
            known.pop_front();
        }
        known.push_back((bot.clone(), version.to_owned(), source));
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<(BotId, String, Arc<str>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Broker, S: Turns + RegistryStore, L: Bot> Room<B, S, L> {
    /// The bot with the script that the session's dialog began with, while that is kept. Otherwise as it is,
    /// and the dialog begins anew.
    pub(super) async fn with_script_of(
        &self,
        session: &Session,
        bot: Arc<registry::Bot>,
        run: &Run<Work>,
    ) -> Result<Arc<registry::Bot>, Halt> {
        let Some((logic, version)) = began_with(&bot, session) else { return Ok(bot) };
        if let Some(source) = self.replaced.get(&bot.id, version) {
            return Ok(with_source(&bot, logic, source));
        }
        let ask = || self.store.replaced_script(&bot.id, version);
        if let Some(source) = self.insist(run, "a script of the past", ask).await? {
            let source: Arc<str> = source.into();
            self.replaced.put(&bot.id, version, Arc::clone(&source));
            return Ok(with_source(&bot, logic, source));
        }
        // Another process may have heard earlier of a script that is newer than this one's.
        self.refresh(run).await?;
        let newer = self.registry.get().bots.get(&bot.id).cloned();
        Ok(newer.filter(|newer| began_with(newer, session).is_none()).unwrap_or(bot))
    }
}

fn began_with<'a>(
    bot: &'a registry::Bot,
    session: &'a Session,
) -> Option<(&'a ScriptLogic, &'a str)> {
    let Logic::Script(logic) = &bot.logic else { return None };
    script::began_with(logic, session.dialog.as_deref()).map(|version| (logic, version))
}

fn with_source(bot: &registry::Bot, logic: &ScriptLogic, source: Arc<str>) -> Arc<registry::Bot> {
    let logic = Logic::Script(ScriptLogic { source, ..logic.clone() });
    Arc::new(registry::Bot { logic, ..bot.clone() })
}

//! One breaker per bot, shared by all lanes of the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared::domain::breaker::{Admission, Breaker, Rules};
use shared::domain::ids::BotId;
use tokio::sync::watch;
use tokio::time::Instant;

/// Cheap to clone. Holds an entry per bot of the registry that was ever called.
#[derive(Clone, Debug)]
pub(crate) struct Breakers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: Rules,
    since: Instant,
    bots: Mutex<HashMap<BotId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    breaker: Breaker,
    /// Counts how often it has opened.
    opened: watch::Sender<u64>,
}

/// The right to call a bot, and the duty to tell how it went.
#[derive(Debug)]
pub(crate) struct Ticket {
    breakers: Breakers,
    bot: BotId,
    tries: bool,
}

impl Breakers {
    pub(crate) fn new(rules: Rules) -> Self {
        Self(Arc::new(Shared { rules, since: Instant::now(), bots: Mutex::default() }))
    }

    /// Whether the bot is answered for at this moment.
    pub(crate) fn refuses(&self, bot: &BotId) -> bool {
        let now = self.0.since.elapsed();
        self.with(bot, |entry| entry.breaker.refuses(now))
    }

    /// Ends when the bot's breaker opens.
    pub(crate) async fn opens(&self, bot: &BotId) {
        let mut opened = self.with(bot, |entry| entry.opened.subscribe());
        if opened.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// `None`: answer for the bot.
    pub(crate) fn admit(&self, bot: &BotId) -> Option<Ticket> {
        let now = self.0.since.elapsed();
        let tries = match self.with(bot, |entry| entry.breaker.admit(now)) {
            Admission::Run => false,
            Admission::Try => true,
            Admission::Refuse => return None,
        };
        Some(Ticket { breakers: self.clone(), bot: bot.clone(), tries })
    }

    fn with<T>(&self, bot: &BotId, f: impl FnOnce(&mut Entry) -> T) -> T {
        let mut bots = self.0.bots.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Entry { breaker: Breaker::default(), opened: watch::Sender::new(0) };
        f(bots.entry(bot.clone()).or_insert_with(new))
    }
}

impl Ticket {
    /// Tells how the call went. Returns whether that opened the breaker.
    pub(crate) fn ended(mut self, well: bool) -> bool {
        self.tries = false;
        let (now, rules) = (self.breakers.0.since.elapsed(), self.breakers.0.rules);
        self.breakers.with(&self.bot, |entry| {
            let opened = entry.breaker.ended(well, now, rules);
            if opened {
                entry.opened.send_modify(|times| *times += 1);
            }
            opened
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.tries {
            self.breakers.with(&self.bot, |entry| entry.breaker.gave_up());
        }
    }
}

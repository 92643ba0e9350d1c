//! Limits of the synchronous turns under way, and the turns that count against them: one for each bot and
//! app. An app that wants everything finds its own limit, at which another's few turns do not wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::domain::ids::{BotId, ClientId};
use shared::wire::jobs::Spent;
use tokio::time::Instant;

use crate::domain::limit::Limit;

type Of = (BotId, ClientId);

/// See the module's documentation. What is remembered is bounded by what the registry has of bots and apps
/// that spoke lately.
#[derive(Debug)]
pub(crate) struct Limits {
    most: u32,
    /// What times are counted from.
    start: Instant,
    by: Mutex<HashMap<Of, Limit>>,
}

/// One turn under way, until dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'l> {
    limits: &'l Limits,
    of: Of,
    began: Duration,
    /// Where its time went, once that is known.
    pub(crate) spent: Option<Spent>,
}

impl Limits {
    /// None is more than `most`.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, start: Instant::now(), by: Mutex::default() }
    }

    /// `None` when as many are under way as are answered without waiting. `permits`: how many the bot
    /// does at once in one dispatcher, with which the search begins.
    pub(crate) fn enter(&self, of: Of, permits: u32) -> Option<UnderWay<'_>> {
        let began = self.start.elapsed();
        let mut limits = self.lock();
        let fresh = || Limit::new(permits, self.most, began);
        let entered = limits.entry(of.clone()).or_insert_with(fresh).enter();
        drop(limits);
        entered.then(|| UnderWay { limits: self, of, began, spent: None })
    }

    /// Forgets those that nobody has used lately.
    pub(crate) fn forget(&self) {
        let now = self.start.elapsed();
        self.lock().retain(|_, limit| !limit.is_idle(now));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Limit>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now = self.limits.start.elapsed();
        if let Some(limit) = self.limits.lock().get_mut(&self.of) {
            limit.leave(self.began, self.spent, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_bot_and_app_have_their_own_and_idle_ones_are_forgotten() {
        let limits = Limits::new(2);
        let bot = || (BotId::new("st-1"), "cs-1".into());
        let others = [(BotId::new("st-2"), "cs-1".into()), (BotId::new("st-1"), "cs-2".into())];
        let first = limits.enter(bot(), 64);
        let second = limits.enter(bot(), 64);
        assert!(first.is_some() && second.is_some());
        assert!(limits.enter(bot(), 64).is_none(), "never more than there is room for");
        assert!(others.into_iter().all(|other| limits.enter(other, 1).is_some()));
        drop(second);
        assert!(limits.enter(bot(), 64).is_some());
        tokio::time::advance(Duration::from_mins(2)).await;
        limits.forget();
        assert_eq!(limits.lock().len(), 1, "one is under way");
        drop(first);
        limits.forget();
        assert!(limits.lock().is_empty());
    }
}

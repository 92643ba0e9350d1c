//! Bots that are refused at the door, because a dispatcher has announced that their turns wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus::IntGauge;
use shared::domain::ids::BotId;
use tokio::time::Instant;
use uuid::Uuid;

/// An announcement counts for this long unless it is renewed: its process may have died.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// Most announcements that are remembered.
const ENTRIES_MAX: usize = 10_000;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Saturation {
    entries: RwLock<HashMap<BotId, HashMap<Uuid, Instant>>>,
    /// Nearly always zero; then nothing is locked.
    bots: AtomicUsize,
    gauge: IntGauge,
}

impl Saturation {
    pub(crate) fn new(gauge: IntGauge) -> Self {
        Self { entries: RwLock::default(), bots: AtomicUsize::new(0), gauge }
    }

    /// Takes an announcement of a process in.
    pub(crate) fn announced(&self, process: Uuid, bot: BotId, saturated: bool) {
        let now = Instant::now();
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for processes in entries.values_mut() {
            processes.retain(|_, at| now.duration_since(*at) < STALE_AFTER);
        }
        if !saturated {
            entries.get_mut(&bot).map(|processes| processes.remove(&process));
        } else if entries.values().map(HashMap::len).sum::<usize>() < ENTRIES_MAX {
            entries.entry(bot).or_default().insert(process, now);
        }
        entries.retain(|_, processes| !processes.is_empty());
        self.bots.store(entries.len(), Ordering::Release);
        self.gauge.set(i64::try_from(entries.len()).unwrap_or(i64::MAX));
    }

    /// Whether any process says so, and has said so lately.
    pub(crate) fn refuses(&self, bot: &BotId) -> bool {
        if self.bots.load(Ordering::Acquire) == 0 {
            return false;
        }
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(bot)
            .is_some_and(|processes| processes.values().any(|at| at.elapsed() < STALE_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bot_is_refused_until_every_process_withdraws_or_falls_silent() {
        let saturation = Saturation::new(IntGauge::new("s", "s").unwrap());
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (bot, other) = (BotId::new("st-1"), BotId::new("st-2"));
        let refuses = || (saturation.refuses(&bot), saturation.refuses(&other));
        saturation.announced(a, bot.clone(), true);
        saturation.announced(b, bot.clone(), true);
        assert_eq!(refuses(), (true, false));
        saturation.announced(a, bot.clone(), false);
        assert_eq!(refuses(), (true, false));
        tokio::time::advance(Duration::from_secs(6)).await;
        saturation.announced(b, bot.clone(), true);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(refuses(), (true, false));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(refuses(), (false, false));
        saturation.announced(a, other.clone(), true);
        assert_eq!((refuses(), saturation.gauge.get()), ((false, true), 1));
    }
}

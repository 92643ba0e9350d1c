//! A share of something bounded for each of many: connections for hosts, places for apps. One that wants
//! everything leaves something for the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many each holds. What is remembered is bounded by what is held.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    max: u32,
    held: Mutex<HashMap<K, u32>>,
}

/// One of somebody's; it no longer counts when this is dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Eq + Hash> {
    shares: Arc<Shares<K>>,
    of: K,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    pub(crate) fn new(max: u32) -> Self {
        Self { max, held: Mutex::default() }
    }

    /// `None` when it holds as many as it may.
    pub(crate) fn take(shares: &Arc<Self>, of: K) -> Option<Share<K>> {
        let mut all = shares.lock();
        match all.get_mut(&of) {
            Some(held) if *held >= shares.max => return None,
            Some(held) => *held += 1,
            None if shares.max == 0 => return None,
            None => {
                all.insert(of.clone(), 1);
            }
        }
        drop(all);
        Some(Share { shares: Arc::clone(shares), of })
    }
}

impl<K: Eq + Hash> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut all = self.shares.lock();
        if let Some(held) = all.get_mut(&self.of) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holds_its_share_and_others_theirs() {
        let shares = Arc::new(Shares::new(2));
        let take = |of: &'static str| Shares::take(&shares, of);
        let held = [take("a"), take("a")];
        assert!(held.iter().all(Option::is_some));
        assert!(take("a").is_none());
        assert!(take("b").is_some());
        drop(held);
        assert!(take("a").is_some());
        assert!(shares.lock().is_empty());
        assert!(Shares::take(&Arc::new(Shares::new(0)), "a").is_none());
    }
}

//! Figures of single channels: which channels of a process have a label of their own in its metrics.
//!
//! There are at most `metrics.channels_max` of them, and whatever comes beyond is counted under [`OTHER`]. A
//! channel keeps its place until the process ends, also when it is removed: a counter that went away, or that
//! another went on with, would be one that falls or leaps. What is counted is the rooms' own affair.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec};

use crate::domain::channel::ChannelState;
use crate::domain::ids::ChannelId;
use crate::registry::Channel;
use crate::registry::cache::Cache;

/// The label of all channels that have none of their own.
pub const OTHER: &str = "other";

/// What a room counts of each channel, `T`: found once for a channel, and shared.
pub struct Places<T>(Arc<State<T>>);

struct State<T> {
    own: ArcSwap<HashMap<ChannelId, Arc<T>>>,
    other: T,
    /// Held while a place is given.
    giving: Mutex<()>,
    make: Box<dyn Fn(&str) -> T + Send + Sync>,
    max: usize,
    registry: Cache,
}

impl<T> Clone for Places<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> Places<T> {
    /// Registers families, each with a label `channel`, and gives the channels of the registry their places.
    /// `make` finds a label's figures in the families. Fails when a name is registered already.
    pub fn register(
        metrics: &prometheus::Registry,
        families: Vec<Box<dyn Collector>>,
        make: impl Fn(&str) -> T + Send + Sync + 'static,
        (registry, max): (&Cache, u32),
    ) -> prometheus::Result<Self> {
        let places = Self(Arc::new(State {
            own: ArcSwap::default(),
            other: make(OTHER),
            giving: Mutex::new(()),
            make: Box::new(make),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            registry: registry.clone(),
        }));
        places.take();
        metrics.register(Box::new(Scraped { places: places.clone(), families }))?;
        Ok(places)
    }

    /// Counts something of a channel. One that has no place yet gets one, if there is one left.
    pub fn of(&self, channel: &ChannelId, count: impl FnOnce(&T)) {
        let own = self.0.own.load();
        if let Some(figures) = own.get(channel) {
            return count(figures);
        }
        if own.len() < self.0.max {
            self.give([channel]);
            if let Some(figures) = self.0.own.load().get(channel) {
                return count(figures);
            }
        }
        count(&self.0.other);
    }

    /// Whether a channel has a label of its own.
    pub fn has(&self, channel: &ChannelId) -> bool {
        self.0.own.load().contains_key(channel)
    }

    /// Gives places to what is new in the registry, so that a channel's figures begin with 0. Every process
    /// does so in the same order: those that are live first, then by age within their bot.
    pub fn take(&self) {
        let own = self.0.own.load();
        if own.len() >= self.0.max {
            return;
        }
        let registry = self.0.registry.get();
        let channels = registry.channels.values().map(|channel| &**channel);
        let mut new: Vec<&Channel> = channels.filter(|c| !own.contains_key(&c.id)).collect();
        if !new.is_empty() {
            new.sort_by_key(|c| (c.state != ChannelState::Live, c.ordinal, &c.bot, &c.id));
            self.give(new.into_iter().map(|channel| &channel.id));
        }
    }

    fn give<'c>(&self, channels: impl IntoIterator<Item = &'c ChannelId>) {
        let _giving = self.0.giving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = HashMap::clone(&self.0.own.load());
        for channel in channels {
            if own.len() >= self.0.max {
                break;
            }
            let make = || Arc::new((self.0.make)(channel.as_str()));
            own.entry(channel.clone()).or_insert_with(make);
        }
        self.0.own.store(Arc::new(own));
    }
}

impl<T> std::fmt::Debug for Places<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("own", &self.0.own.load().len()).finish_non_exhaustive()
    }
}

/// Whoever scrapes sees new channels too.
struct Scraped<T> {
    places: Places<T>,
    families: Vec<Box<dyn Collector>>,
}

impl<T: Send + Sync + 'static> Collector for Scraped<T> {
    fn desc(&self) -> Vec<&Desc> {
        self.families.iter().flat_map(|family| family.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.places.take();
        self.families.iter().flat_map(|family| family.collect()).collect()
    }
}

/// Counters of one channel by a closed set of words.
#[derive(Debug)]
pub struct ByWord<const N: usize>([(&'static str, IntCounter); N]);

impl<const N: usize> ByWord<N> {
    /// Of a family with the labels `channel` and the words' own. Each begins with 0.
    pub fn new(family: &IntCounterVec, channel: &str, words: [&'static str; N]) -> Self {
        Self(words.map(|word| (word, family.with_label_values(&[channel, word]))))
    }

    /// Counts one of the words.
    pub fn inc(&self, word: &str) {
        let counter = self.0.iter().find(|(known, _)| *known == word);
        debug_assert!(counter.is_some(), "{word} is none of the words");
        if let Some((_, counter)) = counter {
            counter.inc();
        }
    }
}

#[cfg(test)]
#[path = "channels/tests.rs"]
mod tests;

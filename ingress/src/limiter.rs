//! Who speaks too fast: conversations, and addresses that send bad tokens.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use shared::domain::ids::ConversationId;
use shared::registry::Rate;

/// How often what has recovered is forgotten.
pub(crate) const FORGET_EVERY: Duration = Duration::from_secs(5);

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// A rate for each conversation, as its channel says. What is remembered is bounded by what comes in
/// between two calls of [`Conversations::forget`].
#[derive(Debug, Default)]
pub(crate) struct Conversations(ArcSwap<HashMap<RateKey, Arc<Keyed<ConversationId>>>>);

type RateKey = (u32, u32);

impl Conversations {
    /// Takes one message, or says how long to wait.
    pub(crate) fn take(&self, conversation: ConversationId, rate: Rate) -> Result<(), Duration> {
        let key = (rate.per_second, rate.burst);
        if let Some(limiter) = self.0.load().get(&key) {
            return check(limiter, &conversation);
        }
        let per_second = at_least_one(rate.per_second);
        let quota = Quota::per_second(per_second).allow_burst(at_least_one(rate.burst));
        let fresh = Arc::new(RateLimiter::dashmap(quota));
        self.0.rcu(|limiters| {
            let mut limiters = HashMap::clone(limiters);
            limiters.entry(key).or_insert_with(|| Arc::clone(&fresh));
            limiters
        });
        self.0.load().get(&key).map_or(Ok(()), |limiter| check(limiter, &conversation))
    }

    /// Forgets the conversations that could burst again, and rates that nobody uses.
    pub(crate) fn forget(&self) {
        let limiters = self.0.load_full();
        limiters.values().for_each(|limiter| forget(limiter));
        if limiters.values().any(|limiter| limiter.is_empty()) {
            self.0.rcu(|limiters| {
                let used = limiters.iter().filter(|(_, limiter)| !limiter.is_empty());
                used.map(|(key, limiter)| (*key, Arc::clone(limiter))).collect::<HashMap<_, _>>()
            });
        }
    }
}

/// A budget of bad tokens for each address. It never refuses a good one: behind a proxy, everybody
/// has the proxy's address.
#[derive(Debug)]
pub(crate) struct Failures(Option<Keyed<Network>>);

/// An IPv4 address, or the /64 that one IPv6 host can move about in.
pub(crate) type Network = [u8; 8];

impl Failures {
    /// Zero has every bad token answered with 429.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self(NonZeroU32::new(per_minute).map(|n| RateLimiter::dashmap(Quota::per_minute(n))))
    }

    /// Counts a bad token, or says how long the address is over its budget.
    pub(crate) fn count(&self, address: IpAddr) -> Result<(), Duration> {
        match &self.0 {
            None => Err(Duration::from_mins(1)),
            Some(limiter) => check(limiter, &network(address)),
        }
    }

    pub(crate) fn forget(&self) {
        self.0.iter().for_each(forget);
    }
}

/// What one host is counted by.
pub(crate) fn network(address: IpAddr) -> Network {
    let mut network = [0; 8];
    match address.to_canonical() {
        // 192.0.0.0/8 is no IPv6 prefix in use: the two kinds do not meet.
        IpAddr::V4(v4) => {
            network[0] = 0xff;
            network[4..].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => network.copy_from_slice(&v6.octets()[..8]),
    }
    network
}

fn check<K: Hash + Eq + Clone>(limiter: &Keyed<K>, key: &K) -> Result<(), Duration> {
    limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
}

fn forget<K: Hash + Eq + Clone>(limiter: &Keyed<K>) {
    limiter.retain_recent();
    limiter.shrink_to_fit();
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(number: u128) -> ConversationId {
        ConversationId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_conversation_may_burst_and_is_then_told_to_wait_without_hurting_others() {
        let limiter = Conversations::default();
        let rate = Rate { per_second: 1, burst: 3 };
        for _ in 0..3 {
            assert_eq!(limiter.take(conversation(1), rate), Ok(()));
        }
        let wait = limiter.take(conversation(1), rate).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limiter.take(conversation(2), rate), Ok(()));
        let faster = Rate { per_second: 1, burst: 4 };
        assert_eq!(limiter.take(conversation(1), faster), Ok(()));
    }

    #[test]
    fn what_has_recovered_is_forgotten() {
        let limiter = Conversations::default();
        let slow = Rate { per_second: 1, burst: 1 };
        let fast = Rate { per_second: 1_000_000_000, burst: 1 };
        limiter.take(conversation(1), slow).unwrap();
        limiter.take(conversation(1), fast).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        limiter.forget();
        assert_eq!(limiter.0.load().len(), 1);
        assert!(limiter.take(conversation(1), slow).is_err());
    }

    #[test]
    fn an_address_has_a_budget_of_failures() {
        let failures = Failures::new(2);
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(failures.count(one).is_ok() && failures.count(one).is_ok());
        assert!(failures.count(one).unwrap_err() <= Duration::from_secs(30));
        assert!(failures.count(other).is_ok());
        assert!(Failures::new(0).count(one).is_err());
    }

    #[test]
    fn one_host_is_one_network() {
        let network = |text: &str| super::network(text.parse().unwrap());
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}

//! How often somebody may try to sign in, or ping: a bucket for each account and each address, in bounded
//! memory. Whoever has signed in from a browser before has a bucket of their own there, so that guesses from
//! elsewhere do not lock them out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Tries at once, and how long it takes until one comes back: 10 in a quarter of an hour for an account.
const ACCOUNT: Bucket = Bucket { size: 10.0, back: Duration::from_secs(90) };
/// Many operators may share an address, or a proxy's.
const ADDRESS: Bucket = Bucket { size: 60.0, back: Duration::from_secs(15) };
/// A ping goes to any address that the egress guard lets pass: not a way to hammer, or to scan.
const PING: Bucket = Bucket { size: 10.0, back: Duration::from_secs(6) };
/// Buckets that are remembered. The fullest go first: they forbid nothing.
const BUCKETS: usize = 20_000;

#[derive(Clone, Copy)]
struct Bucket {
    size: f64,
    back: Duration,
}

#[derive(Clone, Copy)]
struct Level {
    left: f64,
    at: Instant,
    kind: Bucket,
}

impl Level {
    fn now(self, now: Instant) -> f64 {
        let back = now.duration_since(self.at).as_secs_f64() / self.kind.back.as_secs_f64();
        (self.left + back).min(self.kind.size)
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Limits(Mutex<HashMap<String, Level>>);

impl Limits {
    /// Takes one try from both buckets, or from none: then says how long to wait. Without an address for
    /// somebody who is known, whom strangers behind the same proxy must not lock out.
    pub(crate) fn take(&self, account: &str, address: Option<IpAddr>) -> Result<(), Duration> {
        let address = address.map(|address| (format!("address {}", network(address)), ADDRESS));
        self.take_all(
            [(format!("account {account}"), ACCOUNT)].into_iter().chain(address).collect(),
        )
    }

    /// Takes one ping of a person's, or says how long to wait.
    pub(crate) fn take_ping(&self, person: &str) -> Result<(), Duration> {
        self.take_all(vec![(format!("ping {person}"), PING)])
    }

    fn take_all(&self, keys: Vec<(String, Bucket)>) -> Result<(), Duration> {
        let now = Instant::now();
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |levels: &HashMap<String, Level>, key: &str, kind: Bucket| {
            levels.get(key).map_or(kind.size, |level| level.now(now))
        };
        for (key, kind) in &keys {
            let left = left(&levels, key, *kind);
            if left < 1.0 {
                return Err(kind.back.mul_f64(1.0 - left));
            }
        }
        if levels.len() + keys.len() > BUCKETS {
            levels.retain(|_, level| level.now(now) < level.kind.size / 2.0);
            if levels.len() + keys.len() > BUCKETS {
                levels.clear();
            }
        }
        for (key, kind) in keys {
            let left = left(&levels, &key, kind) - 1.0;
            levels.insert(key, Level { left, at: now, kind });
        }
        Ok(())
    }

    /// The right password: the account's tries come back.
    pub(crate) fn proved(&self, account: &str) {
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        levels.remove(&format!("account {account}"));
    }
}

/// One host has a whole /64 of version 6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn pings_come_back_one_by_one_to_each_person() {
        let limits = Limits::default();
        assert_eq!((0..100).filter(|_| limits.take_ping("ann").is_ok()).count(), 10);
        assert_eq!(limits.take_ping("bob"), Ok(()));
        tokio::time::advance(limits.take_ping("ann").unwrap_err()).await;
        assert_eq!(limits.take_ping("ann"), Ok(()));
        assert!(limits.take_ping("ann").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_use_up_their_network_and_nobody_who_is_known() {
        let limits = Limits::default();
        let tried =
            |n: u32| limits.take(&n.to_string(), Some(from(&format!("2001:db8::{n:x}")))).is_ok();
        assert_eq!((0..100).filter(|n| tried(*n)).count(), 60);
        assert!(limits.take("bob", Some(from("2001:db8::ffff"))).is_err());
        assert_eq!(limits.take("bob", Some(from("2001:db8:0:1::1"))), Ok(()));
        assert_eq!(limits.take("ann at home", None), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_run_out_by_account_and_come_back_with_time() {
        let limits = Limits::default();
        for _ in 0..10 {
            assert_eq!(limits.take("ann", Some(from("10.0.0.1"))), Ok(()));
        }
        let wait = limits.take("ann", Some(from("10.0.0.2"))).unwrap_err();
        assert!(wait <= Duration::from_secs(90), "{wait:?}");
        assert_eq!(limits.take("bob", Some(from("10.0.0.2"))), Ok(()));
        tokio::time::advance(Duration::from_secs(91)).await;
        assert_eq!(limits.take("ann", Some(from("10.0.0.2"))), Ok(()));
        assert!(limits.take("ann", Some(from("10.0.0.2"))).is_err());
        limits.proved("ann");
        assert_eq!(limits.take("ann", Some(from("10.0.0.2"))), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_run_out_by_address_whatever_names_are_tried() {
        let limits = Limits::default();
        let tried = (0..100)
            .filter(|n| limits.take(&n.to_string(), Some(from("10.0.0.1"))).is_ok())
            .count();
        assert_eq!(tried, 60);
        assert_eq!(limits.take("1000", Some(from("10.0.0.2"))), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_names_is_not_remembered_for_ever() {
        let limits = Limits::default();
        for n in 0..3 * BUCKETS {
            let _ = limits
                .take(&format!("name {n}"), Some(IpAddr::V4(u32::try_from(n).unwrap().into())));
        }
        assert!(limits.0.lock().unwrap().len() <= BUCKETS);
    }
}

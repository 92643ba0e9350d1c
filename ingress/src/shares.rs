//! How many connections each host holds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limiter::network;

type Network = [u8; 8];

#[derive(Debug)]
pub(super) struct Peers {
    max: u32,
    open: Mutex<HashMap<Network, u32>>,
}

/// One connection of a host; it no longer counts when this is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    peers: Arc<Peers>,
    network: Network,
}

impl Peers {
    pub(super) fn new(max: u32) -> Self {
        Self { max, open: Mutex::default() }
    }

    /// `None` when the host has as many as it may.
    pub(super) fn enter(peers: &Arc<Self>, address: IpAddr) -> Option<Peer> {
        let network = network(address);
        let mut open = peers.lock();
        let count = open.entry(network).or_insert(0);
        if *count >= peers.max {
            return None;
        }
        *count += 1;
        Some(Peer { peers: Arc::clone(peers), network })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Network, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut open = self.peers.lock();
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_holds_its_share_and_others_theirs() {
        let peers = Arc::new(Peers::new(2));
        let enter = |text: &str| Peers::enter(&peers, text.parse().unwrap());
        let held = [enter("10.0.0.1"), enter("10.0.0.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("10.0.0.1").is_none());
        assert!(enter("10.0.0.2").is_some());
        drop(held);
        assert!(enter("10.0.0.1").is_some());
        assert!(peers.lock().is_empty());
    }
}

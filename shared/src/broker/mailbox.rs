//! What comes to a process's reply address, sorted for those who take it: answers for the callers of an
//! ingress, and what bots say by calls of their own for a dispatcher.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::wire::activity::Activity;

#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) replies: Slot,
    pub(super) activities: Slot,
}

/// One kind's place, bounded.
#[derive(Debug)]
pub(super) struct Slot {
    mail_tx: mpsc::Sender<Bytes>,
    mail_rx: Mutex<Option<mpsc::Receiver<Bytes>>>,
}

impl Mailbox {
    /// With so many places for each kind.
    pub(super) fn new(places: usize) -> Self {
        Self { replies: Slot::new(places), activities: Slot::new(places) }
    }

    /// Where it belongs. Whoever takes it opens it, and finds what only pretends to be of a kind.
    pub(super) fn slot(&self, body: &Bytes) -> &mpsc::Sender<Bytes> {
        let slot = if Activity::is(body) { &self.activities } else { &self.replies };
        &slot.mail_tx
    }
}

impl Slot {
    fn new(places: usize) -> Self {
        let (mail_tx, mail_rx) = mpsc::channel(places);
        Self { mail_tx, mail_rx: Mutex::new(Some(mail_rx)) }
    }

    /// `None` when it was taken before.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.mail_rx.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

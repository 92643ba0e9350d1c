//! What happened, as the outside saw it: sends and their fates, effects, answers, POSTs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::journal::Journal;

/// A conversation of the load, by its place in the run. Those of the second tenant begin at
/// [`TENANT`]; what follows is the user's number, so each user of one tenant has a twin in the other.
pub type Conversation = usize;

/// How far apart the conversations of two tenants are, and the numbers in their lists.
pub const TENANT: usize = 1_000_000;

/// Whose conversation it is.
pub fn tenant_of(conversation: Conversation) -> usize {
    conversation / TENANT
}

/// What a tenant's bot keeps of a message: it tells the tenant, though the two send the same.
pub fn value(tenant: usize, seq: u32) -> u32 {
    u32::try_from(tenant * TENANT).unwrap_or(u32::MAX).saturating_add(seq)
}

/// What a client knows of a send when it has given up or got an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// 200.
    Accepted,
    /// Certainly not accepted: refused, or no connection.
    Refused,
    /// Nobody can know: a time-out, a reset, a 503 that says "unknown", a 504.
    Unknown,
}

/// One message of a conversation with the fate of all its tries: the best that any of them had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
    pub seq: u32,
    pub fate: Fate,
}

/// What the receiving endpoint wrote down before it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub webhook_id: String,
    /// The list that the bot had when it answered this message; the last is the message's own.
    pub list: Vec<u32>,
    /// A hash of the body's bytes.
    pub body: u64,
    /// What the endpoint answered; 0 for a reset.
    pub status: u16,
    /// It came with another tenant's credentials.
    pub stranger: bool,
}

/// Everything of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    pub asynchronous: bool,
    /// In the order in which the client began them; each begins after the one before has ended.
    pub sends: Vec<Send>,
    /// Synchronous answers in the order in which they came: the bot's list in each.
    pub answers: Vec<Vec<u32>>,
    /// Messages whose synchronous answer was not theirs.
    pub strange: Vec<u32>,
    pub posts: Vec<Post>,
    /// The bot's list at the end, read by one more message after everything has settled.
    pub last: Option<Vec<u32>>,
}

/// Shared by all who write it.
#[derive(Clone, Debug, Default)]
pub struct History {
    threads: Arc<Mutex<BTreeMap<Conversation, Thread>>>,
    journal: Option<Arc<Journal>>,
}

impl History {
    /// One that also writes down each event.
    pub fn with_journal(journal: Arc<Journal>) -> Self {
        Self { threads: Arc::default(), journal: Some(journal) }
    }

    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_deref()
    }

    pub fn with<T>(&self, conversation: Conversation, write: impl FnOnce(&mut Thread) -> T) -> T {
        self.all(|threads| write(threads.entry(conversation).or_default()))
    }

    pub fn all<T>(&self, look: impl FnOnce(&mut BTreeMap<Conversation, Thread>) -> T) -> T {
        look(&mut self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn threads(&self) -> BTreeMap<Conversation, Thread> {
        self.all(|threads| threads.clone())
    }
}

//! What happened, as the outside saw it: sends and their fates, effects, answers, POSTs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A conversation of the load, by its place in the run.
pub type Conversation = usize;

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
    /// What the endpoint answered.
    pub status: u16,
}

/// Everything of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    pub asynchronous: bool,
    /// In the order in which the client began them; each begins after the one before has ended.
    pub sends: Vec<Send>,
    /// Synchronous answers in the order in which they came: the bot's list in each.
    pub answers: Vec<Vec<u32>>,
    pub posts: Vec<Post>,
    /// The bot's list at the end, read by one more message after everything has settled.
    pub last: Option<Vec<u32>>,
}

/// Shared by all who write it.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<BTreeMap<Conversation, Thread>>>);

impl History {
    pub fn with<T>(&self, conversation: Conversation, write: impl FnOnce(&mut Thread) -> T) -> T {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write(threads.entry(conversation).or_default())
    }

    pub fn threads(&self) -> BTreeMap<Conversation, Thread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

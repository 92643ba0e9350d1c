//! Reads everything, decides in memory, and writes on the condition that nothing has changed meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::domain::ids::ChannelId;
use shared::registry::control::{Audit, Change, ChangeError, Kind, Record, Write};
use shared::store::Store;
use tokio::time::Instant;

use super::actor::Actor;
use super::book::Book;
use super::execute::Desk;
use super::problem::{self, Problem};

/// How often a decision is made anew because others were faster.
const TRIES: u32 = 20;
/// The longest that a copy is looked at without looking at the marks of receivers (410), which do not move the
/// counter.
const FRESH: Duration = Duration::from_secs(5);
/// Longest detail of an entry of the audit log, in bytes.
const DETAIL_MAX: usize = 32 * 1024;

/// What was last read.
#[derive(Debug)]
pub struct Copy {
    book: Arc<Book>,
    /// Channels whose receivers were gone when it was read.
    marked: Vec<ChannelId>,
    read: Instant,
}

/// What is to be written, and what to tell of it.
#[derive(Debug)]
pub struct Plan<T> {
    pub writes: Vec<Write>,
    pub log: Vec<Log>,
    pub answer: T,
}

/// Makes a repeat the same request: kept with the answer, in the change that it belongs to.
#[derive(Clone, Debug)]
pub struct Once {
    /// Of the key and of who used it for what.
    pub id: String,
    /// Of what was asked for.
    pub fingerprint: String,
}

/// How long the answer to a key is kept.
const KEPT: Duration = Duration::from_hours(24);

/// A line of the audit log in the making.
#[derive(Clone, Debug)]
pub struct Log {
    pub action: &'static str,
    pub subject: String,
    /// Never a secret.
    pub detail: Value,
}

impl Log {
    pub fn new(action: &'static str, subject: impl Into<String>, detail: Value) -> Self {
        Self { action, subject: subject.into(), detail }
    }
}

impl<S: Store> Desk<S> {
    /// Everything as it is now: the last copy, when nothing has changed since it was read.
    pub async fn book(&self) -> Result<Arc<Book>, Problem> {
        let revision = self.store.revision().await?;
        if let Some(book) = self.known_book(revision) {
            return Ok(book);
        }
        // One reads for all who wait: it is everything.
        let _reading = self.reading.lock().await;
        if let Some(book) = self.known_book(revision) {
            return Ok(book);
        }
        let read = Instant::now();
        // Before everything else: a mark that is made meanwhile is seen again next time.
        let marked = self.store.marked().await?;
        let last = self.copy.load_full();
        let book = match last {
            Some(copy) if copy.book.revision == revision && copy.marked == marked => {
                Arc::clone(&copy.book)
            }
            Some(_) | None => Arc::new(Book::new(self.store.control().await?)),
        };
        let copy = Copy { book: Arc::clone(&book), marked, read };
        self.copy.store(Some(Arc::new(copy)));
        Ok(book)
    }

    /// The last copy, when it is of this moment or a later one, and fresh.
    fn known_book(&self, revision: i64) -> Option<Arc<Book>> {
        let copy = self.copy.load_full()?;
        let fresh = copy.book.revision >= revision && copy.read.elapsed() < FRESH;
        fresh.then(|| Arc::clone(&copy.book))
    }

    /// Decides on everything as it is, and writes what came of it; decides again when others were faster.
    pub async fn decide<T: Serialize + DeserializeOwned>(
        &self,
        actor: &Actor,
        decide: impl Fn(&Book) -> Result<Plan<T>, Problem>,
    ) -> Result<T, Problem> {
        let mut tries = 0;
        loop {
            let book = self.book().await?;
            // Looked for after the book was read: a repeat whose first is not in it yet misses the write.
            if let Some(answer) = self.known().await? {
                return Ok(answer);
            }
            let mut plan = decide(&book)?;
            plan.writes.extend(self.remember(&plan.answer)?);
            if plan.writes.is_empty() && plan.log.is_empty() {
                return Ok(plan.answer);
            }
            let audit = plan.log.into_iter().map(|log| self.entry(actor, log)).collect();
            let change = Change { writes: plan.writes, audit };
            tries += 1;
            match self.store.change(book.revision, change.clone()).await {
                Ok(revision) => {
                    self.carry_on(&book, revision, &change.writes).await;
                    return Ok(plan.answer);
                }
                Err(ChangeError::Moved) if tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes its own change into the copy: reading everything again would take as long as there is much. What
    /// cannot be told so is read, when somebody looks.
    async fn carry_on(&self, book: &Book, revision: i64, writes: &[Write]) {
        let added = writes.iter().filter_map(|write| match write {
            Write::AddChannel(channel) => Some(channel.id.clone()),
            _ => None,
        });
        let added: Vec<_> = added.collect();
        let ordinals = if added.is_empty() {
            HashMap::new()
        } else {
            let Ok(ordinals) = self.store.ordinals(&added).await else { return };
            ordinals.into_iter().collect()
        };
        let Some(next) = book.after(revision, writes, &ordinals) else { return };
        let next = Arc::new(next);
        self.copy.rcu(|copy| match copy {
            Some(copy) if copy.book.revision == book.revision => Some(Arc::new(Copy {
                book: Arc::clone(&next),
                marked: copy.marked.clone(),
                read: copy.read,
            })),
            _ => copy.clone(),
        });
    }

    /// The answer to the same request before.
    async fn known<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        let Some(once) = &self.once else { return Ok(None) };
        let Some(record) = self.store.record(Kind::Key, &once.id).await? else { return Ok(None) };
        if record.body != once.fingerprint {
            let words = "the Idempotency-Key was used for something else";
            return Err(Problem::new(problem::Kind::Reused, words));
        }
        let text = record.sealed.as_ref().map_or("", |text| text.expose_secret());
        let answer = serde_json::from_str(text);
        answer.map(Some).map_err(|_| Problem::conflict("the answer before cannot be read"))
    }

    /// Keeps the answer for a repeat, sealed: it may hold what is shown once.
    fn remember(&self, answer: &impl Serialize) -> Result<Option<Write>, Problem> {
        let Some(once) = &self.once else { return Ok(None) };
        let text = serde_json::to_string(answer);
        let text = text.map_err(|error| Problem::invalid(error.to_string()))?;
        let record = Record {
            kind: Kind::Key,
            id: once.id.clone(),
            body: once.fingerprint.clone(),
            sealed: Some(SecretString::from(text)),
        };
        Ok(Some(Write::Record { record, expires: Some(KEPT) }))
    }

    /// Only what was done beside the registry has to be written by itself.
    pub async fn note(&self, actor: &Actor, log: Log) -> Result<(), Problem> {
        let plan = || Plan { writes: Vec::new(), log: vec![log.clone()], answer: () };
        self.decide(actor, |_| Ok(plan())).await
    }

    /// An id for something of ours: sorted by time.
    pub(super) fn short_id(&self) -> String {
        self.entropy.uuid_v7(self.clock.unix_ms()).simple().to_string()
    }

    pub(super) fn entry(&self, actor: &Actor, log: Log) -> Audit {
        let mut detail = log.detail.to_string();
        if detail.len() > DETAIL_MAX {
            r#"{"note":"too long to be kept"}"#.clone_into(&mut detail);
        }
        Audit {
            id: self.short_id(),
            actor: actor.name.clone(),
            action: log.action.to_owned(),
            subject: log.subject,
            detail,
        }
    }
}

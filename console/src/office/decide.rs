//! Reads everything, decides in memory, and writes on the condition that nothing has changed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use shared::registry::control::{Audit, Change, ChangeError, Control, Write};
use shared::store::Store;
use tokio::time::Instant;

use super::actor::Actor;
use super::execute::Desk;
use super::problem::Problem;

/// How often a decision is made anew because others were faster.
const TRIES: u32 = 20;
/// The longest that a copy is looked at without being read again: the marks of receivers (410) do not move
/// the counter.
const FRESH: Duration = Duration::from_secs(5);
/// Longest detail of an entry of the audit log, in bytes.
const DETAIL_MAX: usize = 32 * 1024;

/// What was last read.
#[derive(Debug)]
pub struct Copy {
    control: Arc<Control>,
    read: Instant,
}

/// What is to be written, and what to tell of it.
#[derive(Debug)]
pub struct Plan<T> {
    pub writes: Vec<Write>,
    pub log: Vec<Log>,
    pub answer: T,
}

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
    pub async fn control(&self) -> Result<Arc<Control>, Problem> {
        let revision = self.store.revision().await?;
        if let Some(copy) = self.copy.load_full()
            && copy.control.revision == revision
            && copy.read.elapsed() < FRESH
        {
            return Ok(Arc::clone(&copy.control));
        }
        let read = Instant::now();
        let control = Arc::new(self.store.control().await?);
        self.copy.store(Some(Arc::new(Copy { control: Arc::clone(&control), read })));
        Ok(control)
    }

    /// Decides on everything as it is, and writes what came of it; decides again when others were faster.
    pub async fn decide<T>(
        &self,
        actor: &Actor,
        decide: impl Fn(&Control) -> Result<Plan<T>, Problem>,
    ) -> Result<T, Problem> {
        let mut tries = 0;
        loop {
            let control = self.control().await?;
            let plan = decide(&control)?;
            if plan.writes.is_empty() && plan.log.is_empty() {
                return Ok(plan.answer);
            }
            let audit = plan.log.into_iter().map(|log| self.entry(actor, log)).collect();
            let change = Change { writes: plan.writes, audit };
            tries += 1;
            match self.store.change(control.revision, change).await {
                Ok(_) => return Ok(plan.answer),
                Err(ChangeError::Moved) if tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Only what was done beside the registry has to be written by itself.
    pub async fn note(&self, actor: &Actor, log: Log) -> Result<(), Problem> {
        let plan = || Plan { writes: Vec::new(), log: vec![log.clone()], answer: () };
        self.decide(actor, |_| Ok(plan())).await
    }

    fn entry(&self, actor: &Actor, log: Log) -> Audit {
        let mut detail = log.detail.to_string();
        if detail.len() > DETAIL_MAX {
            r#"{"note":"too long to be kept"}"#.clone_into(&mut detail);
        }
        Audit {
            id: self.entropy.uuid_v7(self.clock.unix_ms()).simple().to_string(),
            actor: actor.name.clone(),
            action: log.action.to_owned(),
            subject: log.subject,
            detail,
        }
    }
}

//! One write group: what is ready when the writer is free, in one transaction with one `fsync`. Each
//! member has a savepoint, so that a bad one does not decide for the others.

use rusqlite::Connection;

use super::error::{WriteError, members_own};

/// What became of the group's transaction.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Committed,
    /// Certainly nothing was written.
    RolledBack(String),
    /// The commit failed: it may be on disk.
    Unknown(String),
}

/// How one member's work went, before the group's fate is known.
pub(super) enum Step {
    /// It wrote what it wanted.
    Keep,
    /// Its own fault: undo it, go on with the others.
    Undo,
    /// The file's or the disk's fault: the whole group is undone.
    Broken(String),
}

/// One member of a group.
pub(super) trait Operation: Send {
    fn run(&mut self, connection: &Connection) -> Step;

    /// Called once, after the group's fate is known, in the order of the group. On the writer's
    /// thread: short, and waiting for nothing.
    fn finish(self: Box<Self>, fate: &Fate);
}

/// Writes that may wait for company: taken along by the next group, or by one of their own soon.
pub(crate) trait Rider: Send + Sync {
    /// Ids of what is to be deleted; at most `limit`, in any order.
    fn take(&self, limit: usize) -> Vec<i64>;

    /// Deletes one.
    fn delete(&self, connection: &Connection, id: i64) -> rusqlite::Result<()>;

    /// What was taken could not be deleted, or may not have been.
    fn give_back(&self, ids: Vec<i64>);
}

/// Work with a typed result and somebody to tell it to.
pub(super) struct Member<F, T, D> {
    work: Option<F>,
    result: Option<Result<T, String>>,
    done: D,
}

impl<F, T, D> Member<F, T, D> {
    pub(super) fn new(work: F, done: D) -> Self {
        Self { work: Some(work), result: None, done }
    }
}

impl<F, T, D> Operation for Member<F, T, D>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
    D: FnOnce(Result<T, WriteError>) + Send,
{
    fn run(&mut self, connection: &Connection) -> Step {
        let Some(work) = self.work.take() else { return Step::Undo };
        match work(connection) {
            Ok(value) => {
                self.result = Some(Ok(value));
                Step::Keep
            }
            Err(error) if members_own(&error) => {
                self.result = Some(Err(error.to_string()));
                Step::Undo
            }
            Err(error) => Step::Broken(error.to_string()),
        }
    }

    fn finish(self: Box<Self>, fate: &Fate) {
        let result = match (self.result, fate) {
            (Some(Err(why)), _) => Err(WriteError::Refused(why)),
            (Some(Ok(value)), Fate::Committed) => Ok(value),
            (_, Fate::Unknown(why)) => Err(WriteError::Unknown(why.clone())),
            (_, Fate::RolledBack(why)) => Err(WriteError::Away(why.clone())),
            (None, Fate::Committed) => Err(WriteError::Away("it was not run".to_owned())),
        };
        (self.done)(result);
    }
}

/// Runs a group and tells its members.
pub(super) fn run(
    connection: &Connection,
    mut members: Vec<Box<dyn Operation>>,
    rider: Option<(&dyn Rider, Vec<i64>)>,
) -> Fate {
    let fate = write(connection, &mut members, rider.as_ref());
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("rollback")
    {
        tracing::error!(%error, "a write group could not be rolled back");
    }
    if let (Some((rider, ids)), false) = (rider, matches!(fate, Fate::Committed)) {
        rider.give_back(ids);
    }
    for member in members {
        member.finish(&fate);
    }
    fate
}

fn write(
    connection: &Connection,
    members: &mut [Box<dyn Operation>],
    rider: Option<&(&dyn Rider, Vec<i64>)>,
) -> Fate {
    if let Err(error) = execute(connection, "begin immediate") {
        return Fate::RolledBack(error.to_string());
    }
    for member in members.iter_mut() {
        if let Err(why) = savepoint(connection, member.as_mut()) {
            return Fate::RolledBack(why);
        }
    }
    if let Some((rider, ids)) = rider {
        for id in ids {
            if let Err(error) = rider.delete(connection, *id) {
                return Fate::RolledBack(error.to_string());
            }
        }
    }
    match execute(connection, "commit") {
        Ok(()) => Fate::Committed,
        Err(error) => Fate::Unknown(error.to_string()),
    }
}

/// Runs one member. An error is not its own: it ends the group.
fn savepoint(connection: &Connection, member: &mut dyn Operation) -> Result<(), String> {
    let plain = |error: rusqlite::Error| error.to_string();
    execute(connection, "savepoint member").map_err(plain)?;
    match member.run(connection) {
        Step::Keep => {}
        Step::Undo => {
            // Some errors end the whole transaction: then there is nothing left to go on with.
            if connection.is_autocommit() {
                return Err("SQLite ended the transaction".to_owned());
            }
            execute(connection, "rollback to member").map_err(plain)?;
        }
        Step::Broken(why) => return Err(why),
    }
    execute(connection, "release member").map_err(plain)
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}

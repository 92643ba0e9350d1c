//! From a body to a job: a durable one is `Ok` once its row is on disk, a doorbell at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shared;
use super::slot::{Slot, length};
use crate::broker::{Health, PUBLISH_DEADLINE, PublishError};
use crate::domain::ids::TurnId;
use crate::fault::{self, Point};
use crate::sqlite::WriteError;
use crate::topology::{Partition, Queue};

impl Shared {
    pub(super) async fn publish(
        &self,
        queue: Queue,
        partition: Partition,
        turn: TurnId,
        body: Bytes,
    ) -> Result<(), PublishError> {
        if self.closed.is_cancelled() {
            return Err(PublishError::Unavailable("the broker is closed"));
        }
        let slot = self.slot(queue, partition);
        let slot = slot.ok_or(PublishError::Unavailable("there is no such partition"))?;
        if !slot.reserve(length(&body)) {
            return Err(PublishError::Full);
        }
        let place = Reserved { slot: Arc::clone(slot), len: length(&body), taken: false };
        if queue.durable() {
            self.store(place, turn, body).await
        } else {
            place.ring(|| self.next_id.fetch_add(1, Ordering::Relaxed), body);
            Ok(())
        }
    }

    async fn store(&self, place: Reserved, turn: TurnId, body: Bytes) -> Result<(), PublishError> {
        let deadline = Instant::now() + PUBLISH_DEADLINE;
        if *self.database.health().borrow() != Health::Up {
            return Err(PublishError::Unavailable("the disk does not take writes"));
        }
        let writer = self.database.writer();
        let waiting = writer.place(PUBLISH_DEADLINE).await.map_err(|error| refusal(&error))?;
        let (result_tx, result) = oneshot::channel();
        let row = Row {
            queue: place.slot.queue,
            partition: place.slot.partition,
            turn,
            body: body.clone(),
        };
        let ids = Arc::clone(&self.next_id);
        let work = move |connection: &Connection| {
            fault::point(Point::AcceptWriting);
            // Drawn where groups are put together: ids grow in the order of the file.
            let id = ids.fetch_add(1, Ordering::Relaxed);
            row.insert(connection, id)?;
            Ok(id)
        };
        let done = move |written: Result<i64, WriteError>| {
            let result = match written {
                Ok(id) => {
                    place.store(id, body);
                    Ok(())
                }
                Err(error) => Err(refusal(&error)),
            };
            // The caller may have stopped waiting: the job is there all the same.
            let _ = result_tx.send(result);
        };
        writer.submit(waiting, work, done).map_err(|error| refusal(&error))?;
        fault::point(Point::AcceptWritten);
        match tokio::time::timeout_at(deadline, result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(PublishError::Unknown),
        }
    }
}

fn refusal(error: &WriteError) -> PublishError {
    match error {
        WriteError::Refused(_) => PublishError::Unavailable("the database refuses the job"),
        WriteError::Away(_) => PublishError::Unavailable("the disk does not take writes"),
        WriteError::Unknown(_) => PublishError::Unknown,
    }
}

/// A place in a partition, given back unless its job comes.
struct Reserved {
    slot: Arc<Slot>,
    len: i64,
    taken: bool,
}

impl Reserved {
    fn store(mut self, id: i64, body: Bytes) {
        self.taken = true;
        self.slot.push_reserved(id, body);
    }

    fn ring(mut self, id: impl FnOnce() -> i64, body: Bytes) {
        self.taken = true;
        self.slot.ring(id, body);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.taken {
            self.slot.release(self.len);
        }
    }
}

struct Row {
    queue: Queue,
    partition: Partition,
    turn: TurnId,
    body: Bytes,
}

impl Row {
    fn insert(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        let sql = "insert into job (id, queue, partition, turn_id, body) values (?, ?, ?, ?, ?)";
        let turn = self.turn.uuid();
        let (queue, partition) = (queue_code(self.queue), self.partition.0);
        connection
            .prepare_cached(sql)?
            .execute((id, queue, partition, turn.as_bytes().as_slice(), self.body.as_ref()))
            .map(|_| ())
    }
}

/// Stored: never renumber.
pub(super) const fn queue_code(queue: Queue) -> u8 {
    match queue {
        Queue::Turns => 1,
        Queue::Deliveries => 2,
    }
}

pub(super) fn queue_of_code(code: u8) -> Option<Queue> {
    Queue::ALL.into_iter().find(|queue| queue_code(*queue) == code)
}

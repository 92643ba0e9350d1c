//! A process that publishes turns, works on them and settles their deliveries, in several
//! conversations at once, and notes each thing in a file when it is told that it is done.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use shared::broker::embedded::EmbeddedBroker;
use shared::broker::{Acker as _, Broker as _, Consumer, ConsumerLost};
use shared::clock::Clock;
use shared::domain::ids::{ClientId, ConversationKey, TurnId};
use shared::domain::outcome::Outcome;
use shared::entropy::Entropy;
use shared::sqlite::Database;
use shared::store::sqlite::Sqlite;
use shared::store::{AttemptRecord, Deliveries as _, Session, Settlement, TurnCommit};
use shared::store::{TurnRecord, Turns as _, Verdict};
use shared::topology::{Partition, Queue, Topology};
use shared::vault::Vault;
use tokio::task::JoinSet;

/// Where to work, for ever. Unset: in a folder of its own, for a while.
pub(super) const FOLDER: &str = "SWITCHHOOK_TEST_KILL_FOLDER";
/// Each has a partition of its own.
pub(super) const CONVERSATIONS: u16 = 8;
/// Nobody has killed it: the parent is gone.
const FORGOTTEN: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_works_on_and_notes_what_it_was_told() {
    if let Some(folder) = told_folder() {
        tokio::time::timeout(FORGOTTEN, work(&folder, u32::MAX)).await.expect("killed in time");
    }
    let folder = tempfile::tempdir().unwrap();
    tokio::time::timeout(FORGOTTEN, work(folder.path(), 20)).await.expect("done in time");
    let mut notes = Notes::read(folder.path());
    notes.sort();
    let each = || (0..CONVERSATIONS).flat_map(|c| (0..20).map(move |number| (c, number)));
    let published = each().map(|(c, number)| Note::Published(c, number));
    let committed = each().map(|(c, number)| Note::Committed(c, number));
    assert_eq!(notes[..320], published.chain(committed).collect::<Vec<_>>());
    assert!(notes[320..].iter().all(|note| matches!(note, Note::Delivered(..))), "{notes:?}");
    assert_eq!(notes.len(), 480, "one delivery each");
}

#[expect(clippy::disallowed_methods, reason = "how the parent's test tells this one")]
fn told_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

pub(super) struct World {
    pub(super) broker: EmbeddedBroker,
    pub(super) store: Sqlite,
    database: Database,
}

impl World {
    pub(super) async fn open(folder: &Path) -> Self {
        let database = Database::open(folder, Clock::Real).await.unwrap();
        let topology = Topology { partitions: CONVERSATIONS, ..Topology::default() };
        let broker = EmbeddedBroker::open(&database, topology).await.unwrap();
        let store = Sqlite::new(&database, Vault::new(&[7; 32], Entropy::Real));
        Self { broker, store, database }
    }

    pub(super) async fn close(self) {
        self.broker.close().await;
        self.database.close().await;
    }
}

/// One line of the file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Note {
    Published(u16, u32),
    Committed(u16, u32),
    Delivered(u16, i64),
    /// By the parent: the conversation's next turn.
    Next(u16, u32),
    Wrong(String),
}

pub(super) struct Notes(File);

impl Notes {
    pub(super) fn open(folder: &Path) -> Self {
        let notes = File::options().append(true).create(true).open(folder.join("notes")).unwrap();
        Self(notes)
    }

    /// At once, so that a kill leaves all of it or nothing.
    pub(super) fn write(&self, note: &Note) {
        let line = match note {
            Note::Published(c, n) => format!("P {c} {n}\n"),
            Note::Committed(c, n) => format!("C {c} {n}\n"),
            Note::Delivered(c, n) => format!("D {c} {n}\n"),
            Note::Next(c, n) => format!("N {c} {n}\n"),
            Note::Wrong(what) => format!("W {what}\n"),
        };
        (&self.0).write_all(line.as_bytes()).unwrap();
    }

    pub(super) fn read(folder: &Path) -> Vec<Note> {
        let text = std::fs::read_to_string(folder.join("notes")).unwrap_or_default();
        text.lines().map(read).collect()
    }
}

fn read(line: &str) -> Note {
    let wrong = || Note::Wrong(line.to_owned());
    let words: Vec<_> = line.split(' ').collect();
    let [kind, c, n] = words[..] else { return wrong() };
    let (Ok(c), Ok(n)) = (c.parse(), n.parse::<i64>()) else { return wrong() };
    match (kind, u32::try_from(n)) {
        ("P", Ok(n)) => Note::Published(c, n),
        ("C", Ok(n)) => Note::Committed(c, n),
        ("N", Ok(n)) => Note::Next(c, n),
        ("D", _) => Note::Delivered(c, n),
        _ => wrong(),
    }
}

/// Works until each conversation has this many more turns done.
async fn work(folder: &Path, many: u32) {
    let mut next = [0; CONVERSATIONS as usize];
    for note in Notes::read(folder) {
        if let Note::Next(c, n) = note {
            next[usize::from(c)] = n;
        }
    }
    let world = World::open(folder).await;
    let mut tasks = JoinSet::new();
    for (c, first) in (0..).zip(next) {
        let (broker, notes) = (world.broker.clone(), Notes::open(folder));
        let end = first.saturating_add(many);
        tasks.spawn(async move { publish(&broker, &notes, c, first..end).await });
        let (broker, store, notes) =
            (world.broker.clone(), world.store.clone(), Notes::open(folder));
        tasks.spawn(async move {
            let mut consumer = broker.consume(Queue::Turns, Partition(c)).await.unwrap();
            while handle_one(&mut consumer, &store, &notes).await.unwrap() + 1 < end {}
        });
    }
    tasks.join_all().await;
    world.close().await;
}

async fn publish(broker: &EmbeddedBroker, notes: &Notes, c: u16, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let body = format!("{c} {number}");
        let job = broker.publish(Queue::Turns, Partition(c), turn(c, number), body.into());
        match job.await {
            Ok(()) => notes.write(&Note::Published(c, number)),
            Err(error) => notes.write(&Note::Wrong(format!("publish {c} {number}: {error}"))),
        }
    }
}

/// Load, commit, ack, settle: what the rooms do with a turn. Its number.
async fn handle_one(
    consumer: &mut impl Consumer,
    store: &Sqlite,
    notes: &Notes,
) -> Result<u32, ConsumerLost> {
    let job = consumer.next().await?;
    let (c, number) = said(&job.body);
    let (conversation, settled) = store.load(&key(c), turn(c, number)).await.unwrap();
    if settled.is_none() {
        let done = count(&conversation.session);
        if done != number {
            notes.write(&Note::Wrong(format!("{c}: turn {number} after {done} turns")));
        }
        store.commit(commit(c, number, conversation.version)).await.unwrap();
        notes.write(&Note::Committed(c, number));
    }
    consumer.acker().ack(job.tag).unwrap();
    while let Some(lowest) = store.lowest(conversation.id).await.unwrap() {
        let (place, attempt) = (lowest.delivery.place, lowest.delivery.attempt);
        let log = AttemptRecord {
            attempt: attempt + 1,
            status: 200,
            error: None,
            took_ms: 1,
            response: Bytes::new(),
        };
        let written = store.settle(place, attempt, Some(log), Verdict::Delivered).await.unwrap();
        assert!(matches!(written, Settlement::Written { .. }), "{written:?}");
        notes.write(&Note::Delivered(c, place.number));
    }
    Ok(number)
}

fn commit(c: u16, number: u32, version: i64) -> TurnCommit {
    let record = TurnRecord {
        turn: turn(c, number),
        client: client(),
        channel: key(c).channel,
        outcome: Outcome::Answered,
        detail: String::new(),
        reply: reply(c, number),
        parked: None,
        queued_ms: 1,
        bot_ms: 1,
    };
    let session = Session { state: (number + 1).to_string().into() };
    let deliveries = vec![Bytes::from(format!("delivery {number}"))];
    TurnCommit { conversation: key(c), version, session, record, deliveries, wider: Vec::new() }
}

pub(super) fn client() -> ClientId {
    ClientId::from("cs-kills")
}

pub(super) fn key(c: u16) -> ConversationKey {
    ConversationKey::new("ivrInst-kills".into(), format!("user {c}").into())
}

pub(super) fn turn(c: u16, number: u32) -> TurnId {
    let mut random = [0; 10];
    random[..2].copy_from_slice(&c.to_be_bytes());
    random[4..8].copy_from_slice(&number.to_be_bytes());
    let id = uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000, &random);
    TurnId::new(id.into_uuid())
}

pub(super) fn reply(c: u16, number: u32) -> Bytes {
    format!("answer {number} of {c}").into()
}

/// The turns that a session has seen.
pub(super) fn count(session: &Session) -> u32 {
    let text = std::str::from_utf8(&session.state).unwrap();
    if text.is_empty() { 0 } else { text.parse().unwrap() }
}

/// Which turn a job is about.
pub(super) fn said(body: &[u8]) -> (u16, u32) {
    let (c, number) = std::str::from_utf8(body).unwrap().split_once(' ').unwrap();
    (c.parse().unwrap(), number.parse().unwrap())
}

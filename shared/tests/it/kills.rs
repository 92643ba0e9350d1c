//! A process on the embedded engines is killed, again and again, in the middle of its work: what it
//! was told is done is still done, and everything else is where the next process finds it.

mod child;

use std::collections::BTreeMap;
use std::future::ready;
use std::path::Path;
use std::process::Stdio;

use shared::broker::{Broker as _, Consumer as _};
use shared::store::{Deliveries as _, Intake as _, Turns as _};
use shared::topology::{Partition, Queue};
use testkit::SOON;
use tokio::process::{Child, Command};

use child::{CONVERSATIONS, FOLDER, Note, Notes, World, client, count, key, reply, said, turn};

const ROUNDS: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_was_told_is_done_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut heard = 0;
    for round in 0..ROUNDS {
        let mut process = start(folder.path());
        // Each round dies at another point, the first before the log was ever taken into the file.
        heard = hear(folder.path(), &mut process, heard + 40 + 150 * round as usize).await;
        process.kill().await.unwrap();
        verify(folder.path()).await;
    }
}

/// This binary once more, as a process of its own that runs only the child's test.
fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child::a_process_works_on_and_notes_what_it_was_told"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits for this many notes in all; how many there are.
async fn hear(folder: &Path, process: &mut Child, wanted: usize) -> usize {
    testkit::until("its notes", || {
        let notes = Notes::read(folder).len();
        let ended = process.try_wait().unwrap();
        assert_eq!(ended, None, "it ended by itself, after {notes} notes of {wanted}");
        ready(if notes >= wanted { Ok(notes) } else { Err(format!("{notes} of {wanted}")) })
    })
    .await
}

/// What the killed processes were told about one conversation.
#[derive(Default)]
struct Told {
    /// Publishes that were confirmed, and turns that were committed: the number behind the last.
    published: u32,
    committed: u32,
    /// The highest delivery that was settled.
    delivered: i64,
}

fn told(folder: &Path) -> BTreeMap<u16, Told> {
    let mut told = BTreeMap::<u16, Told>::new();
    for note in Notes::read(folder) {
        match note {
            Note::Published(c, n) => told.entry(c).or_default().published = n + 1,
            Note::Committed(c, n) => told.entry(c).or_default().committed = n + 1,
            Note::Delivered(c, number) => told.entry(c).or_default().delivered = number,
            Note::Next(..) => {}
            Note::Wrong(what) => panic!("{what}"),
        }
    }
    told
}

async fn verify(folder: &Path) {
    let told = told(folder);
    let world = World::open(folder).await;
    let notes = Notes::open(folder);
    for c in 0..CONVERSATIONS {
        let nothing = Told::default();
        let told = told.get(&c).unwrap_or(&nothing);
        let queued = queued(&world, c).await;
        let (conversation, none) = world.store.load(&key(c), turn(c, u32::MAX)).await.unwrap();
        assert_eq!(none, None);
        let done = count(&conversation.session);
        let first = queued.first().copied().unwrap_or(done);
        let end = queued.last().map_or(done, |last| last + 1);
        assert!(first <= done, "conversation {c}: {done} are done, {first} comes next");
        assert!(
            end >= told.published,
            "conversation {c}: {} confirmed, {end} kept",
            told.published
        );
        assert!(done >= told.committed, "conversation {c}: {} told, {done} kept", told.committed);
        rows(&world, c, done).await;
        if let Some(lowest) = world.store.lowest(conversation.id).await.unwrap() {
            let number = lowest.delivery.place.number;
            assert!(number > told.delivered, "conversation {c}: {number} was delivered");
        }
        notes.write(&Note::Next(c, end));
    }
    world.close().await;
}

/// The turns that wait in a partition, in order, all of them marked as perhaps begun.
async fn queued(world: &World, c: u16) -> Vec<u32> {
    let partition = Partition(c);
    let depth = world.broker.depth(Queue::Turns, partition).await.unwrap();
    let mut consumer = world.broker.consume(Queue::Turns, partition).await.unwrap();
    let mut numbers = Vec::new();
    for _ in 0..depth {
        let job = tokio::time::timeout(SOON, consumer.next()).await.expect("in time").unwrap();
        assert!(job.redelivered, "nobody can know that it was not begun");
        let (of, number) = said(&job.body);
        assert_eq!(of, c);
        numbers.push(number);
    }
    let in_order = numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    assert!(in_order, "conversation {c}: {numbers:?}");
    numbers
}

/// Every turn before `done` has its row, with its answer.
async fn rows(world: &World, c: u16, done: u32) {
    let turns: Vec<_> = (0..done).map(|number| (client(), turn(c, number))).collect();
    for (turns, first) in turns.chunks(1_000).zip((0..).step_by(1_000)) {
        let mut rows = world.store.outcomes(turns).await.unwrap();
        rows.sort_unstable_by_key(|(turn, _)| *turn);
        let answers: Vec<_> = rows.into_iter().map(|(turn, row)| (turn, row.reply)).collect();
        let wanted = (first..).zip(turns).map(|(number, (_, turn))| (*turn, reply(c, number)));
        assert_eq!(answers, wanted.collect::<Vec<_>>());
    }
}

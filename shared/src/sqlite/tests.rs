//! The file, its lock and its writer.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::broker::embedded::EmbeddedBroker;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

async fn open(folder: &Path) -> Database {
    Database::open(folder, Clock::manual(1_700_000_000_000)).await.unwrap()
}

fn insert(key: &str) -> impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    let key = key.to_owned();
    move |c| c.execute("insert into meta (key, value) values (?1, 'x')", [key])
}

async fn keys(database: &Database) -> Vec<String> {
    let read = database.read(|c| {
        let mut statement = c.prepare("select key from meta where key <> 'probe' order by key")?;
        statement.query_map([], |row| row.get(0))?.collect()
    });
    read.await.unwrap()
}

#[tokio::test]
async fn a_second_opening_of_a_folder_is_refused_in_words_and_works_after_the_first_is_closed() {
    let folder = scratch();
    let first = open(folder.path()).await;
    let options = Options { lock_wait: Duration::ZERO, ..Options::default() };
    let refused = Database::open_with(folder.path(), Clock::Real, options).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("in use by another process"), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    first.close().await;
    let second = Database::open_with(folder.path(), Clock::Real, options).await.unwrap();
    assert!(matches!(first.write(insert("late")).await, Err(WriteError::Away(_))));
    assert_eq!(keys(&second).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_is_free_when_everything_in_it_is_dropped() {
    let folder = scratch();
    let database = open(folder.path()).await;
    let topology = crate::topology::Topology::default();
    let broker = EmbeddedBroker::open(&database, topology).await.unwrap();
    drop((broker, database));
    let options = Options { lock_wait: Duration::from_secs(30), ..Options::default() };
    Database::open_with(folder.path(), Clock::Real, options).await.unwrap();
}

#[tokio::test]
async fn closing_takes_the_log_into_the_file_and_refuses_what_comes_later() {
    let folder = scratch();
    let database = open(folder.path()).await;
    database.write(insert("written")).await.unwrap();
    assert_eq!(keys(&database).await, ["written"]);
    let log = folder.path().join(format!("{FILE}-wal"));
    assert!(log.exists());
    database.close().await;
    assert!(!log.exists());
    assert!(matches!(database.read(|_| Ok(())).await, Err(ReadError::Away(_))));
    assert!(matches!(database.write(|_| Ok(())).await, Err(WriteError::Away(_))));
    database.close().await;
    assert_eq!(keys(&open(folder.path()).await).await, ["written"]);
}

#[tokio::test]
async fn what_was_removed_is_not_left_in_the_file() {
    let folder = scratch();
    let database = open(folder.path()).await;
    let text = "not to be found again ".repeat(1_000);
    let holds = |wanted| {
        let file = std::fs::read(folder.path().join(FILE)).unwrap();
        let found = file.windows(text.len().min(22)).any(|bytes| bytes == &text.as_bytes()[..22]);
        assert_eq!(found, wanted);
    };
    let row = text.clone();
    let write = database.write(move |c| {
        c.execute(
            "insert into meta (key, value) values ('long', ?1), ('short', ?2)",
            [&row, &row[..22]],
        )?;
        Ok(())
    });
    write.await.unwrap();
    let checkpoint = |c: &Connection| {
        c.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, i64>(0))
    };
    let reader = Connection::open(folder.path().join(FILE)).unwrap();
    assert_eq!(checkpoint(&reader).unwrap(), 0);
    holds(true);
    let removed = database.write(|c| c.execute("delete from meta where key <> 'probe'", []));
    assert_eq!(removed.await.unwrap(), 2);
    drop(reader);
    database.close().await;
    holds(false);
}

#[tokio::test]
async fn the_settings_that_durability_rests_on_are_on() {
    let folder = scratch();
    let database = open(folder.path()).await;
    let pragmas = database.write(|c| {
        let text: String = c.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let number = |name| c.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((text, number("synchronous")?, number("foreign_keys")?, number("auto_vacuum")?))
    });
    assert_eq!(pragmas.await.unwrap(), ("wal".to_owned(), 2, 1, 2));
    let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_bad_member_of_a_group_does_not_decide_for_the_others() {
    let folder = scratch();
    let database = open(folder.path()).await;
    database.write(insert("taken")).await.unwrap();
    // Holds the thread until everything below has been submitted: all of it is one group.
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let held = database.write(move |_| {
        gate.recv().ok();
        Ok(())
    });
    let keys_in_turn = ["a", "b", "c", "d", "taken", "e"];
    let members =
        futures_util::future::join_all(keys_in_turn.iter().map(|key| database.write(insert(key))));
    // Polled in this order: the gate opens when all have been submitted.
    let (held, results, ()) = tokio::join!(biased; held, members, async {
        release.send(()).unwrap();
    });
    held.unwrap();
    let refused: Vec<_> = results.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, false, false, true, false]);
    assert!(matches!(results[4], Err(WriteError::Refused(_))), "{:?}", results[4]);
    assert_eq!(keys(&database).await, ["a", "b", "c", "d", "e", "taken"]);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_heals_by_itself() {
    let folder = scratch();
    let database = open(folder.path()).await;
    database.write(insert("before")).await.unwrap();
    let limit = |pages: &'static str| {
        move |c: &Connection| {
            c.query_row(&format!("pragma max_page_count = {pages}"), [], |row| row.get::<_, i64>(0))
        }
    };
    database.write(limit("1")).await.unwrap();
    let big = |c: &Connection| {
        c.execute("insert into meta (key, value) values ('big', hex(randomblob(100000)))", [])
    };
    let mut health = database.health();
    assert!(matches!(database.write(big).await, Err(WriteError::Away(_))));
    health.wait_for(|health| *health == Health::Blocked).await.unwrap();
    assert_eq!(keys(&database).await, ["before"]);
    // Small writes into pages that are there already work: the probe finds that out.
    let healed = health.wait_for(|health| *health == Health::Up);
    tokio::time::timeout(Duration::from_secs(20), healed).await.unwrap().unwrap();
    database.write(limit("1000000")).await.unwrap();
    database.write(big).await.unwrap();
    assert_eq!(keys(&database).await, ["before", "big"]);
}

#[tokio::test]
async fn what_a_dead_process_was_at_is_free_when_the_folder_is_opened_again() {
    let folder = scratch();
    let database = open(folder.path()).await;
    let row = "insert into delivery (conversation, number, channel_id, turn_id, idx, body, attempt,
                 claimed_until, head, due, hinted_at, hash, created_at)
               values (x'00', 1, 'c', x'00', 0, x'00', 2, 9, 1, 3, 8, 0, 3)";
    database.write(|c| c.execute(row, [])).await.unwrap();
    database.close().await;
    let again = open(folder.path()).await;
    let read = again.read(|c| {
        let sql = "select attempt, claimed_until, hinted_at, due from delivery";
        c.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
    });
    let found: (i64, i64, i64, i64) = read.await.unwrap();
    assert_eq!(found, (2, 0, 0, 3), "attempt, claimed until, rung at, due");
}

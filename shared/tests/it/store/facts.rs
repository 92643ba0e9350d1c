//! Facts of PostgreSQL that the statements of the store rest on.

use std::sync::Arc;

use shared::store::{CommitError, Turns as _};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::engine_postgres::Postgres;
use super::fixtures::{World, turn};
use super::harness::Harness as _;

conformance! { postgres only:
    text_and_jsonb_refuse_a_nul_and_bytea_keeps_it,
    a_unique_index_on_a_partitioned_table_must_hold_the_partition_column,
    an_update_that_meets_two_members_for_a_row_takes_one_of_them,
    an_update_that_waited_sees_its_row_anew_but_other_tables_as_they_were,
    a_statement_after_the_lock_sees_what_was_committed_while_it_waited,
    rows_are_locked_in_the_order_of_the_array_unless_they_are_sorted_first,
    groups_of_two_processes_over_the_same_conversations_never_deadlock,
}

fn code<T>(result: Result<T, tokio_postgres::Error>) -> Option<SqlState> {
    result.err().and_then(|error| error.code().cloned())
}

async fn text_and_jsonb_refuse_a_nul_and_bytea_keeps_it(h: Postgres) {
    let client = h.client().await;
    let text = client.query("select $1::text", &[&"a\0b"]).await;
    assert_eq!(code(text), Some(SqlState::CHARACTER_NOT_IN_REPERTOIRE));
    let json = client.query(r#"select '{"a":"\u0000"}'::jsonb"#, &[]).await;
    assert_eq!(code(json), Some(SqlState::UNTRANSLATABLE_CHARACTER));
    let row = client.query_one("select $1::bytea", &[&&b"a\0b"[..]]).await.unwrap();
    assert_eq!(row.get::<_, &[u8]>(0), b"a\0b");
}

async fn a_unique_index_on_a_partitioned_table_must_hold_the_partition_column(h: Postgres) {
    let client = h.client().await;
    let sql = "create table t (day date, key text) partition by range (day)";
    client.batch_execute(sql).await.unwrap();
    let unique = client.batch_execute("create unique index on t (key)").await;
    assert_eq!(code(unique), Some(SqlState::FEATURE_NOT_SUPPORTED));
}

async fn an_update_that_meets_two_members_for_a_row_takes_one_of_them(h: Postgres) {
    let client = h.client().await;
    client.batch_execute("create table t (id int primary key, n int)").await.unwrap();
    client.batch_execute("insert into t values (1, 0)").await.unwrap();
    let sql =
        "update t set n = t.n + m.n from unnest('{1,1}'::int[], '{10,20}'::int[]) as m (id, n)
                where t.id = m.id";
    assert_eq!(client.execute(sql, &[]).await.unwrap(), 1);
    let n: i32 = client.query_one("select n from t", &[]).await.unwrap().get(0);
    assert!(n == 10 || n == 20, "only one of them counted: {n}");
}

/// A row, an inbox, and somebody who holds the row's lock and has just filled the inbox.
async fn held(h: &Postgres) -> Client {
    let holder = h.client().await;
    let tables = "create table t (id int primary key, n int); insert into t values (1, 0);
                  create table inbox (id int)";
    holder.batch_execute(tables).await.unwrap();
    let sql = "begin; update t set n = 1; insert into inbox values (7)";
    holder.batch_execute(sql).await.unwrap();
    holder
}

/// Waits until some session of this database waits for a lock.
async fn somebody_waits(client: &Client) {
    let sql = "select 1 from pg_stat_activity
                where wait_event_type = 'Lock' and datname = current_database()";
    let waits = || async { !client.query(sql, &[]).await.unwrap().is_empty() };
    testkit::until("it waits for the lock", waits).await;
}

async fn an_update_that_waited_sees_its_row_anew_but_other_tables_as_they_were(h: Postgres) {
    let (holder, waiter, watcher) = (held(&h).await, h.client().await, h.client().await);
    let sql = "update t set n = n + 10
                where not exists (select from inbox where inbox.id = 7) returning n";
    let (row, ()) = tokio::join!(waiter.query(sql, &[]), async {
        somebody_waits(&watcher).await;
        holder.batch_execute("commit").await.unwrap();
    });
    // The row is the new one (1 + 10), the inbox still looks empty: a commit must lock first.
    let row = row.unwrap();
    assert_eq!(row.len(), 1, "the inbox check is blind to the one it waited for");
    assert_eq!(row[0].get::<_, i32>(0), 11);
}

async fn a_statement_after_the_lock_sees_what_was_committed_while_it_waited(h: Postgres) {
    let (holder, waiter, watcher) = (held(&h).await, h.client().await, h.client().await);
    waiter.batch_execute("begin").await.unwrap();
    let (locked, ()) =
        tokio::join!(waiter.query("select 1 from t where id = 1 for no key update", &[]), async {
            somebody_waits(&watcher).await;
            holder.batch_execute("commit").await.unwrap();
        });
    assert_eq!(locked.unwrap().len(), 1);
    let sql = "update t set n = n + 10 where not exists (select from inbox where inbox.id = 7)";
    assert_eq!(waiter.execute(sql, &[]).await.unwrap(), 0, "the inbox is seen as it is now");
    waiter.batch_execute("commit").await.unwrap();
}

async fn rows_are_locked_in_the_order_of_the_array_unless_they_are_sorted_first(h: Postgres) {
    let holder = h.client().await;
    let sql = "create table t (id int primary key, n int);
               insert into t select n, 0 from generate_series(1, 3) n";
    holder.batch_execute(sql).await.unwrap();
    let update = "update t set n = 1 from unnest('{3,2,1}'::int[]) as m (id) where t.id = m.id";
    let sorted = "select 1 from (select id from unnest('{3,2,1}'::int[]) as m (id) order by id) m
                   cross join lateral (
                     select 1 from t where t.id = m.id offset 0 for no key update) t";
    for (sql, free) in [(update, vec![2]), (sorted, vec![2, 3])] {
        let (waiter, watcher) = (h.client().await, h.client().await);
        let settings = "set enable_seqscan = off; set enable_hashjoin = off;
                        set enable_mergejoin = off; set enable_bitmapscan = off; begin";
        waiter.batch_execute(settings).await.unwrap();
        // The sorted one must stop at row 1 and hold none; the other holds row 3 when it stops at 1.
        holder.batch_execute("begin; select 1 from t where id = 1 for update").await.unwrap();
        let (done, found) = tokio::join!(waiter.batch_execute(sql), async {
            somebody_waits(&watcher).await;
            let sql = "select id from t where id > 1 order by id for update skip locked";
            let rows = watcher.query(sql, &[]).await.unwrap();
            holder.batch_execute("commit").await.unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>()
        });
        done.unwrap();
        waiter.batch_execute("rollback").await.unwrap();
        if sql == sorted {
            assert_eq!(found, free, "nothing above the row that it waits for is held");
        } else {
            assert!(!found.contains(&3), "row 3 is held by one that waits for row 1: {found:?}");
        }
    }
}

async fn groups_of_two_processes_over_the_same_conversations_never_deadlock(h: Postgres) {
    let world = Arc::new(World::new(h).await);
    let other = world.h.other().await;
    for round in 0..10 {
        let start = Arc::new(Barrier::new(64));
        let mut running = JoinSet::new();
        let keys: Vec<_> = (0..32).map(|n| world.user(&format!("user {n}"))).collect();
        let mut versions = Vec::new();
        for key in &keys {
            versions.push(world.conversation(key).await.version);
        }
        for n in 0..64 {
            // The second process walks the other way.
            let (store, at) = if n < 32 { (world.s.clone(), n) } else { (other.clone(), 63 - n) };
            let draft = world.draft(&keys[at], versions[at], turn(), &["text"]);
            let start = Arc::clone(&start);
            running.spawn(async move {
                start.wait().await;
                (at, store.commit(draft).await)
            });
        }
        let mut won = [0; 32];
        for (at, result) in running.join_all().await {
            match result {
                Ok(_) => won[at] += 1,
                Err(CommitError::Missed) => {}
                Err(other) => panic!("round {round}: {other}"),
            }
        }
        assert_eq!(won, [1; 32], "of the two of each conversation one has won");
    }
}

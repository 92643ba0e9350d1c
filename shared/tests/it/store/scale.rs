//! Lists, figures and counts on 200,000 turns: found by indexes, and fast.

use std::future::Future;

use shared::clock::Clock;
use shared::domain::ids::{ChannelId, TurnId};
use shared::domain::outcome::Outcome;
use shared::store::ledger::{DeliveriesAsk, Leaf, LedgerDelivery, LedgerStore, Standing, TurnsAsk};
use shared::store::replay::{Begun, Chosen, Counted, Range, ReplayStore, SEEN};
use shared::store::tally::{COUNTED, Tally, TallyAsk};
use shared::store::{Store, StoreError, Upkeep as _};
use testkit::timed::{LIST_MAX, Timed};
use tokio_postgres::Client;

use super::engine_postgres::Postgres;
use super::engine_sqlite::Sqlite;
use super::harness::Harness as _;
use super::replay::draft;

const TURNS: i64 = 200_000;
const DELIVERIES: i64 = 150_000;
const WAITING: i64 = 4_000;
/// Half of all is on the first channel.
const CHANNELS: i64 = 40;
const ROUNDS: usize = 20;

/// The rows are as old as retention lets them be.
const EIGHT_DAYS_MS: i64 = 8 * 86_400_000;

fn channel(n: i64) -> ChannelId {
    format!("ivrInst-scale-{n}").as_str().into()
}

async fn fill_postgres(client: &Client) {
    let days = "do $$ declare f uuid; t uuid; d date; begin
      for n in 2..9 loop
        d := (now() at time zone 'UTC')::date - n;
        f := (lpad(to_hex((extract(epoch from d::timestamp) * 1000)::int8), 12, '0') || repeat('0', 20))::uuid;
        t := (lpad(to_hex((extract(epoch from (d + 1)::timestamp) * 1000)::int8), 12, '0') || repeat('0', 20))::uuid;
        execute format('create table turn_d%s partition of turn for values from (%L) to (%L)', to_char(d, 'YYYYMMDD'), f, t);
        execute format('create table attempt_d%s partition of attempt for values from (%L) to (%L)', to_char(d, 'YYYYMMDD'), f, t);
      end loop;
    end $$;";
    let rows = format!(
        "create temp table n as
           select i, now() - (({TURNS} - i) * {EIGHT_DAYS_MS} / {TURNS} || ' ms')::interval as at,
                  md5('conversation ' || i % 20000)::uuid as conversation,
                  'ivrInst-scale-' || case when i % 2 = 0 then 0 else i % {CHANNELS} end as channel
             from generate_series(0, {TURNS} - 1::int8) i;
         alter table n add column turn uuid;
         update n set turn = (lpad(to_hex((extract(epoch from at) * 1000)::int8), 12, '0')
           || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid;
         insert into conversation
           select distinct on (conversation) conversation, channel, 'user ' || i % 20000, i, 1, 1, '', at,
                  (at at time zone 'UTC')::date from n;
         insert into turn
           select turn, conversation, 'cs-scale', channel, case when i % 50 = 0 then 2 else 1 end, '',
                  convert_to(repeat('what was said ', 20), 'UTF8'), null, i % 10, i % 500, at from n;
         insert into delivery
           select conversation, i, turn, 0, channel, i, convert_to(repeat('what is sent ', 20), 'UTF8'),
                  case when i >= {TURNS} - {WAITING} then 0 when i % 21 = 0 then 2 else 1 end, null, 1, 0, 0, false,
                  i >= {TURNS} - {WAITING}, at, at, null, case when i < {TURNS} - {WAITING} then at end
             from n where i >= {TURNS} - {DELIVERIES};
         insert into attempt
           select turn, 0, 1, 200, null, 5, '', at from n where i >= {TURNS} - {DELIVERIES};
         analyze;"
    );
    client.batch_execute(days).await.unwrap();
    client.batch_execute(&rows).await.unwrap();
}

fn fill_sqlite(harness: &Sqlite) {
    let now = i64::try_from(Clock::Real.unix_ms()).unwrap();
    let rows = format!(
        "pragma synchronous = off;
         create temp table n as with recursive s (i) as (
           select 0 union all select i + 1 from s where i < {TURNS} - 1)
           select i, {now} - ({TURNS} - i) * {EIGHT_DAYS_MS} / {TURNS} as at, i % 20000 as c,
                  'ivrInst-scale-' || case when i % 2 = 0 then 0 else i % {CHANNELS} end as channel from s;
         create temp table m as
           select i, at, channel, unhex(printf('%032x', c)) as conversation,
                  unhex(printf('%012x7%03x8%015x', at, i % 4096, i)) as turn from n;
         insert into conversation
           select conversation, min(channel), 'user ' || min(i), min(i), 1, 1, x'', max(at) from m group by conversation;
         insert into turn
           select turn, conversation, 'cs-scale', channel, case when i % 50 = 0 then 2 else 1 end, '',
                  zeroblob(280), null, i % 10, i % 500, at from m;
         insert into delivery
           select conversation, i, channel, turn, 0, zeroblob(260), 1, 0, 0, 0, i >= {TURNS} - {WAITING}, at, at,
                  case when i >= {TURNS} - {WAITING} then 0 when i % 21 = 0 then 2 else 1 end, null, 0, i, at,
                  case when i < {TURNS} - {WAITING} then at end from m where i >= {TURNS} - {DELIVERIES};
         insert into attempt
           select turn, 0, 1, 200, null, 5, x'', at from m where i >= {TURNS} - {DELIVERIES};"
    );
    harness.connection().execute_batch(&rows).unwrap();
}

/// Makes a call again and again, and looks at what it found.
async fn timed<T, F: Future<Output = Result<T, StoreError>>>(
    what: impl Into<String>,
    call: impl Fn() -> F,
    is_right: impl Fn(&T) -> bool,
) -> Timed {
    let look = |what: &str, found: Result<T, _>| assert!(is_right(&found.unwrap()), "{what}");
    Timed::of(what, ROUNDS, async || call().await, look).await
}

/// Every list and figure, with and without what narrows it.
async fn look<S: Store>(s: &S) -> Vec<Timed> {
    let mut all = turns(s).await;
    all.extend(deliveries(s).await);
    all.extend(figures(s).await);
    all
}

/// On the first page and on a late one.
async fn turns<S: Store>(s: &S) -> Vec<Timed> {
    let asked = || TurnsAsk { limit: 50, ..TurnsAsk::default() };
    let some = s.turns(&asked()).await.unwrap();
    let row = some.rows.last().unwrap().clone();
    let ms = Clock::Real.unix_ms() - EIGHT_DAYS_MS.unsigned_abs() * 3 / 4;
    let late = TurnId::new(uuid::Uuid::from_u128(u128::from(ms) << 80));
    let of = |n| TurnsAsk { channel: Some(channel(n)), ..asked() };
    let narrow = [
        ("all", asked()),
        ("of a busy channel", of(0)),
        ("of a quiet channel", of(7)),
        ("of a channel that is none", of(-1)),
        ("of an outcome", TurnsAsk { outcome: Some(Outcome::BotFailed), ..asked() }),
        ("of an outcome that never was", TurnsAsk { outcome: Some(Outcome::Parked), ..of(0) }),
        ("of a conversation", TurnsAsk { conversation: Some(row.conversation), ..asked() }),
    ];
    let mut all = Vec::new();
    for (what, ask) in narrow {
        for before in [None, Some(late)] {
            let page = if before.is_some() { "late" } else { "first" };
            let ask = TurnsAsk { before, ..ask.clone() };
            let few = what.contains("none") || what.contains("never") || what.contains("convers");
            let is_right = |leaf: &Leaf<_, _>| few || leaf.rows.len() == 50;
            all.push(timed(format!("turns {what}, {page}"), || s.turns(&ask), is_right).await);
        }
    }
    all.push(timed("one turn", || s.turn(row.turn), Option::is_some).await);
    all
}

async fn deliveries<S: Store>(s: &S) -> Vec<Timed> {
    let mut all = Vec::new();
    for standing in Standing::ALL {
        for (of, channel) in
            [("all", None), ("a busy channel", Some(channel(0))), ("a quiet one", Some(channel(7)))]
        {
            let what = format!("deliveries {} of {of}", standing.as_str());
            let ask = DeliveriesAsk { standing, channel, after: None, limit: 50 };
            let waits = standing == Standing::Waiting;
            let is_right = |leaf: &Leaf<LedgerDelivery, _>| {
                let in_order = leaf.rows.is_sorted_by_key(|row| row.due_ms);
                leaf.rows.len() == 50 && (in_order || !waits)
            };
            all.push(timed(what, || s.deliveries(&ask), is_right).await);
        }
    }
    all
}

async fn figures<S: Store>(s: &S) -> Vec<Timed> {
    let (mut all, hour) = (Vec::new(), 3_600_000);
    let now = i64::try_from(Clock::Real.unix_ms()).unwrap();
    for (what, of, width_ms, count, cut) in [
        ("a busy channel's half day", 0, hour, 12_u32, false),
        ("a busy channel's week", 0, 24 * hour, 8, true),
        ("a quiet channel's week", 7, 24 * hour, 8, false),
    ] {
        let from_ms = now - width_ms * i64::from(count) + hour;
        let ask = TallyAsk { channel: channel(of), from_ms, width_ms, count };
        let is_right = |tally: &Tally| {
            let sum = tally.buckets.iter().map(|one| one.turns).sum::<u64>();
            (tally.turns_cut, tally.deliveries_cut) == (cut, cut)
                && (!cut || tally.whole.turns == u64::from(COUNTED))
                && sum == tally.whole.turns
        };
        all.push(timed(what, || s.tally(&ask), is_right).await);
    }
    let (from_ms, to_ms) = (now - 12 * hour, now);
    let range = Range { channel: channel(0), from_ms, to_ms, standing: None };
    let is_right = |found: &Counted| matches!(found, Counted::Exactly(count) if *count > 3_000);
    all.push(timed("a count of half a day", || s.count_settled(&range), is_right).await);
    all
}

async fn refuses_what_is_too_much<S: ReplayStore + LedgerStore>(s: &S, settled: u32) {
    let ever =
        Range { channel: channel(0), from_ms: 0, to_ms: 253_402_300_799_000, standing: None };
    assert!(settled < SEEN);
    assert_eq!(s.count_settled(&ever).await.unwrap(), Counted::TooMany);
    let begun = s.begin_replay(&draft(Chosen::Range(ever))).await.unwrap();
    assert_eq!(begun, Begun::TooMany);
    assert_eq!(s.replays(None, 10).await.unwrap(), []);
}

/// Whole scans of tables with many rows since the database is there.
async fn scans(client: &Client) -> Vec<(String, i64)> {
    let sql = "select relname::text, seq_scan from pg_stat_user_tables
                where n_live_tup > 1000 and relname ~ '^(turn|delivery|attempt|conversation)'
                order by relname";
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until nobody else is connected: then everything that was done is counted.
async fn alone(client: &Client) {
    let sql = "select count(*) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
    let others = || async { client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) };
    testkit::until("connections are closed", || async { others().await == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_finds_every_list_by_an_index_and_in_time() {
    let harness = Postgres::start().await;
    harness.store().migrate().await.unwrap();
    let client = harness.client().await;
    fill_postgres(&client).await;
    let url = harness.url().to_owned();
    // Its connections are closed with it, and only then are all of its scans counted.
    drop(harness);
    alone(&client).await;
    let before = scans(&client).await;
    let s = super::engine_postgres::open(&url);
    let all = look(&s).await;
    refuses_what_is_too_much(&s, 75_000).await;
    drop(s);
    alone(&client).await;
    assert_eq!(scans(&client).await, before, "no table is read whole");
    Timed::hold(&all, LIST_MAX);
}

/// Its plans are looked at where its statements are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_shows_every_list_of_many_rows_in_time() {
    let harness = Sqlite::start().await;
    fill_sqlite(&harness);
    let s = harness.store();
    let all = look(&s).await;
    refuses_what_is_too_much(&s, 75_000).await;
    // Built without optimisation, it counts figures row by row.
    Timed::hold(&all, 3 * LIST_MAX);
}

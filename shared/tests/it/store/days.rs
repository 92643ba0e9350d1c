//! Tables that are divided by the day inside a turn's id: made ahead, dropped whole, in nobody's way.

use shared::clock::Clock;
use shared::domain::ids::TurnId;
use shared::store::{Retention, Turns as _, Upkeep as _};
use tokio_postgres::Client;
use uuid::Uuid;

use super::engine_postgres::Postgres;
use super::fixtures::{World, days, turn, turn_aged};

conformance! { postgres only:
    the_coming_days_have_their_place_before_they_begin,
    a_turn_is_kept_with_its_day_by_the_time_inside_its_id,
    a_day_that_has_passed_its_time_is_dropped_whole,
    cleaning_gives_way_to_whoever_uses_a_day_that_is_to_go,
    a_day_whose_turns_came_before_its_place_was_made_stays_in_the_net,
}

const DAY_MS: u64 = 86_400_000;

fn today() -> u64 {
    Clock::Real.unix_ms() / DAY_MS
}

/// The smallest id of a day.
fn first_id(day: u64) -> Uuid {
    let bytes = (day * DAY_MS).to_be_bytes();
    let mut id = [0; 16];
    id[..6].copy_from_slice(&bytes[2..]);
    Uuid::from_bytes(id)
}

/// The places of a table, in order, without the net.
async fn places(client: &Client, table: &str) -> Vec<String> {
    let sql = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent = ($1::text)::regclass and c.relname not like '%default'
                order by 1";
    client.query(sql, &[&table]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Makes a place for a day in the past, as if it had been made ahead of it.
async fn make(client: &Client, table: &str, day: u64) -> String {
    let sql = "select to_char(date '1970-01-01' + $1::int4, 'YYYYMMDD')";
    let day_number = i32::try_from(day).unwrap();
    let date: String = client.query_one(sql, &[&day_number]).await.unwrap().get(0);
    let (first, end) = (first_id(day), first_id(day + 1));
    let name = format!("{table}_d{date}");
    let sql = format!(
        "create table {name} partition of {table} for values from ('{first}') to ('{end}')"
    );
    client.batch_execute(&sql).await.unwrap();
    name
}

async fn home(client: &Client, turn: TurnId) -> String {
    let sql = "select tableoid::regclass::text from turn where turn_id = $1";
    client.query_one(sql, &[&turn.uuid()]).await.unwrap().get(0)
}

async fn the_coming_days_have_their_place_before_they_begin(h: Postgres) {
    let world = World::new(h).await;
    let client = world.h.client().await;
    for table in ["turn", "attempt"] {
        let made = places(&client, table).await;
        let sql = "select to_char((clock_timestamp() at time zone 'UTC')::date + n, 'YYYYMMDD')
                     from generate_series(0, 3) n";
        for row in client.query(sql, &[]).await.unwrap() {
            let name = format!("{table}_d{}", row.get::<_, &str>(0));
            assert!(made.contains(&name), "{name} is missing: {made:?}");
        }
        // Cleaning makes the days that follow.
        client.batch_execute(&format!("drop table {}", made.last().unwrap())).await.unwrap();
        world.s.clean(Retention::default()).await.unwrap();
        assert_eq!(places(&client, table).await, made);
    }
}

async fn a_turn_is_kept_with_its_day_by_the_time_inside_its_id(h: Postgres) {
    let world = World::new(h).await;
    let client = world.h.client().await;
    let place = make(&client, "turn", today() - 5).await;
    let key = world.user("ann");
    let now = world.say(&key, &[]).await.turn;
    let old = world.say_as(&key, turn_aged(days(5)), &[]).await.turn;
    let lost = world.say_as(&key, turn_aged(days(300)), &[]).await.turn;
    assert_eq!(home(&client, old).await, place);
    assert!(home(&client, now).await.starts_with("turn_d"));
    assert_eq!(home(&client, lost).await, "turn_default");
    // Wherever it is, it is in the inbox: a repeat at the current version is refused.
    for turn in [now, old, lost] {
        assert!(world.settled(&key, turn).await.is_some());
        let version = world.conversation(&key).await.version;
        let again = world.draft(&key, version, turn, &[]);
        assert_eq!(world.s.commit(again).await, Err(shared::store::CommitError::Missed));
    }
}

async fn a_day_that_has_passed_its_time_is_dropped_whole(h: Postgres) {
    let world = World::new(h).await;
    let client = world.h.client().await;
    let gone =
        [make(&client, "turn", today() - 10).await, make(&client, "attempt", today() - 10).await];
    let kept = make(&client, "turn", today() - 7).await;
    let key = world.user("ann");
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(world.say_as(&key, turn_aged(days(10)), &[]).await.turn);
    }
    let young = world.say_as(&key, turn_aged(days(7)), &[]).await.turn;
    let cleaned = world.s.clean(Retention::default()).await.unwrap();
    assert!(cleaned.rows >= 5, "{cleaned:?}");
    let left = [places(&client, "turn").await, places(&client, "attempt").await].concat();
    assert!(gone.iter().all(|name| !left.contains(name)), "{left:?}");
    assert!(left.contains(&kept));
    for turn in old {
        assert_eq!(world.settled(&key, turn).await, None);
    }
    assert!(world.settled(&key, young).await.is_some());
}

async fn cleaning_gives_way_to_whoever_uses_a_day_that_is_to_go(h: Postgres) {
    let world = World::new(h).await;
    let (client, reader) = (world.h.client().await, world.h.client().await);
    let place = make(&client, "turn", today() - 10).await;
    let sql = format!("begin; select count(*) from {place}");
    reader.batch_execute(&sql).await.unwrap();
    let cleaned = world.s.clean(Retention::default()).await;
    cleaned.expect("a day that is in use is no error");
    assert!(places(&client, "turn").await.contains(&place), "it stays for this round");
    // Commits go on meanwhile and afterwards.
    world.say(&world.user("ann"), &["one"]).await;
    reader.batch_execute("commit").await.unwrap();
    testkit::until("a later round drops it", || async {
        world.s.clean(Retention::default()).await.unwrap();
        !places(&client, "turn").await.contains(&place)
    })
    .await;
}

async fn a_day_whose_turns_came_before_its_place_was_made_stays_in_the_net(h: Postgres) {
    let world = World::new(h).await;
    let client = world.h.client().await;
    // Nobody has cleaned for days: today has no place of its own, and turns come.
    for name in places(&client, "turn").await {
        client.batch_execute(&format!("drop table {name}")).await.unwrap();
    }
    let key = world.user("ann");
    let said = world.say_as(&key, turn(), &["one"]).await;
    assert_eq!(home(&client, said.turn).await, "turn_default");
    world.s.clean(Retention::default()).await.unwrap();
    world.s.migrate().await.unwrap();
    assert!(world.settled(&key, said.turn).await.is_some());
    assert!(!places(&client, "turn").await.is_empty(), "the other days have theirs");
    world.say(&key, &["two"]).await;
}

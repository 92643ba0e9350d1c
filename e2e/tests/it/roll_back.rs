//! The runbook's drill "upgrade and roll back": this release is the one before, on the schema of a next one.

use std::time::Duration;

use e2e::load::Plan;
use e2e::rig::Rig;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use testkit::system::Shape;
use tokio_util::sync::CancellationToken;

use crate::support::drill::{append, ask, roll, rooms, start, strays};

/// What a migration may do: every table gets a column that this release does not know, with a default, and
/// there is one table more.
const NEXT: &str = "
do $$ declare name text; begin
  for name in select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
  loop execute format('alter table %I add column of_the_next text not null default ''new''', name);
  end loop;
end $$;
create table of_the_next (id bigint primary key);
insert into schema_version (version) select max(version) + 1 from schema_version;";

fn plan(stop: &CancellationToken) -> Plan {
    Plan {
        first: 0,
        conversations: 8,
        messages: u32::MAX,
        pause: Duration::from_millis(50),
        stop: stop.clone(),
    }
}

/// The schema moves under rooms at work; then each room is started anew, as a roll back does.
async fn moves(rig: &Rig, server: &Server, postgres: &str) {
    let known = ask(postgres, "select max(version) from schema_version").await;
    server.execute(postgres.rsplit('/').next().unwrap(), NEXT).await.unwrap();
    let next = known.parse::<u32>().unwrap() + 1;
    let words = format!("the schema is of a newer release ({next}, this one knows {known})");
    let told = rig.system.run(&["migrate"]).await.unwrap();
    assert!(told.contains(&words), "{told}");
    let told = rig.system.run(&["doctor"]).await.unwrap();
    assert!(told.contains(&words), "{told}");
    for process in rig.system.processes() {
        roll(process, &[]).await;
    }
    let file = "[[apps]]\nname = \"later\"\nsecret = \"never-a-real-secret-of-later-0123456789\"\n";
    let path = rig.system.data().with_file_name("later.toml");
    std::fs::write(&path, file).unwrap();
    rig.system.run(&["apply", "--file", &path.display().to_string()]).await.unwrap();
    assert_eq!(ask(postgres, "select max(version) from schema_version").await, next.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_of_this_release_work_on_the_schema_of_a_next_one_under_load() {
    let (node, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = server.create_database().await.unwrap();
    let rig = rooms(node.url(), postgres.clone()).await;
    let stop = CancellationToken::new();
    let plan = plan(&stop);
    let moving = async {
        moves(&rig, &server, &postgres).await;
        stop.cancel();
    };
    let (loaded, ()) = tokio::join!(rig.load(&plan), moving);
    loaded.unwrap();
    let verdict = rig.verdict(&plan).await.unwrap();
    assert!(verdict.accepted > 100, "too little was accepted to show anything: {verdict}");
    assert!(verdict.faults.is_empty(), "{verdict}");
    assert_eq!(strays(&postgres).await, "0");
}

/// The other way round: who is too new for the schema does nothing, and says what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_the_release_before_is_waited_for_and_told() {
    let (node, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = server.create_database().await.unwrap();
    let rig = rooms(node.url(), postgres.clone()).await;
    let database = postgres.rsplit('/').next().unwrap();
    let before = "create table kept as select * from schema_version
                   where version = (select max(version) from schema_version);
                  delete from schema_version where version in (select version from kept);";
    server.execute(database, before).await.unwrap();
    for command in [&["app", "list"][..], &["doctor"]] {
        let told = rig.system.run(command).await.unwrap_err().to_string();
        assert!(told.contains("`switchhook migrate` brings it up to date"), "{told}");
    }
    // A process that starts too early waits, and goes on by itself.
    let process = rig.system.room("dispatcher")[0];
    process.stop().await.unwrap();
    let migrated = async {
        testkit::until("it says what it waits for", || async {
            process.whole_log().contains("`switchhook migrate` brings it up to date")
        })
        .await;
        let after = "insert into schema_version select * from kept; drop table kept";
        server.execute(database, after).await.unwrap();
    };
    let (started, ()) = tokio::join!(process.restart(), migrated);
    started.unwrap();
    append(&rig, 1, 1, &[1]).await;
}

/// The embedded engines have no release beside them: a file of a newer one is refused before it is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_newer_release_is_refused_and_stays_as_it_is() {
    let rig = start(Shape::Whole).await;
    append(&rig, 1, 1, &[1]).await;
    let process = &rig.system.processes()[0];
    process.stop().await.unwrap();
    let file = rig.system.data().join("switchhook.db").display().to_string();
    let pragma = |text: &'static str| {
        let file = file.clone();
        async move { crate::support::drill::run("sqlite3", &[&file, text]).await.trim().to_owned() }
    };
    let known = pragma("pragma user_version").await;
    pragma("pragma user_version = 99").await;
    let why = process.restart().await.unwrap_err().to_string();
    assert!(why.contains(&format!("schema 99, this one knows {known}")), "{why}");
    assert_eq!(pragma("pragma user_version").await, "99");
    let back = format!("pragma user_version = {known}");
    pragma(back.leak()).await;
    process.restart().await.unwrap();
    append(&rig, 1, 2, &[1, 2]).await;
}

//! What an installation of the first schema holds is there after the upgrade, and goes on working.

use rusqlite::params;
use secrecy::{ExposeSecret as _, SecretString};
use shared::clock::Clock;
use shared::domain::channel::ChannelState::Live;
use shared::entropy::Entropy;
use shared::registry::control::{Change, ControlStore, Kind, Record, Write};
use shared::registry::{RegistryStore, TokenRules};
use shared::sqlite::{Database, FILE};
use shared::store::Upkeep as _;
use shared::store::sqlite::Sqlite;
use shared::vault::{Spot, Vault};
use tokio_postgres::NoTls;

use super::engine_postgres::open;

const SECRET: &str = "a secret of more than thirty-two bytes in all";
const BOT: &str =
    r#"{"logic":{"kind":"echo"},"error_message":"!","session_timeout_ms":60000,"permits":64}"#;
const CHANNEL: &str = r#"{"deadline_ms":15000,"single_as_string":true,"escape_templates":true,"rate_per_second":10,"rate_burst":50}"#;

fn sealed() -> Vec<u8> {
    let vault = Vault::new(&[7; 32], Entropy::Real);
    let spot = Spot { table: "app", row: "cs-1", column: "secret" };
    vault.seal(spot, &SecretString::from(SECRET))
}

async fn check<S: RegistryStore + ControlStore>(store: &S) {
    let control = store.control().await.unwrap();
    let app = &control.registry.apps[&"cs-1".into()];
    assert_eq!(app.secret.expose_secret(), SECRET);
    assert!(app.previous.is_none() && app.rules == TokenRules::default());
    let channel = &control.registry.channels[&"ivrInst-1".into()];
    assert_eq!((channel.state, channel.ordinal), (Live, 1));
    assert!(control.records.is_empty());
    let record = Record { kind: Kind::Parent, id: "st-1".into(), body: "{}".into(), sealed: None };
    let writes = vec![Write::Record { record, expires: None }];
    store.change(control.revision, Change { writes, audit: Vec::new() }).await.unwrap();
    assert_eq!(store.control().await.unwrap().records.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_first_schema_is_brought_up_to_date_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    old.execute_batch(include_str!("../../../src/store/sqlite/migrations/0001.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    let app = "insert into app values ('cs-1', 'shop', 'HS256', ?1, 1)";
    old.execute(app, params![sealed()]).unwrap();
    old.execute("insert into bot values ('st-1', 'clerk', ?1, null, 1, 1)", params![BOT]).unwrap();
    let channel = "insert into channel values
        ('ivrInst-1', 'st-1', 'cs-1', 'web', 1, 'live', 0, ?1, null, null, 1)";
    old.execute(channel, params![CHANNEL]).unwrap();
    drop(old);
    let database = Database::open(folder.path(), Clock::Real).await.unwrap();
    check(&Sqlite::new(&database, Vault::new(&[7; 32], Entropy::Real))).await;
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_first_schema_is_brought_up_to_date_with_what_it_holds() {
    let server = testkit::postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    shared::lifecycle::Lifecycle::new().spawn(connection);
    client
        .batch_execute(include_str!("../../../src/store/postgres/migrations/0001.sql"))
        .await
        .unwrap();
    let schema = "create table schema_version (
          version integer primary key, applied_at timestamptz not null default clock_timestamp());
        insert into schema_version (version) values (1);";
    client.batch_execute(schema).await.unwrap();
    let app = "insert into app values ('cs-1', 'shop', 'HS256', $1)";
    client.execute(app, &[&sealed()]).await.unwrap();
    client.execute("insert into bot values ('st-1', 'clerk', $1, null, 1)", &[&BOT]).await.unwrap();
    let channel = "insert into channel values
        ('ivrInst-1', 'st-1', 'cs-1', 'web', 1, 'live', false, $1, null, null)";
    client.execute(channel, &[&CHANNEL]).await.unwrap();
    let store = open(&url);
    store.migrate().await.unwrap();
    check(&store).await;
}

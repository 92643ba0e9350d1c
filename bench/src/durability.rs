//! The yardstick's grouped durable commit, and the check that durability is really on.

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const GROUP_MAX: usize = 256;

type Member = (Vec<u8>, oneshot::Sender<()>);

/// Commits what is ready when the connection is free, as one transaction.
#[derive(Clone)]
pub(crate) struct PostgresGroup(mpsc::Sender<Member>);

impl PostgresGroup {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let runtime = tokio::runtime::Handle::current();
        runtime.spawn(async move {
            // A lost connection fails the commits, and with them the measurement.
            let _ = connection.await;
        });
        let table =
            "create table if not exists yardstick(id uuid primary key, body bytea not null)";
        client.batch_execute(table).await?;
        let (members_tx, members_rx) = mpsc::channel(4_096);
        runtime.spawn(commit_groups(client, members_rx));
        Ok(Self(members_tx))
    }

    pub(crate) async fn commit(&self, body: Vec<u8>) -> anyhow::Result<()> {
        let (done_tx, done_rx) = oneshot::channel();
        self.0.send((body, done_tx)).await.ok().context("the writer has ended")?;
        done_rx.await.context("the commit failed")
    }
}

async fn commit_groups(
    client: Client,
    mut members_rx: mpsc::Receiver<Member>,
) -> anyhow::Result<()> {
    let insert = client
        .prepare("insert into yardstick select * from unnest($1::uuid[], $2::bytea[])")
        .await?;
    let mut group = Vec::new();
    while members_rx.recv_many(&mut group, GROUP_MAX).await > 0 {
        let (bodies, waiting): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let ids: Vec<_> = bodies.iter().map(|_| Uuid::now_v7()).collect();
        client.execute(&insert, &[&ids, &bodies]).await?;
        for done in waiting {
            // Whoever waited has gone: its measurement has ended.
            let _ = done.send(());
        }
    }
    Ok(())
}

/// The same on SQLite: one thread, one transaction a group.
#[derive(Clone)]
pub(crate) struct SqliteGroup(mpsc::Sender<(Bytes, oneshot::Sender<()>)>);

impl SqliteGroup {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = rusqlite::Connection::open(path)?;
        connection.execute_batch(
            "pragma journal_mode=wal; pragma synchronous=full;
             create table if not exists yardstick(id blob primary key, body blob not null) without rowid;",
        )?;
        let (members_tx, members_rx) = mpsc::channel(4_096);
        std::thread::Builder::new()
            .name("yardstick-writer".to_owned())
            .spawn(move || write_groups(connection, members_rx))?;
        Ok(Self(members_tx))
    }

    pub(crate) async fn commit(&self, body: Bytes) -> anyhow::Result<()> {
        let (done_tx, done_rx) = oneshot::channel();
        self.0.send((body, done_tx)).await.ok().context("the writer has ended")?;
        done_rx.await.context("the commit failed")
    }
}

fn write_groups(
    mut connection: rusqlite::Connection,
    mut members_rx: mpsc::Receiver<(Bytes, oneshot::Sender<()>)>,
) -> anyhow::Result<()> {
    let mut group = Vec::new();
    while members_rx.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached("insert into yardstick values (?1, ?2)")?;
        for (body, _) in &group {
            insert.execute((Uuid::now_v7().as_bytes().as_slice(), body.as_ref()))?;
        }
        drop(insert);
        transaction.commit()?;
        for (_, done) in group.drain(..) {
            // Whoever waited has gone: its measurement has ended.
            let _ = done.send(());
        }
    }
    Ok(())
}

/// Reads PostgreSQL's durability settings and refuses to measure without them.
pub(crate) async fn check_postgres(url: &str) -> anyhow::Result<Vec<(String, String)>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let task = tokio::runtime::Handle::current().spawn(async move {
        // Ends with the client.
        let _ = connection.await;
    });
    let mut settings = Vec::new();
    for name in ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"] {
        let row = client.query_one("select current_setting($1)", &[&name]).await?;
        settings.push((name.to_owned(), row.get::<_, String>(0)));
    }
    drop(client);
    task.abort();
    for (name, value) in &settings[..3] {
        ensure!(value == "on", "{name} is {value}: durability must be on in a measured run");
    }
    Ok(settings)
}

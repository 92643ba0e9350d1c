//! PostgreSQL as the suite sees it: a database of the test's own on a private server.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::domain::delivery::ParkReason;
use shared::domain::ids::ConversationId;
use shared::entropy::Entropy;
use shared::store::postgres::{Postgres as Store, PostgresConfig};
use shared::vault::Vault;
use testkit::postgres::Server;
use tokio_postgres::{Client, NoTls};

use super::harness::{Harness, Unreliable};

pub(super) struct Postgres {
    server: &'static Server,
    url: String,
    store: Store,
}

impl Postgres {
    async fn on(server: &'static Server) -> Self {
        let url = server.create_database().await.unwrap();
        let store = open(&url);
        Self { server, url, store }
    }

    /// A connection beside the engine's own, to look and to move time. It ends with its client.
    pub(super) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        shared::lifecycle::Lifecycle::new().spawn(connection);
        client
    }

    /// Every table that can be read, with its columns and their types.
    async fn tables(&self, client: &Client) -> BTreeMap<String, Vec<(String, String)>> {
        let sql = "select c.table_name, c.column_name, c.data_type
                   from information_schema.columns c
                   join pg_class t on t.relname = c.table_name
                   join pg_namespace n on n.oid = t.relnamespace and n.nspname = c.table_schema
                   where c.table_schema = 'public' and t.relkind in ('r', 'p')
                     and not t.relispartition";
        let mut tables = BTreeMap::<String, Vec<_>>::new();
        for row in client.query(sql, &[]).await.unwrap() {
            tables.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
        }
        tables
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    async fn terminate(&self) {
        let name = self.name();
        let sql = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        self.server.execute("postgres", &sql).await.unwrap();
    }

    fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }
}

impl Harness for Postgres {
    type S = Store;

    async fn start() -> Self {
        Self::on(testkit::postgres::shared().await.unwrap()).await
    }

    fn store(&self) -> Store {
        self.store.clone()
    }

    async fn other(&self) -> Store {
        open(&self.url)
    }

    async fn keyed(&self, vault: Vault) -> Store {
        open_with(&self.url, vault)
    }

    async fn pass(&self, by: Duration) {
        let client = self.client().await;
        let mut sql = String::from("begin;");
        for (table, columns) in self.tables(&client).await {
            let moved: Vec<_> = columns
                .iter()
                .filter(|(_, kind)| kind == "timestamp with time zone")
                .map(|(name, _)| format!("{name} = {name} - interval '{} us'", by.as_micros()))
                .collect();
            if !moved.is_empty() {
                sql.extend(["update ", &table, " set ", &moved.join(", "), ";"]);
            }
        }
        // The one date is the day of a time.
        sql += "update conversation set used_day = (used_at at time zone 'utc')::date; commit";
        client.batch_execute(&sql).await.unwrap();
    }

    async fn write_spec(&self, bot: &str, spec: &str) {
        let client = self.client().await;
        client.execute("update bot set spec = $2 where id = $1", &[&bot, &spec]).await.unwrap();
    }

    async fn traces(&self, needle: &str) -> Vec<String> {
        let client = self.client().await;
        let mut found = Vec::new();
        for (table, columns) in self.tables(&client).await {
            for (column, kind) in columns {
                let bytes = if kind == "bytea" {
                    column.clone()
                } else {
                    format!("convert_to({column}::text, 'UTF8')")
                };
                let sql = format!("select 1 from {table} where position($1::bytea in {bytes}) > 0");
                if !client.query(&sql, &[&needle.as_bytes()]).await.unwrap().is_empty() {
                    found.push(format!("{table}.{column}"));
                }
            }
        }
        found
    }

    async fn rows(&self) -> BTreeMap<String, i64> {
        let client = self.client().await;
        let mut rows = BTreeMap::new();
        for table in self.tables(&client).await.into_keys() {
            let sql = format!("select count(*) from {table}");
            rows.insert(table, client.query_one(&sql, &[]).await.unwrap().get(0));
        }
        rows
    }

    async fn parked(&self, conversation: ConversationId) -> Vec<(i64, ParkReason)> {
        let sql = "select number, reason from delivery
                   where conversation_id = $1 and state = 2 order by number";
        let rows = self.client().await.query(sql, &[&conversation.uuid()]).await.unwrap();
        let reason = |code| ParkReason::from_code(code).unwrap();
        rows.iter().map(|row| (row.get(0), reason(row.get(1)))).collect()
    }
}

impl Unreliable for Postgres {
    async fn cut(&self) {
        self.terminate().await;
    }

    async fn away(&self, away: bool) {
        let allow = !away;
        let sql = format!("alter database {} with allow_connections {allow}", self.name());
        self.server.execute("postgres", &sql).await.unwrap();
        if away {
            self.terminate().await;
        }
    }
}

/// PostgreSQL on a server of the test's own, which it may kill and freeze.
pub(super) struct Alone(Postgres);

impl Alone {
    pub(super) fn url(&self) -> &str {
        &self.0.url
    }

    pub(super) async fn client(&self) -> Client {
        self.0.client().await
    }
}

impl Harness for Alone {
    type S = Store;

    async fn start() -> Self {
        // Kept to the end of this process, like the server that the other tests share.
        let server = Box::leak(Box::new(Server::start().await.unwrap()));
        Self(Postgres::on(server).await)
    }

    fn store(&self) -> Store {
        self.0.store()
    }

    async fn other(&self) -> Store {
        self.0.other().await
    }

    async fn keyed(&self, vault: Vault) -> Store {
        self.0.keyed(vault).await
    }

    async fn pass(&self, by: Duration) {
        self.0.pass(by).await;
    }

    async fn write_spec(&self, bot: &str, spec: &str) {
        self.0.write_spec(bot, spec).await;
    }

    async fn traces(&self, needle: &str) -> Vec<String> {
        self.0.traces(needle).await
    }

    async fn rows(&self) -> BTreeMap<String, i64> {
        self.0.rows().await
    }

    async fn parked(&self, conversation: ConversationId) -> Vec<(i64, ParkReason)> {
        self.0.parked(conversation).await
    }
}

impl Unreliable for Alone {
    async fn cut(&self) {
        self.0.server.restart().await.unwrap();
    }

    async fn away(&self, away: bool) {
        self.0.server.freeze(away).unwrap();
    }
}

/// A process's handle.
pub(super) fn open(url: &str) -> Store {
    open_with(url, Vault::new(&[7; 32], Entropy::Real))
}

fn open_with(url: &str, vault: Vault) -> Store {
    let config = PostgresConfig { url: url.into(), connections: 8 };
    Store::connect(&config, vault).unwrap()
}

//! The embedded engine as the suite sees it: a file in a folder of the test's own.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};
use shared::clock::Clock;
use shared::domain::delivery::ParkReason;
use shared::domain::ids::ConversationId;
use shared::entropy::Entropy;
use shared::sqlite::{Database, FILE};
use shared::store::sqlite::Sqlite as Store;
use shared::vault::Vault;
use tempfile::TempDir;

use super::harness::Harness;

pub(super) struct Sqlite {
    folder: TempDir,
    database: Database,
    store: Store,
}

impl Sqlite {
    /// A connection beside the engine's own, to look and to move time.
    pub(super) fn connection(&self) -> Connection {
        let connection = Connection::open(self.folder.path().join(FILE)).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    }
}

/// Every table, with its columns.
fn tables(connection: &Connection) -> BTreeMap<String, Vec<String>> {
    let sql = "select t.name, c.name from pragma_table_list t join pragma_table_info(t.name) c
               where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite%'";
    let mut tables = BTreeMap::<String, Vec<_>>::new();
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        tables.entry(row.get(0).unwrap()).or_default().push(row.get(1).unwrap());
    }
    tables
}

/// Whether a column holds a moment; 0 stands for none.
fn is_time(column: &str) -> bool {
    matches!(column, "at" | "due" | "claimed_until") || column.ends_with("_at")
}

impl Harness for Sqlite {
    type S = Store;

    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), Clock::Real).await.unwrap();
        let store = Store::new(&database, Vault::new(&[7; 32], Entropy::Real));
        Self { folder, database, store }
    }

    fn store(&self) -> Store {
        self.store.clone()
    }

    async fn other(&self) -> Store {
        self.store()
    }

    async fn keyed(&self, vault: Vault) -> Store {
        Store::new(&self.database, vault)
    }

    async fn pass(&self, by: Duration) {
        let mut connection = self.connection();
        let by = i64::try_from(by.as_millis()).unwrap();
        let tables = tables(&connection);
        let transaction = connection.transaction().unwrap();
        for (table, columns) in tables {
            for column in columns.iter().filter(|column| is_time(column)) {
                let sql =
                    format!("update {table} set {column} = {column} - ?1 where {column} <> 0");
                transaction.execute(&sql, [by]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }

    async fn write_spec(&self, bot: &str, spec: &str) {
        let sql = "update bot set spec = ?2 where id = ?1";
        assert_eq!(self.connection().execute(sql, params![bot, spec]).unwrap(), 1);
    }

    async fn traces(&self, needle: &str) -> Vec<String> {
        let connection = self.connection();
        let mut found = Vec::new();
        for (table, columns) in tables(&connection) {
            for column in columns {
                let sql = format!(
                    "select exists (select 1 from {table}
                                     where instr(cast({column} as blob), ?1) > 0)"
                );
                let row = params![needle.as_bytes()];
                if connection.query_row(&sql, row, |row| row.get(0)).unwrap() {
                    found.push(format!("{table}.{column}"));
                }
            }
        }
        found
    }

    async fn rows(&self) -> BTreeMap<String, i64> {
        let connection = self.connection();
        let count = |table: &String| {
            let sql = format!("select count(*) from {table}");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        tables(&connection).into_keys().map(|table| (table.clone(), count(&table))).collect()
    }

    async fn parked(&self, conversation: ConversationId) -> Vec<(i64, ParkReason)> {
        let connection = self.connection();
        let sql = "select number, reason from delivery
                   where conversation = ?1 and state = 2 order by number";
        let mut statement = connection.prepare(sql).unwrap();
        let id = conversation.uuid();
        let rows = statement.query_map(params![id.as_bytes()], |row| {
            Ok((row.get(0)?, ParkReason::from_code(row.get(1)?).unwrap()))
        });
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }
}

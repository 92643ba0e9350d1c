//! Seals secrets with the vault's current key.

use rusqlite::{Connection, params};

use super::Sqlite;
use super::registry::{Decided, spot, unreadable};
use crate::registry::RegistryError;
use crate::registry::control::{Resealed, Sealed, sealed};
use crate::vault::Vault;

/// Secrets that are looked at in one write: others wait for it.
const PAGE: u32 = 500;

/// What a page came to, and the row that it ended with, where there may be more.
type Page = (Resealed, Option<String>);

impl Sqlite {
    pub(super) async fn reseal_all(&self) -> Result<Resealed, RegistryError> {
        let mut all = Resealed::default();
        for (at, _) in sealed(BOTS).iter().enumerate() {
            let mut after = Some(String::new());
            while let Some(last) = after {
                let vault = self.vault.clone();
                let work = move |c: &Connection| page(c, &vault, &sealed(BOTS)[at], &last);
                let (done, next) = self.write(work).await?.map_err(RegistryError::Invalid)?;
                all.secrets += done.secrets;
                all.resealed += done.resealed;
                after = next;
            }
        }
        Ok(all)
    }
}

/// The column of bots' secrets.
const BOTS: &str = "authorization";

fn page(
    connection: &Connection,
    vault: &Vault,
    place: &Sealed,
    after: &str,
) -> rusqlite::Result<Decided<Page>> {
    let Sealed { table, row, column } = place;
    let read = format!(
        "select {row}, {column} from {table} where {column} is not null and ({row}) > ?1
         order by 1 limit ?2"
    );
    let write = format!("update {table} set {column} = ?2 where ({row}) = ?1");
    let rows = connection
        .prepare_cached(&read)?
        .query_map(params![after, PAGE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, Vec<u8>)>>>()?;
    let mut done = Resealed { secrets: rows.len() as u64, resealed: 0 };
    let mut write = connection.prepare_cached(&write)?;
    for (id, was) in &rows {
        match vault.reseal(spot(table, id, column), was) {
            Ok(None) => {}
            Ok(Some(again)) => done.resealed += write.execute(params![id, again])? as u64,
            Err(why) => return Ok(Err(unreadable(table, id, &why.to_string()))),
        }
    }
    let last = rows.into_iter().nth(PAGE as usize - 1).map(|(id, _)| id);
    Ok(Ok((done, last)))
}

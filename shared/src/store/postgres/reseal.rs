//! Seals secrets with the vault's current key.

use super::pool::DEADLINE;
use super::registry::{spot, unreadable};
use super::{Postgres, within};
use crate::registry::RegistryError;
use crate::registry::control::{Resealed, Sealed, sealed};
use crate::store::StoreError;

/// Secrets that are looked at in one statement.
const PAGE: i64 = 500;

impl Postgres {
    pub(super) async fn reseal_all(&self) -> Result<Resealed, RegistryError> {
        let mut all = Resealed::default();
        for place in sealed("http_authorization") {
            let mut after = String::new();
            while let Some(last) = self.reseal_page(&place, &after, &mut all).await? {
                after = last;
            }
        }
        Ok(all)
    }

    /// The row that the page ended with, where there may be more.
    async fn reseal_page(
        &self,
        place: &Sealed,
        after: &str,
        all: &mut Resealed,
    ) -> Result<Option<String>, RegistryError> {
        let Sealed { table, row, column } = place;
        let read = format!(
            "select {row}, {column} from {table} where {column} is not null and ({row}) > $1
             order by 1 limit $2"
        );
        // A row that was changed meanwhile has what was sealed by whoever changed it.
        let write = format!(
            "update {table} set {column} = page.fresh
               from unnest($1::text[], $2::bytea[], $3::bytea[]) as page (place, was, fresh)
              where ({row}) = page.place and {column} = page.was"
        );
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let rows = held.query(&read, &[&after, &PAGE]).await.map_err(StoreError::from)?;
            let (mut places, mut were, mut new) = (Vec::new(), Vec::new(), Vec::new());
            for found in &rows {
                let (id, was): (String, Vec<u8>) = (found.try_get(0)?, found.try_get(1)?);
                let again = self.0.vault.reseal(spot(table, &id, column), &was);
                if let Some(again) =
                    again.map_err(|why| unreadable(table, &id, &why.to_string()))?
                {
                    places.push(id);
                    were.push(was);
                    new.push(again);
                }
            }
            let written = if places.is_empty() {
                Ok(0)
            } else {
                held.execute(&write, &[&places, &were, &new]).await.map_err(StoreError::from)
            };
            all.resealed += held.settle(written)?;
            all.secrets += rows.len() as u64;
            let more = usize::try_from(PAGE).is_ok_and(|page| rows.len() == page);
            Ok(if more { rows.last().map(|row| row.try_get(0)).transpose()? } else { None })
        })
        .await
    }
}

//! Scripts that bots had before: dialogs that began with them go on with them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Sqlite;
use super::rows::millis;
use crate::domain::ids::BotId;
use crate::registry::spec::BotSpec;
use crate::registry::{Bot, ScriptLogic};
use crate::store::StoreError;

const SPEC: &str = "select spec from bot where id = ?1";
const KEEP: &str = "
insert into script_version (bot_id, version, source, replaced_at) values (?1, ?2, ?3, ?4)
    on conflict (bot_id, version) do update set replaced_at = excluded.replaced_at";
const TRIM: &str = "
delete from script_version where bot_id = ?1 and version in (
  select version from script_version where bot_id = ?1
   order by replaced_at desc, version limit -1 offset ?2)";
const FORGET: &str = "delete from script_version where bot_id = ?1";
const FIND: &str =
    "select source from script_version where bot_id = ?1 and version = ?2 and replaced_at > ?3";

/// Keeps the script that `bot` is about to replace.
pub(super) fn keep(to: &Connection, bot: &Bot, now: i64) -> rusqlite::Result<()> {
    let id = bot.id.as_str();
    let old: Option<String> =
        to.prepare_cached(SPEC)?.query_row([id], |row| row.get(0)).optional()?;
    // What a later release has written has no script that this one knows.
    let old = old.and_then(|old| serde_json::from_str::<BotSpec>(&old).ok());
    let new = BotSpec::of(bot);
    let source = old.as_ref().and_then(BotSpec::source);
    if let Some(source) = source.filter(|source| new.source() != Some(source)) {
        let row = params![id, ScriptLogic::version(source), source, now];
        to.prepare_cached(KEEP)?.execute(row)?;
        to.prepare_cached(TRIM)?.execute(params![id, ScriptLogic::KEPT_MAX])?;
    }
    Ok(())
}

/// Of a bot that is removed.
pub(super) fn forget(to: &Connection, bot: &BotId) -> rusqlite::Result<()> {
    to.prepare_cached(FORGET)?.execute([bot.as_str()]).map(drop)
}

pub(super) async fn find(
    store: &Sqlite,
    bot: &BotId,
    version: &str,
) -> Result<Option<String>, StoreError> {
    let (bot, version) = (bot.to_string(), version.to_owned());
    let oldest = store.now().saturating_sub(millis(ScriptLogic::KEPT));
    store
        .read(move |c| {
            let row = params![bot, version, oldest];
            c.prepare_cached(FIND)?.query_row(row, |row| row.get(0)).optional()
        })
        .await
}

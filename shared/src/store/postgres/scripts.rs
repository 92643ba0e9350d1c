//! Scripts that bots had before: dialogs that began with them go on with them.

use tokio_postgres::Transaction;

use super::rows::as_micros;
use super::{Postgres, pool::DEADLINE, within};
use crate::domain::ids::BotId;
use crate::registry::spec::BotSpec;
use crate::registry::{Bot, RegistryError, ScriptLogic};
use crate::store::StoreError;

const SPEC: &str = "select spec from bot where id = $1";
const KEEP: &str = "
insert into script_version (bot_id, version, source, replaced_at)
values ($1, $2, $3, clock_timestamp())
    on conflict (bot_id, version) do update set replaced_at = excluded.replaced_at";
const TRIM: &str = "
delete from script_version where bot_id = $1 and version in (
  select version from script_version where bot_id = $1
   order by replaced_at desc, version offset $2)";
const FORGET: &str = "delete from script_version where bot_id = $1";
const FIND: &str = "
select source from script_version
 where bot_id = $1 and version = $2
   and replaced_at > clock_timestamp() - $3::int8 * interval '1 microsecond'";

/// Keeps the script that `bot` is about to replace.
pub(super) async fn keep(to: &Transaction<'_>, bot: &Bot) -> Result<(), RegistryError> {
    let id = bot.id.as_str();
    let Some(row) = to.query_opt(SPEC, &[&id]).await? else { return Ok(()) };
    // What a later release has written has no script that this one knows.
    let old = serde_json::from_str::<BotSpec>(row.try_get(0)?).ok();
    let new = BotSpec::of(bot);
    let source = old.as_ref().and_then(BotSpec::source);
    if let Some(source) = source.filter(|source| new.source() != Some(source)) {
        to.execute(KEEP, &[&id, &ScriptLogic::version(source), &source]).await?;
        to.execute(TRIM, &[&id, &i64::from(ScriptLogic::KEPT_MAX)]).await?;
    }
    Ok(())
}

/// Of a bot that is removed.
pub(super) async fn forget(to: &Transaction<'_>, bot: &BotId) -> Result<(), RegistryError> {
    to.execute(FORGET, &[&bot.as_str()]).await?;
    Ok(())
}

pub(super) async fn find(
    store: &Postgres,
    bot: &BotId,
    version: &str,
) -> Result<Option<String>, StoreError> {
    within(DEADLINE, async {
        let held = store.0.pools.calm.get().await?;
        let kept = as_micros(ScriptLogic::KEPT);
        let found = held.query_opt(FIND, &[&bot.as_str(), &version, &kept]).await;
        let found = found.and_then(|row| row.map(|row| row.try_get(0)).transpose());
        held.settle(found.map_err(StoreError::from))
    })
    .await
}

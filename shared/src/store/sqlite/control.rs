//! The control plane's rows, see [`ControlStore`].

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::registry::{Decided, add_channel, maybe, put_app, read, spot, to_text, unwritable};
use super::rows::millis;
use super::{Sqlite, scripts};
use crate::domain::ids::ChannelId;
use crate::registry::control::{
    Audit, Audited, Change, ChangeError, Control, ControlStore, Kind, Record, Resealed, Write,
};
use crate::registry::spec::{BotSpec, ChannelSpec};
use crate::registry::{Bot, Channel, RegistryError};
use crate::vault::Vault;

const MOVE: &str = "update registry_revision set revision = revision + 1 where revision = ?1";
const PUT_APP: &str = "
insert into app (id, name, algorithm, secret, previous, previous_until, rules, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (id) do update set name = excluded.name, algorithm = excluded.algorithm,
  secret = excluded.secret, previous = excluded.previous,
  previous_until = excluded.previous_until, rules = excluded.rules";
const PUT_BOT: &str = "
insert into bot (id, name, spec, authorization, created_at) values (?1, ?2, ?3, ?4, ?5)
on conflict (id) do update set name = excluded.name, spec = excluded.spec,
  authorization = excluded.authorization";
const SET_CHANNEL: &str = "
update channel set client_id = ?2, name = ?3, state = ?4, spec = ?5, token = ?6,
  signing_secret = ?7, disabled = disabled and not ?8 where id = ?1";
const PUT_RECORD: &str = "
insert into record (kind, id, body, sealed, expires_at) values (?1, ?2, ?3, ?4, ?5)
on conflict (kind, id) do update set body = excluded.body, sealed = excluded.sealed,
  expires_at = excluded.expires_at";
pub(super) const LOG: &str = "insert into audit (id, at, actor, action, subject, detail)
                   values (?1, ?2, ?3, ?4, ?5, ?6)";
const RECORDS: &str = "select kind, id, body, sealed from record";
const RECORD: &str = "select kind, id, body, sealed from record
  where kind = ?1 and id = ?2 and (expires_at is null or expires_at > ?3)";
const PAGE: &str = "select kind, id, body, null from record
  where kind = ?1 and (?2 is null or id < ?2) order by id desc limit ?3";
const AUDIT: &str = "select id, actor, action, subject, detail, at from audit
  where (?1 is null or subject = ?1) and (?2 is null or id < ?2) order by id desc limit ?3";

impl ControlStore for Sqlite {
    async fn control(&self) -> Result<Control, RegistryError> {
        let vault = self.vault.clone();
        self.read(move |c| everything(c, &vault)).await?.map_err(RegistryError::Invalid)
    }

    async fn revision(&self) -> Result<i64, RegistryError> {
        let sql = "select revision from registry_revision";
        Ok(self.read(|c| c.prepare_cached(sql)?.query_row([], |row| row.get(0))).await?)
    }

    async fn marked(&self) -> Result<Vec<ChannelId>, RegistryError> {
        let sql = "select id from channel where disabled order by id";
        let find = |c: &Connection| {
            let mut found = c.prepare_cached(sql)?;
            let ids = found.query_map([], |row| Ok(ChannelId::from(row.get::<_, String>(0)?)))?;
            ids.collect()
        };
        Ok(self.read(find).await?)
    }

    async fn change(&self, base: i64, change: Change) -> Result<i64, ChangeError> {
        let (vault, now) = (self.vault.clone(), self.now());
        let written = self.write(move |c| write(c, &vault, now, base, &change)).await?;
        if written { Ok(base + 1) } else { Err(ChangeError::Moved) }
    }

    async fn ordinals(
        &self,
        channels: &[ChannelId],
    ) -> Result<Vec<(ChannelId, u32)>, RegistryError> {
        let ids = channels.to_vec();
        let find = move |c: &Connection| {
            let mut find = c.prepare_cached("select ordinal from channel where id = ?1")?;
            let mut all = Vec::new();
            for id in ids {
                let ordinal = find.query_row([id.as_str()], |row| row.get(0)).optional()?;
                all.extend(ordinal.map(|ordinal| (id, ordinal)));
            }
            Ok(all)
        };
        Ok(self.read(find).await?)
    }

    async fn record(&self, kind: Kind, id: &str) -> Result<Option<Record>, RegistryError> {
        let (vault, id, now) = (self.vault.clone(), id.to_owned(), self.now());
        let find = move |c: &Connection| {
            let mut found = c.prepare_cached(RECORD)?;
            let row = params![kind.as_str(), id, now];
            found.query_row(row, |row| record(row, &vault)).optional()
        };
        self.read(find).await?.transpose().map_err(RegistryError::Invalid)
    }

    async fn records(
        &self,
        kind: Kind,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Record>, RegistryError> {
        let (vault, before) = (self.vault.clone(), before.map(str::to_owned));
        let find = move |c: &Connection| {
            let mut page = c.prepare_cached(PAGE)?;
            let rows = page
                .query_map(params![kind.as_str(), before, limit], |row| record(row, &vault))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows.into_iter().collect::<Decided<Vec<_>>>())
        };
        self.read(find).await?.map_err(RegistryError::Invalid)
    }

    async fn reseal(&self) -> Result<Resealed, RegistryError> {
        self.reseal_all().await
    }

    async fn audit(
        &self,
        subject: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Audited>, RegistryError> {
        let (subject, before) = (subject.map(str::to_owned), before.map(str::to_owned));
        let find = move |c: &Connection| {
            let mut page = c.prepare_cached(AUDIT)?;
            page.query_map(params![subject, before, limit], audited)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(self.read(find).await?)
    }
}

fn everything(connection: &Connection, vault: &Vault) -> rusqlite::Result<Decided<Control>> {
    let registry = read(connection, vault)?;
    let history = Kind::ALL
        .iter()
        .filter(|kind| kind.is_history())
        .map(|kind| format!("'{}'", kind.as_str()));
    let sql = format!("{RECORDS} where kind not in ({})", history.collect::<Vec<_>>().join(", "));
    let mut statement = connection.prepare_cached(&sql)?;
    let records =
        statement.query_map([], |row| record(row, vault))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let records = records.into_iter().collect::<Decided<Vec<_>>>();
    Ok(registry.and_then(|registry| {
        Ok(Control { revision: registry.revision, registry, records: records? })
    }))
}

/// Whether the counter still showed `base`. An error undoes all of it.
fn write(
    connection: &Connection,
    vault: &Vault,
    now: i64,
    base: i64,
    change: &Change,
) -> rusqlite::Result<bool> {
    if connection.execute(MOVE, [base])? == 0 {
        return Ok(false);
    }
    for write in &change.writes {
        one(connection, vault, now, write)?;
    }
    let mut log = connection.prepare_cached(LOG)?;
    for Audit { id, actor, action, subject, detail } in &change.audit {
        log.execute(params![id, now, actor, action, subject, detail])?;
    }
    Ok(true)
}

fn one(to: &Connection, vault: &Vault, now: i64, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::App(app) => put_app(to, vault, app, PUT_APP, now).map(drop),
        Write::Bot(bot) => put_bot(to, vault, bot, now),
        Write::AddChannel(channel) => {
            let spec = to_text(&ChannelSpec::of(channel)).map_err(unwritable)?;
            add_channel(to, vault, channel, &spec, now)?.map(drop).map_err(unwritable)
        }
        Write::Channel { channel, enable } => set_channel(to, vault, channel, *enable),
        Write::RemoveApp(id) => remove(to, "delete from app where id = ?1", id.as_str()),
        Write::RemoveBot(id) => {
            remove(to, "delete from bot where id = ?1", id.as_str())?;
            scripts::forget(to, id)
        }
        Write::RemoveChannel(id) => remove(to, "delete from channel where id = ?1", id.as_str()),
        Write::Record { record, expires } => {
            let place = format!("{}/{}", record.kind.as_str(), record.id);
            let sealed = record.sealed.as_ref();
            let sealed = sealed.map(|text| vault.seal(spot("record", &place, "sealed"), text));
            let expires = expires.map(|after| now.saturating_add(millis(after)));
            let row = params![record.kind.as_str(), record.id, record.body, sealed, expires];
            to.prepare_cached(PUT_RECORD)?.execute(row).map(drop)
        }
        Write::RemoveRecord(kind, id) => {
            let sql = "delete from record where kind = ?1 and id = ?2";
            to.prepare_cached(sql)?.execute([kind.as_str(), id]).map(drop)
        }
    }
}

fn put_bot(to: &Connection, vault: &Vault, bot: &Bot, now: i64) -> rusqlite::Result<()> {
    scripts::keep(to, bot, now)?;
    let id = bot.id.as_str();
    let spec = to_text(&BotSpec::of(bot)).map_err(unwritable)?;
    let authorization =
        BotSpec::secret(bot).map(|secret| vault.seal(spot("bot", id, "authorization"), secret));
    to.prepare_cached(PUT_BOT)?.execute(params![id, bot.name, spec, authorization, now]).map(drop)
}

fn set_channel(
    to: &Connection,
    vault: &Vault,
    channel: &Channel,
    enable: bool,
) -> rusqlite::Result<()> {
    let (id, client, state) =
        (channel.id.as_str(), channel.client.as_str(), channel.state.as_str());
    let spec = to_text(&ChannelSpec::of(channel)).map_err(unwritable)?;
    let endpoint = channel.endpoint.as_ref();
    let seal = |column, secret| vault.seal(spot("channel", id, column), secret);
    let token = endpoint.and_then(|e| e.token.as_ref()).map(|token| seal("token", token));
    let signing = endpoint.map(|endpoint| seal("signing_secret", &endpoint.signing_secret));
    let row = params![id, client, channel.name, state, spec, token, signing, enable];
    to.prepare_cached(SET_CHANNEL)?.execute(row).map(drop)
}

fn remove(to: &Connection, sql: &str, id: &str) -> rusqlite::Result<()> {
    to.prepare_cached(sql)?.execute([id]).map(drop)
}

fn record(row: &Row<'_>, vault: &Vault) -> rusqlite::Result<Decided<Record>> {
    let (kind, id, body): (String, String, _) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let place = format!("{kind}/{id}");
    let sealed = maybe(vault, spot("record", &place, "sealed"), row, 3)?;
    let kind = Kind::parse(&kind).ok_or_else(|| format!("unknown kind of record {kind:?}"));
    Ok(sealed.and_then(|sealed| Ok(Record { kind: kind?, id, body, sealed })))
}

fn audited(row: &Row<'_>) -> rusqlite::Result<Audited> {
    let entry = Audit {
        id: row.get(0)?,
        actor: row.get(1)?,
        action: row.get(2)?,
        subject: row.get(3)?,
        detail: row.get(4)?,
    };
    Ok(Audited { entry, at_ms: row.get::<_, i64>(5)?.unsigned_abs() })
}

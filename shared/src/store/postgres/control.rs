//! The control plane's rows, see [`ControlStore`].

use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::pool::{DEADLINE, Held};
use super::registry::{SealedApp, add_channel_in, maybe, read_in, settle, spot, to_text};
use super::rows::as_micros;
use super::{Postgres, scripts, within};
use crate::domain::ids::ChannelId;
use crate::registry::control::{
    Audit, Audited, Change, ChangeError, Control, ControlStore, Kind, Record, Resealed, Write,
};
use crate::registry::spec::{BotSpec, ChannelSpec};
use crate::registry::{App, Bot, Channel, RegistryError};
use crate::store::StoreError;
use crate::vault::Vault;

/// The counter's row is the queue of all who change something.
const MOVE: &str = "update registry_revision set revision = revision + 1 where revision = $1";
const PUT_APP: &str = "
insert into app (id, name, algorithm, secret, previous, previous_until, rules)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do update set name = excluded.name, algorithm = excluded.algorithm,
  secret = excluded.secret, previous = excluded.previous,
  previous_until = excluded.previous_until, rules = excluded.rules";
const PUT_BOT: &str = "
insert into bot (id, name, spec, http_authorization) values ($1, $2, $3, $4)
on conflict (id) do update set name = excluded.name, spec = excluded.spec,
  http_authorization = excluded.http_authorization";
const SET_CHANNEL: &str = "
update channel set client_id = $2, name = $3, state = $4, spec = $5, token = $6,
  signing_secret = $7, disabled = disabled and not $8 where id = $1";
const PUT_RECORD: &str = "
insert into record (kind, id, body, sealed, expires_at)
values ($1, $2, $3, $4, clock_timestamp() + $5::int8 * interval '1 microsecond')
on conflict (kind, id) do update set body = excluded.body, sealed = excluded.sealed,
  expires_at = excluded.expires_at";
pub(super) const LOG: &str = "insert into audit (id, actor, action, subject, detail)
                   values ($1, $2, $3, $4, $5)";
const RECORDS: &str = "select kind, id, body, sealed from record where kind <> all ($1)";
const RECORD: &str = "select kind, id, body, sealed from record
  where kind = $1 and id = $2 and (expires_at is null or expires_at > clock_timestamp())";
const PAGE: &str = "select kind, id, body, null::bytea from record
  where kind = $1 and ($2::text is null or id < $2) order by id desc limit $3";
const AUDIT: &str = "
select id, actor, action, subject, detail, (extract(epoch from at) * 1000)::int8 from audit
where ($1::text is null or subject = $1) and ($2::text is null or id < $2)
order by id desc limit $3";

impl ControlStore for Postgres {
    async fn control(&self) -> Result<Control, RegistryError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = read(&mut held, &self.0.vault).await;
            settle(held, result)
        })
        .await
    }

    async fn revision(&self) -> Result<i64, RegistryError> {
        let rows = self.rows("select revision from registry_revision", &[]).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
    }

    async fn marked(&self) -> Result<Vec<ChannelId>, RegistryError> {
        let rows = self.rows("select id from channel where disabled order by id", &[]).await?;
        let id = |row: &Row| Ok(ChannelId::from(row.try_get::<_, String>(0)?));
        rows.iter().map(id).collect()
    }

    async fn change(&self, base: i64, change: Change) -> Result<i64, ChangeError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = write(&mut held, &self.0.vault, base, &change).await;
            let away = matches!(
                result,
                Err(ChangeError::Registry(RegistryError::Store(StoreError::Away(_))))
            );
            if !away {
                held.release();
            }
            result
        })
        .await
    }

    async fn ordinals(
        &self,
        channels: &[ChannelId],
    ) -> Result<Vec<(ChannelId, u32)>, RegistryError> {
        let ids: Vec<&str> = channels.iter().map(ChannelId::as_str).collect();
        let sql = "select id, ordinal from channel where id = any($1)";
        let rows = self.rows(sql, &[&ids]).await?;
        let given = |row: &Row| {
            let ordinal = u32::try_from(row.try_get::<_, i32>(1)?).unwrap_or(0);
            Ok((row.try_get::<_, &str>(0)?.into(), ordinal))
        };
        rows.iter().map(given).collect()
    }

    async fn record(&self, kind: Kind, id: &str) -> Result<Option<Record>, RegistryError> {
        let rows = self.rows(RECORD, &[&kind.as_str(), &id]).await?;
        rows.first().map(|row| record(row, &self.0.vault)).transpose()
    }

    async fn records(
        &self,
        kind: Kind,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Record>, RegistryError> {
        let rows = self.rows(PAGE, &[&kind.as_str(), &before, &i64::from(limit)]).await?;
        rows.iter().map(|row| record(row, &self.0.vault)).collect()
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
        let rows = self.rows(AUDIT, &[&subject, &before, &i64::from(limit)]).await?;
        rows.iter().map(audited).collect()
    }
}

impl Postgres {
    async fn rows(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, RegistryError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = held.query(sql, values).await.map_err(StoreError::from);
            Ok(held.settle(result)?)
        })
        .await
    }
}

async fn read(client: &mut Held, vault: &Vault) -> Result<Control, RegistryError> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let registry = read_in(&transaction, vault).await?;
    let history: Vec<&str> =
        Kind::ALL.into_iter().filter(|kind| kind.is_history()).map(Kind::as_str).collect();
    let rows = transaction.query(RECORDS, &[&history]).await?;
    transaction.commit().await?;
    let records = rows.iter().map(|row| record(row, vault)).collect::<Result<_, _>>()?;
    Ok(Control { revision: registry.revision, registry, records })
}

async fn write(
    client: &mut Held,
    vault: &Vault,
    base: i64,
    change: &Change,
) -> Result<i64, ChangeError> {
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    let moved = transaction.execute(MOVE, &[&base]).await.map_err(StoreError::from)?;
    if moved == 0 {
        return Err(ChangeError::Moved);
    }
    for write in &change.writes {
        one(&transaction, vault, write).await?;
    }
    for Audit { id, actor, action, subject, detail } in &change.audit {
        transaction
            .execute(LOG, &[id, actor, action, subject, detail])
            .await
            .map_err(StoreError::from)?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(base + 1)
}

async fn one(to: &Transaction<'_>, vault: &Vault, write: &Write) -> Result<(), RegistryError> {
    match write {
        Write::App(app) => put_app(to, vault, app).await?,
        Write::Bot(bot) => put_bot(to, vault, bot).await?,
        Write::AddChannel(channel) => {
            add_channel_in(to, vault, channel).await?;
        }
        Write::Channel { channel, enable } => set_channel(to, vault, channel, *enable).await?,
        Write::RemoveApp(id) => remove(to, "delete from app where id = $1", id.as_str()).await?,
        Write::RemoveBot(id) => {
            remove(to, "delete from bot where id = $1", id.as_str()).await?;
            scripts::forget(to, id).await?;
        }
        Write::RemoveChannel(id) => {
            remove(to, "delete from channel where id = $1", id.as_str()).await?;
        }
        Write::Record { record, expires } => {
            let place = format!("{}/{}", record.kind.as_str(), record.id);
            let sealed = record.sealed.as_ref();
            let sealed = sealed.map(|text| vault.seal(spot("record", &place, "sealed"), text));
            let expires = expires.map(as_micros);
            let row: [&(dyn ToSql + Sync); 5] =
                [&record.kind.as_str(), &record.id, &record.body, &sealed, &expires];
            to.execute(PUT_RECORD, &row).await?;
        }
        Write::RemoveRecord(kind, id) => {
            let sql = "delete from record where kind = $1 and id = $2";
            to.execute(sql, &[&kind.as_str(), id]).await?;
        }
    }
    Ok(())
}

async fn put_app(to: &Transaction<'_>, vault: &Vault, app: &App) -> Result<(), RegistryError> {
    let (id, algorithm) = (app.client_id.as_str(), app.algorithm.as_str());
    let sealed = SealedApp::of(app, vault)?;
    to.execute(PUT_APP, &sealed.row(app, &id, &algorithm)).await?;
    Ok(())
}

async fn put_bot(to: &Transaction<'_>, vault: &Vault, bot: &Bot) -> Result<(), RegistryError> {
    scripts::keep(to, bot).await?;
    let (id, spec) = (bot.id.as_str(), to_text(&BotSpec::of(bot))?);
    let authorization = BotSpec::secret(bot)
        .map(|secret| vault.seal(spot("bot", id, "http_authorization"), secret));
    to.execute(PUT_BOT, &[&id, &bot.name, &spec, &authorization]).await?;
    Ok(())
}

async fn set_channel(
    to: &Transaction<'_>,
    vault: &Vault,
    channel: &Channel,
    enable: bool,
) -> Result<(), RegistryError> {
    let (id, client, state) =
        (channel.id.as_str(), channel.client.as_str(), channel.state.as_str());
    let spec = to_text(&ChannelSpec::of(channel))?;
    let endpoint = channel.endpoint.as_ref();
    let seal = |column, secret| vault.seal(spot("channel", id, column), secret);
    let token = endpoint.and_then(|e| e.token.as_ref()).map(|token| seal("token", token));
    let signing = endpoint.map(|endpoint| seal("signing_secret", &endpoint.signing_secret));
    let row: [&(dyn ToSql + Sync); 8] =
        [&id, &client, &channel.name, &state, &spec, &token, &signing, &enable];
    to.execute(SET_CHANNEL, &row).await?;
    Ok(())
}

async fn remove(to: &Transaction<'_>, sql: &str, id: &str) -> Result<(), RegistryError> {
    to.execute(sql, &[&id]).await?;
    Ok(())
}

fn record(row: &Row, vault: &Vault) -> Result<Record, RegistryError> {
    let (kind, id): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    let place = format!("{kind}/{id}");
    let sealed = maybe(vault, spot("record", &place, "sealed"), row.try_get(3)?)?;
    let kind = Kind::parse(kind)
        .ok_or_else(|| RegistryError::Invalid(format!("unknown kind of record {kind:?}")))?;
    Ok(Record { kind, id: id.to_owned(), body: row.try_get(2)?, sealed })
}

fn audited(row: &Row) -> Result<Audited, RegistryError> {
    let entry = Audit {
        id: row.try_get(0)?,
        actor: row.try_get(1)?,
        action: row.try_get(2)?,
        subject: row.try_get(3)?,
        detail: row.try_get(4)?,
    };
    Ok(Audited { entry, at_ms: row.try_get::<_, i64>(5)?.unsigned_abs() })
}

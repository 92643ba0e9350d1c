//! The registry's rows, see [`RegistryStore`]. Secrets are sealed at the place where they stand.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use secrecy::SecretString;

use super::{Sqlite, scripts};
use crate::domain::channel::{ChannelAction, ChannelState};
use crate::domain::ids::{BotId, ChannelId};
use crate::registry::spec::{BotSpec, Bots, ChannelSpec, EndpointState, RulesSpec};
use crate::registry::{
    Algorithm, App, Bot, Channel, PreviousSecret, Registry, RegistryError, RegistryStore,
};
use crate::store::StoreError;
use crate::vault::{Spot, Vault};

const APPS: &str = "select id, name, algorithm, secret, previous, previous_until, rules from app";
const BOTS: &str = "select id, name, spec, authorization from bot";
const CHANNELS: &str = "select id, name, spec, bot_id, client_id, ordinal, state, disabled, token,
                               signing_secret from channel";
/// Whatever changes the registry moves its counter.
const MOVE: &str = "update registry_revision set revision = revision + 1";
const ADD_APP: &str =
    "insert into app (id, name, algorithm, secret, previous, previous_until, rules,
                                        created_at)
                       values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict do nothing";
const ADD_BOT: &str = "insert into bot (id, name, spec, authorization, created_at)
                       values (?1, ?2, ?3, ?4, ?5) on conflict do nothing";
const NEXT_ORDINAL: &str = "update bot set last_ordinal = last_ordinal + 1 where id = ?1
                            returning last_ordinal";
const ADD_CHANNEL: &str = "
insert into channel (id, bot_id, client_id, name, ordinal, state, disabled, spec, token,
                     signing_secret, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// What a decision under the writer came to: an answer, or a refusal in words for an operator.
pub(super) type Decided<T> = Result<T, String>;

impl RegistryStore for Sqlite {
    async fn registry(&self) -> Result<Registry, RegistryError> {
        let vault = self.vault.clone();
        self.read(move |c| read(c, &vault)).await?.map_err(RegistryError::Invalid)
    }

    async fn add_app(&self, app: &App) -> Result<(), RegistryError> {
        let (vault, app, now) = (self.vault.clone(), app.clone(), self.now());
        let id = app.client_id.to_string();
        let add = move |c: &Connection| {
            c.execute(MOVE, [])?;
            put_app(c, &vault, &app, ADD_APP, now)
        };
        new(self.write(add).await?, || format!("there is an app {id} already"))
    }

    async fn add_bot(&self, bot: &Bot) -> Result<(), RegistryError> {
        let id = bot.id.to_string();
        let spec = to_text(&BotSpec::of(bot))?;
        let authorization = BotSpec::secret(bot)
            .map(|secret| self.vault.seal(spot("bot", &id, "authorization"), secret));
        let (name, key, now) = (bot.name.clone(), id.clone(), self.now());
        let add = move |c: &Connection| {
            c.execute(MOVE, [])?;
            c.prepare_cached(ADD_BOT)?.execute(params![key, name, spec, authorization, now])
        };
        new(self.write(add).await?, || format!("there is a bot {id} already"))
    }

    async fn add_channel(&self, channel: &Channel) -> Result<u32, RegistryError> {
        let (vault, channel, now) = (self.vault.clone(), channel.clone(), self.now());
        let spec = to_text(&ChannelSpec::of(&channel))?;
        let add = move |c: &Connection| {
            c.execute(MOVE, [])?;
            add_channel(c, &vault, &channel, &spec, now)
        };
        self.write(add).await?.map_err(RegistryError::Invalid)
    }

    async fn act(
        &self,
        channel: &ChannelId,
        action: ChannelAction,
    ) -> Result<ChannelState, RegistryError> {
        let id = channel.to_string();
        let act = move |c: &Connection| {
            c.execute(MOVE, [])?;
            act(c, &id, action)
        };
        self.write(act).await?.map_err(RegistryError::Invalid)
    }

    async fn replaced_script(
        &self,
        bot: &BotId,
        version: &str,
    ) -> Result<Option<String>, StoreError> {
        scripts::find(self, bot, version).await
    }
}

fn new(rows: usize, otherwise: impl FnOnce() -> String) -> Result<(), RegistryError> {
    if rows > 0 { Ok(()) } else { Err(RegistryError::Invalid(otherwise())) }
}

/// Everything at one moment.
pub(super) fn read(connection: &Connection, vault: &Vault) -> rusqlite::Result<Decided<Registry>> {
    let apps = rows(connection, APPS, |row| app(row, vault))?;
    let bots = rows(connection, BOTS, |row| bot(row, vault))?;
    let bots = bots.map(|rows| {
        let mut bots = Bots::default();
        for (id, name, spec, secret) in rows {
            bots.add(&id, name, &spec, secret);
        }
        bots
    });
    let channels = rows(connection, CHANNELS, |row| channel(row, vault))?;
    let sql = "select revision from registry_revision";
    let revision = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    let registry = apps.and_then(|apps| Ok(bots?.registry(apps, channels?)));
    Ok(registry.map(|registry| registry.at(revision)))
}

/// Runs one of the statements that take a whole app.
pub(super) fn put_app(
    connection: &Connection,
    vault: &Vault,
    app: &App,
    sql: &str,
    now: i64,
) -> rusqlite::Result<usize> {
    let id = app.client_id.as_str();
    let seal = |column, secret| vault.seal(spot("app", id, column), secret);
    let previous = app.previous.as_ref().map(|previous| seal("previous", &previous.secret));
    let until = app.previous.as_ref().map(|p| i64::try_from(p.until_ms).unwrap_or(i64::MAX));
    let secret = seal("secret", &app.secret);
    let rules = serde_json::to_string(&RulesSpec::of(&app.rules)).map_err(unwritable)?;
    let algorithm = app.algorithm.as_str();
    let row = params![id, app.name, algorithm, secret, previous, until, rules, now];
    connection.prepare_cached(sql)?.execute(row)
}

/// What cannot be put into words undoes the write.
pub(super) fn unwritable(
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    one: impl Fn(&Row<'_>) -> rusqlite::Result<Decided<T>>,
) -> rusqlite::Result<Decided<Vec<T>>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map([], one)?;
    found.collect::<rusqlite::Result<Vec<_>>>().map(|all| all.into_iter().collect())
}

pub(super) fn add_channel(
    connection: &Connection,
    vault: &Vault,
    channel: &Channel,
    spec: &str,
    now: i64,
) -> rusqlite::Result<Decided<u32>> {
    let (id, bot, app) = (channel.id.as_str(), channel.bot.as_str(), channel.client.as_str());
    let exists = |sql: &str, keys: &[&str]| {
        connection.prepare_cached(sql)?.exists(rusqlite::params_from_iter(keys))
    };
    if !exists("select 1 from bot where id = ?1", &[bot])? {
        return Ok(Err(format!("there is no bot {bot}")));
    }
    if !exists("select 1 from app where id = ?1", &[app])? {
        return Ok(Err(format!("there is no app {app}")));
    }
    if exists("select 1 from channel where id = ?1", &[id])? {
        return Ok(Err(format!("there is a channel {id} already")));
    }
    if exists("select 1 from channel where bot_id = ?1 and name = ?2", &[bot, &channel.name])? {
        return Ok(Err(format!("the bot {bot} has a channel named {:?} already", channel.name)));
    }
    let ordinal: u32 =
        connection.prepare_cached(NEXT_ORDINAL)?.query_row([bot], |row| row.get(0))?;
    let endpoint = channel.endpoint.as_ref();
    let seal = |column, secret: &SecretString| vault.seal(spot("channel", id, column), secret);
    let token = endpoint.and_then(|e| e.token.as_ref()).map(|token| seal("token", token));
    let signing = endpoint.map(|endpoint| seal("signing_secret", &endpoint.signing_secret));
    let disabled = endpoint.is_some_and(|endpoint| endpoint.disabled);
    let state = channel.state.as_str();
    connection.prepare_cached(ADD_CHANNEL)?.execute(params![
        id,
        bot,
        app,
        channel.name,
        ordinal,
        state,
        disabled,
        spec,
        token,
        signing,
        now
    ])?;
    Ok(Ok(ordinal))
}

fn act(
    connection: &Connection,
    id: &str,
    action: ChannelAction,
) -> rusqlite::Result<Decided<ChannelState>> {
    let found = connection
        .query_row("select state from channel where id = ?1", [id], |row| row.get::<_, String>(0))
        .optional()?;
    let Some(text) = found else { return Ok(Err(format!("there is no channel {id}"))) };
    let after = match state(&text).map(|state| state.after(action)) {
        Ok(Ok(after)) => after,
        Ok(Err(refusal)) => return Ok(Err(refusal.to_string())),
        Err(unknown) => return Ok(Err(unknown)),
    };
    // An approval clears what a 410 has set.
    let approved = action == ChannelAction::Approve;
    let sql = "update channel set state = ?2, disabled = disabled and not ?3 where id = ?1";
    connection.execute(sql, params![id, after.as_str(), approved])?;
    Ok(Ok(after))
}

fn app(row: &Row<'_>, vault: &Vault) -> rusqlite::Result<Decided<App>> {
    let (id, name, algorithm): (String, _, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let secret = open(vault, spot("app", &id, "secret"), row.get_ref(3)?.as_blob()?);
    let previous = maybe(vault, spot("app", &id, "previous"), row, 4)?;
    let (until, rules): (Option<i64>, String) = (row.get(5)?, row.get(6)?);
    let decide = || {
        let algorithm = Algorithm::parse(&algorithm)
            .ok_or_else(|| unreadable("app", &id, &format!("unknown algorithm {algorithm}")))?;
        let previous = previous?
            .zip(until)
            .map(|(secret, until)| PreviousSecret { secret, until_ms: until.unsigned_abs() });
        let rules = serde_json::from_str::<RulesSpec>(&rules).ok().and_then(|r| r.rules());
        let rules = rules.ok_or_else(|| unreadable("app", &id, "its rules"))?;
        let client_id = id.as_str().into();
        Ok(App { client_id, name, algorithm, secret: secret?, previous, rules })
    };
    Ok(decide())
}

/// Its id, its name, its spec, its secret.
type BotRow = (String, String, String, Option<SecretString>);

fn bot(row: &Row<'_>, vault: &Vault) -> rusqlite::Result<Decided<BotRow>> {
    let id: String = row.get(0)?;
    let (name, spec) = (row.get(1)?, row.get(2)?);
    let secret = maybe(vault, spot("bot", &id, "authorization"), row, 3)?;
    Ok(secret.map(|secret| (id, name, spec, secret)))
}

fn channel(row: &Row<'_>, vault: &Vault) -> rusqlite::Result<Decided<Channel>> {
    let (id, spec): (String, String) = (row.get(0)?, row.get(2)?);
    let (name, bot, client) = (row.get(1)?, row.get::<_, String>(3)?, row.get::<_, String>(4)?);
    let (ordinal, text, disabled) = (row.get(5)?, row.get::<_, String>(6)?, row.get(7)?);
    let token = maybe(vault, spot("channel", &id, "token"), row, 8)?;
    let signing_secret = maybe(vault, spot("channel", &id, "signing_secret"), row, 9)?;
    let decide = || {
        let spec: ChannelSpec = serde_json::from_str(&spec)
            .map_err(|error| unreadable("channel", &id, &error.to_string()))?;
        let kept = EndpointState { token: token?, signing_secret: signing_secret?, disabled };
        let endpoint = spec
            .endpoint(kept)
            .ok_or_else(|| unreadable("channel", &id, "its signing secret is missing"))?;
        Ok(Channel {
            id: id.as_str().into(),
            name,
            bot: bot.into(),
            client: client.into(),
            ordinal,
            state: state(&text)?,
            endpoint,
            deadline: spec.deadline(),
            compatibility: spec.compatibility(),
            overrides: spec.overrides(),
            while_busy: spec.while_busy(),
            rate: spec.rate(),
        })
    };
    Ok(decide())
}

fn state(text: &str) -> Decided<ChannelState> {
    ChannelState::parse(text).ok_or_else(|| format!("unknown channel state {text:?}"))
}

pub(super) fn unreadable(table: &str, id: &str, why: &str) -> String {
    format!("the row of {table} {id} cannot be read: {why}")
}

pub(super) fn spot<'a>(table: &'a str, row: &'a str, column: &'a str) -> Spot<'a> {
    Spot { table, row, column }
}

pub(super) fn open(vault: &Vault, spot: Spot<'_>, sealed: &[u8]) -> Decided<SecretString> {
    vault.open(spot, sealed).map_err(|sealed| unreadable(spot.table, spot.row, &sealed.to_string()))
}

pub(super) fn maybe(
    vault: &Vault,
    spot: Spot<'_>,
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Decided<Option<SecretString>>> {
    let sealed = row.get_ref(column)?.as_blob_or_null()?;
    Ok(sealed.map(|sealed| open(vault, spot, sealed)).transpose())
}

pub(super) fn to_text(spec: &impl serde::Serialize) -> Result<String, RegistryError> {
    serde_json::to_string(spec).map_err(|error| RegistryError::Invalid(error.to_string()))
}

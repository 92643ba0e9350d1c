//! The registry's rows, see [`RegistryStore`]. Secrets are sealed at the place where they stand.

use secrecy::SecretString;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::pool::{DEADLINE, Held};
use super::{Postgres, scripts, within};
use crate::domain::channel::{ChannelAction, ChannelState};
use crate::domain::ids::{BotId, ChannelId};
use crate::registry::spec::{BotSpec, Bots, ChannelSpec, EndpointState, RulesSpec};
use crate::registry::{
    Algorithm, App, Bot, Channel, PreviousSecret, Registry, RegistryError, RegistryStore,
};
use crate::store::StoreError;
use crate::vault::{Spot, Vault};

const APPS: &str = "select id, name, algorithm, secret, previous, previous_until, rules from app";
const BOTS: &str = "select id, name, spec, http_authorization from bot";
const CHANNELS: &str = "select id, name, spec, bot_id, client_id, ordinal, state, disabled, token,
                               signing_secret from channel";

/// Whatever changes the registry moves its counter, first of all: its row's lock is the queue.
macro_rules! moved {
    ($sql:literal) => {
        concat!("with moved as (update registry_revision set revision = revision + 1) ", $sql)
    };
}
const MOVE: &str = "update registry_revision set revision = revision + 1";
const ADD_APP: &str = moved!(
    "insert into app (id, name, algorithm, secret, previous, previous_until, rules)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing"
);
const ADD_BOT: &str = moved!(
    "insert into bot (id, name, spec, http_authorization) values ($1, $2, $3, $4)
     on conflict do nothing"
);
/// Locks the bot, so that ordinals and names are given one after another.
const NEXT_ORDINAL: &str = "update bot set last_ordinal = last_ordinal + 1 where id = $1
                            returning last_ordinal";
const ADD_CHANNEL: &str = "
insert into channel (id, bot_id, client_id, name, ordinal, state, disabled, spec, token,
                     signing_secret)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing";
const ACT: &str = "update channel set state = $2, disabled = disabled and not $3 where id = $1";

impl RegistryStore for Postgres {
    async fn registry(&self) -> Result<Registry, RegistryError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = read(&mut held, &self.0.vault).await;
            settle(held, result)
        })
        .await
    }

    async fn add_app(&self, app: &App) -> Result<(), RegistryError> {
        let id = app.client_id.as_str();
        let sealed = SealedApp::of(app, &self.0.vault)?;
        if self.insert(ADD_APP, &sealed.row(app, &id, &app.algorithm.as_str())).await? {
            return Ok(());
        }
        Err(RegistryError::Invalid(format!("there is an app {id} already")))
    }

    async fn add_bot(&self, bot: &Bot) -> Result<(), RegistryError> {
        let id = bot.id.as_str();
        let spec = to_text(&BotSpec::of(bot))?;
        let authorization = BotSpec::secret(bot)
            .map(|secret| self.0.vault.seal(spot("bot", id, "http_authorization"), secret));
        if self.insert(ADD_BOT, &[&id, &bot.name, &spec, &authorization]).await? {
            return Ok(());
        }
        Err(RegistryError::Invalid(format!("there is a bot {id} already")))
    }

    async fn add_channel(&self, channel: &Channel) -> Result<u32, RegistryError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = add_channel(&mut held, &self.0.vault, channel).await;
            settle(held, result)
        })
        .await
    }

    async fn act(
        &self,
        channel: &ChannelId,
        action: ChannelAction,
    ) -> Result<ChannelState, RegistryError> {
        within(DEADLINE, async {
            let mut held = self.0.pools.calm.get().await?;
            let result = act(&mut held, channel, action).await;
            settle(held, result)
        })
        .await
    }

    async fn replaced_script(
        &self,
        bot: &BotId,
        version: &str,
    ) -> Result<Option<String>, StoreError> {
        scripts::find(self, bot, version).await
    }
}

impl Postgres {
    /// Whether the row was new.
    async fn insert(&self, sql: &str, row: &[&(dyn ToSql + Sync)]) -> Result<bool, RegistryError> {
        within(DEADLINE, async {
            let held = self.0.pools.calm.get().await?;
            let result = held.execute(sql, row).await.map_err(StoreError::from);
            Ok(held.settle(result)? > 0)
        })
        .await
    }
}

pub(super) fn settle<T>(held: Held, result: Result<T, RegistryError>) -> Result<T, RegistryError> {
    if !matches!(result, Err(RegistryError::Store(StoreError::Away(_)))) {
        held.release();
    }
    result
}

/// An app's columns that are made of its fields.
pub(super) struct SealedApp {
    secret: Vec<u8>,
    previous: Option<Vec<u8>>,
    until: Option<i64>,
    rules: String,
}

impl SealedApp {
    pub(super) fn of(app: &App, vault: &Vault) -> Result<Self, RegistryError> {
        let seal = |column, secret| vault.seal(spot("app", app.client_id.as_str(), column), secret);
        let until = app.previous.as_ref().map(|p| i64::try_from(p.until_ms).unwrap_or(i64::MAX));
        Ok(Self {
            secret: seal("secret", &app.secret),
            previous: app.previous.as_ref().map(|previous| seal("previous", &previous.secret)),
            until,
            rules: to_text(&RulesSpec::of(&app.rules))?,
        })
    }

    pub(super) fn row<'r>(
        &'r self,
        app: &'r App,
        id: &'r &str,
        algorithm: &'r &str,
    ) -> [&'r (dyn ToSql + Sync); 7] {
        [id, &app.name, algorithm, &self.secret, &self.previous, &self.until, &self.rules]
    }
}

/// Everything at one moment.
async fn read(client: &mut Held, vault: &Vault) -> Result<Registry, RegistryError> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let registry = read_in(&transaction, vault).await?;
    transaction.commit().await?;
    Ok(registry)
}

pub(super) async fn read_in(
    transaction: &Transaction<'_>,
    vault: &Vault,
) -> Result<Registry, RegistryError> {
    let apps = transaction.query(APPS, &[]).await?;
    let bots = transaction.query(BOTS, &[]).await?;
    let channels = transaction.query(CHANNELS, &[]).await?;
    let row = transaction.query_one("select revision from registry_revision", &[]).await?;
    let revision = row.try_get(0)?;
    let mut all = Bots::default();
    for row in &bots {
        let id: &str = row.try_get(0)?;
        let secret = maybe(vault, spot("bot", id, "http_authorization"), row.try_get(3)?)?;
        all.add(id, row.try_get(1)?, row.try_get(2)?, secret);
    }
    let registry = all.registry(
        apps.iter().map(|row| app(row, vault)).collect::<Result<_, _>>()?,
        channels.iter().map(|row| channel(row, vault)).collect::<Result<_, _>>()?,
    );
    Ok(registry.at(revision))
}

async fn add_channel(
    client: &mut Held,
    vault: &Vault,
    channel: &Channel,
) -> Result<u32, RegistryError> {
    let transaction = client.transaction().await?;
    transaction.execute(MOVE, &[]).await?;
    let ordinal = add_channel_in(&transaction, vault, channel).await?;
    transaction.commit().await?;
    Ok(ordinal)
}

pub(super) async fn add_channel_in(
    transaction: &Transaction<'_>,
    vault: &Vault,
    channel: &Channel,
) -> Result<u32, RegistryError> {
    let (id, bot, app) = (channel.id.as_str(), channel.bot.as_str(), channel.client.as_str());
    let spec = to_text(&ChannelSpec::of(channel))?;
    let endpoint = channel.endpoint.as_ref();
    let seal = |column, secret: &SecretString| vault.seal(spot("channel", id, column), secret);
    let token = endpoint.and_then(|e| e.token.as_ref()).map(|token| seal("token", token));
    let signing = endpoint.map(|endpoint| seal("signing_secret", &endpoint.signing_secret));
    let disabled = endpoint.is_some_and(|endpoint| endpoint.disabled);

    let Some(row) = transaction.query_opt(NEXT_ORDINAL, &[&bot]).await? else {
        return Err(RegistryError::Invalid(format!("there is no bot {bot}")));
    };
    let ordinal: i32 = row.try_get(0)?;
    let sql = "select 1 from app where id = $1 for share";
    if transaction.query_opt(sql, &[&app]).await?.is_none() {
        return Err(RegistryError::Invalid(format!("there is no app {app}")));
    }
    let state = channel.state.as_str();
    let row: [&(dyn ToSql + Sync); 10] =
        [&id, &bot, &app, &channel.name, &ordinal, &state, &disabled, &spec, &token, &signing];
    if transaction.execute(ADD_CHANNEL, &row).await? == 0 {
        let sql = "select 1 from channel where id = $1";
        let words = match transaction.query_opt(sql, &[&id]).await? {
            Some(_) => format!("there is a channel {id} already"),
            None => format!("the bot {bot} has a channel named {:?} already", channel.name),
        };
        return Err(RegistryError::Invalid(words));
    }
    Ok(ordinal.unsigned_abs())
}

async fn act(
    client: &mut Held,
    channel: &ChannelId,
    action: ChannelAction,
) -> Result<ChannelState, RegistryError> {
    let id = channel.as_str();
    let transaction = client.transaction().await?;
    transaction.execute(MOVE, &[]).await?;
    let sql = "select state from channel where id = $1 for update";
    let Some(row) = transaction.query_opt(sql, &[&id]).await? else {
        return Err(RegistryError::Invalid(format!("there is no channel {id}")));
    };
    let after = state(row.try_get(0)?)?
        .after(action)
        .map_err(|refusal| RegistryError::Invalid(refusal.to_string()))?;
    // An approval clears what a 410 has set.
    let approved = action == ChannelAction::Approve;
    transaction.execute(ACT, &[&id, &after.as_str(), &approved]).await?;
    transaction.commit().await?;
    Ok(after)
}

fn app(row: &Row, vault: &Vault) -> Result<App, RegistryError> {
    let id: &str = row.try_get(0)?;
    let algorithm: &str = row.try_get(2)?;
    let algorithm = Algorithm::parse(algorithm)
        .ok_or_else(|| unreadable("app", id, &format!("unknown algorithm {algorithm}")))?;
    let secret = open(vault, spot("app", id, "secret"), row.try_get(3)?)?;
    let previous = maybe(vault, spot("app", id, "previous"), row.try_get(4)?)?;
    let until: Option<i64> = row.try_get(5)?;
    let previous = previous
        .zip(until)
        .map(|(secret, until)| PreviousSecret { secret, until_ms: until.unsigned_abs() });
    let rules = serde_json::from_str::<RulesSpec>(row.try_get(6)?).ok().and_then(|r| r.rules());
    let rules = rules.ok_or_else(|| unreadable("app", id, "its rules"))?;
    Ok(App { client_id: id.into(), name: row.try_get(1)?, algorithm, secret, previous, rules })
}

fn channel(row: &Row, vault: &Vault) -> Result<Channel, RegistryError> {
    let id: &str = row.try_get(0)?;
    let spec: ChannelSpec = serde_json::from_str(row.try_get(2)?)
        .map_err(|error| unreadable("channel", id, &error.to_string()))?;
    let endpoint = EndpointState {
        token: maybe(vault, spot("channel", id, "token"), row.try_get(8)?)?,
        signing_secret: maybe(vault, spot("channel", id, "signing_secret"), row.try_get(9)?)?,
        disabled: row.try_get(7)?,
    };
    let endpoint = spec
        .endpoint(endpoint)
        .ok_or_else(|| unreadable("channel", id, "its signing secret is missing"))?;
    Ok(Channel {
        id: id.into(),
        name: row.try_get(1)?,
        bot: row.try_get::<_, &str>(3)?.into(),
        client: row.try_get::<_, &str>(4)?.into(),
        ordinal: row.try_get::<_, i32>(5)?.unsigned_abs(),
        state: state(row.try_get(6)?)?,
        endpoint,
        deadline: spec.deadline(),
        compatibility: spec.compatibility(),
        overrides: spec.overrides(),
        while_busy: spec.while_busy(),
        rate: spec.rate(),
    })
}

fn state(text: &str) -> Result<ChannelState, RegistryError> {
    ChannelState::parse(text)
        .ok_or_else(|| RegistryError::Invalid(format!("unknown channel state {text:?}")))
}

pub(super) fn unreadable(table: &str, id: &str, why: &str) -> RegistryError {
    RegistryError::Invalid(format!("the row of {table} {id} cannot be read: {why}"))
}

pub(super) fn spot<'a>(table: &'a str, row: &'a str, column: &'a str) -> Spot<'a> {
    Spot { table, row, column }
}

pub(super) fn open(
    vault: &Vault,
    spot: Spot<'_>,
    sealed: &[u8],
) -> Result<SecretString, RegistryError> {
    vault.open(spot, sealed).map_err(|sealed| unreadable(spot.table, spot.row, &sealed.to_string()))
}

pub(super) fn maybe(
    vault: &Vault,
    spot: Spot<'_>,
    sealed: Option<&[u8]>,
) -> Result<Option<SecretString>, RegistryError> {
    sealed.map(|sealed| open(vault, spot, sealed)).transpose()
}

pub(super) fn to_text(spec: &impl serde::Serialize) -> Result<String, RegistryError> {
    serde_json::to_string(spec).map_err(|error| RegistryError::Invalid(error.to_string()))
}

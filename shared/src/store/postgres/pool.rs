//! Connections: three small pools, TLS where the URL asks for it, and a deadline on everything. A
//! connection whose use did not end in good order is closed, never handed out again.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, QueueMode, RecyclingMethod, Runtime,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::store::StoreError;

/// No call of a room waits longer for the database than this.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// One round trip; less than [`DEADLINE`], so that a caller learns what its group met.
pub(super) const ROUND: Duration = Duration::from_millis(4_500);
/// Connecting, TLS and authentication; and waiting for a free connection.
const CONNECT: Duration = Duration::from_secs(3);

/// What every connection is told. The server gives up before the client does.
const SESSION: &str = "
    set statement_timeout = '4s';
    set lock_timeout = '3s';
    set idle_in_transaction_session_timeout = '5s';
    set client_min_messages = warning;
    set jit = off;
    select set_config('synchronous_commit', 'on', false)
     where current_setting('synchronous_commit') in ('off', 'local');
";

/// The hot path's statements have one good plan each: a look-up in an index for each member of the
/// group. A planner that saw the tables empty must not choose another, so members are always read
/// through `limit $n`, which a generic plan takes for a single row.
const HOT_SESSION: &str = "
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
";

/// Where the database is, and how many connections one process may have.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// `postgres://…`. `sslmode=require` verifies the server against the system's certificates, or
    /// those of `sslrootcert=FILE`. Without `sslmode` TLS is used where the server offers it, but
    /// never on loopback.
    pub url: SecretString,
    /// At least 4: one is kept for [`crate::store::Intake::ping`].
    pub connections: u32,
}

/// Why a store could not be set up: a mistake in the settings, never a database that is away.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the PostgreSQL URL cannot be read: {0}")]
    Url(tokio_postgres::Error),
    #[error("the trusted certificates cannot be used: {0}")]
    Tls(String),
    #[error("a pool of connections cannot be made: {0}")]
    Pool(String),
}

/// Connections by purpose, so that none waits behind another kind of work.
#[derive(Clone, Debug)]
pub(super) struct Pools {
    /// Groups of the hot path.
    pub(super) hot: Connections,
    /// Everything else.
    pub(super) calm: Connections,
    /// Health alone.
    pub(super) ping: Connections,
}

impl Pools {
    pub(super) fn new(config: &PostgresConfig) -> Result<Self, ConnectError> {
        let target = tls::target(config.url.expose_secret());
        let mut pg = target.url.parse::<Config>().map_err(ConnectError::Url)?;
        pg.application_name("switchhook")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(DEADLINE)
            .keepalives_idle(Duration::from_secs(10))
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        if is_local(&pg) && pg.get_ssl_mode() == SslMode::Prefer {
            pg.ssl_mode(SslMode::Disable);
        }
        let tls = match pg.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(tls::client(target.roots.as_ref())?)),
        };
        let most = usize::try_from(config.connections.max(4)).unwrap_or(4);
        let calm = (most / 4).max(1);
        Ok(Self {
            hot: Connections::new(&pg, tls.clone(), most - calm - 1, HOT_SESSION)?,
            calm: Connections::new(&pg, tls.clone(), calm, "")?,
            ping: Connections::new(&pg, tls, 1, "")?,
        })
    }
}

fn is_local(config: &Config) -> bool {
    let local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    };
    config.get_hosts().iter().all(local)
        && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

/// One pool.
#[derive(Clone, Debug)]
pub(super) struct Connections(Pool);

impl Connections {
    fn new(
        config: &Config,
        tls: Option<MakeRustlsConnect>,
        most: usize,
        also: &'static str,
    ) -> Result<Self, ConnectError> {
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match tls {
            None => Manager::from_config(config.clone(), NoTls, recycle),
            Some(tls) => Manager::from_config(config.clone(), tls, recycle),
        };
        let settings = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move {
                let all = [SESSION, also].concat();
                client.batch_execute(&all).await.map_err(HookError::Backend)
            })
        });
        Pool::builder(manager)
            .max_size(most)
            // The one that was used last has its plans and pages at hand.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT))
            .create_timeout(Some(CONNECT))
            .post_create(settings)
            .build()
            .map(Self)
            .map_err(|error| ConnectError::Pool(error.to_string()))
    }

    /// A connection for one piece of work; call [`Held::release`] when it ended in good order.
    pub(super) async fn get(&self) -> Result<Held, StoreError> {
        match self.0.get().await {
            Ok(client) => Ok(Held(Some(client))),
            Err(deadpool_postgres::PoolError::Backend(error)) => {
                Err(StoreError::Away(StoreError::from(error).to_string()))
            }
            Err(error) => Err(StoreError::Away(error.to_string())),
        }
    }
}

/// A connection in use. Dropped without [`Held::release`] (an error, a deadline, a caller that went
/// away) it is closed: it may stand in the middle of a transaction.
#[derive(Debug)]
pub(super) struct Held(Option<Object>);

impl Held {
    /// Back to the pool.
    pub(super) fn release(mut self) {
        drop(self.0.take());
    }

    /// Back to the pool when the work ended in good order: a refusal leaves a clean connection too.
    pub(super) fn settle<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if !matches!(result, Err(StoreError::Away(_))) {
            self.release();
        }
        result
    }
}

impl Deref for Held {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.0.as_ref().expect("invariant: taken only by release and drop, which consume it")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("invariant: taken only by release and drop, which consume it")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

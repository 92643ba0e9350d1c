//! The settings: defaults < TOML file < environment < flags, read once into typed fields.
//!
//! All mistakes are reported together and unknown keys are refused, before any port is opened. The
//! README's table is checked against [`TABLE`] by a test.

pub mod reach;
pub mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use value::{Bytes, Value};

/// One line of the settings table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `group.name` in the file; `SWITCHHOOK_GROUP_NAME` in the environment.
    pub key: &'static str,
    pub default: &'static str,
    pub help: &'static str,
}

impl Setting {
    pub fn env(&self) -> String {
        format!("SWITCHHOOK_{}", self.key.replace('.', "_").to_uppercase())
    }
}

macro_rules! settings {
    ($( $(#[doc = $group_doc:literal])* $group:ident: $Group:ident {
        $( $(#[doc = $doc:literal])+ $name:ident: $T:ty = $default:literal, )+
    } )+) => {
        /// Every setting, typed.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $( $(#[doc = $group_doc])* pub $group: $Group, )+
        }

        $( $(#[doc = $group_doc])*
        #[derive(Clone, Debug)]
        pub struct $Group {
            $( $(#[doc = $doc])+ pub $name: $T, )+
        } )+

        /// Every setting with its default and its help.
        pub const TABLE: &[Setting] = &[
            $( $( Setting {
                key: concat!(stringify!($group), ".", stringify!($name)),
                default: $default,
                help: concat!($($doc),+),
            }, )+ )+
        ];

        impl Settings {
            fn read(source: &Source, mistakes: &mut Vec<String>) -> Option<Self> {
                $( let $group = $Group::read(source, mistakes); )+
                Some(Self { $( $group: $group?, )+ })
            }
        }

        $( impl $Group {
            fn read(source: &Source, mistakes: &mut Vec<String>) -> Option<Self> {
                $( let $name = source.value(
                    concat!(stringify!($group), ".", stringify!($name)), $default, mistakes); )+
                Some(Self { $( $name: $name?, )+ })
            }
        } )+
    };
}

settings! {
    /// Where the engines are.
    engines: Engines {
        /// AMQP URLs of RabbitMQ nodes, comma separated, tried in order. Empty: the embedded broker.
        amqp: Vec<SecretString> = "",
        /// PostgreSQL URL. Empty: the embedded store. Goes together with `engines.amqp`.
        postgres: Option<SecretString> = "",
        /// Most connections to PostgreSQL of one process.
        postgres_connections: u32 = "8",
        /// Folder of the embedded engines and of generated keys.
        data: PathBuf = "./data",
        /// Prefix of every name on the broker.
        prefix: String = "switchhook",
        /// How delivery queues are kept on RabbitMQ: `classic` (on one node, fastest), `quorum` (replicated: for a cluster), or `auto`: quorum when `engines.amqp` names more than one node.
        delivery_queues: String = "auto",
        /// Number of partitions of each queue. The first start settles it; `switchhook partitions set` changes it.
        partitions: u16 = "16",
    }
    /// Keys of the installation. `up` generates them into the data folder.
    keys: Keys {
        /// Base64 keys (32 bytes or more each) of the bodies on the broker: the first seals, all of them open. Environment: `SWITCHHOOK_ENVELOPE_KEYS` works too.
        envelope: Vec<SecretString> = "",
        /// Base64 keys (32 bytes each) of secrets in the store: the first encrypts, all of them decrypt.
        vault: Vec<SecretString> = "",
    }
    /// The HTTP edge.
    ingress: Ingress {
        /// Address of the webhook endpoint.
        listen: SocketAddr = "127.0.0.1:8080",
        /// URL under which clients and bots reach it, for links in answers and for bots that reply by calls. Empty: made from the listen address.
        public_url: Option<url::Url> = "",
        /// Largest request body.
        body_max: Bytes = "256KiB",
        /// Most connections at once.
        connections_max: u32 = "10000",
        /// Most connections at once from one address.
        connections_per_ip_max: u32 = "2000",
        /// Most turns that wait for a confirm or a reply at once; beyond it 503.
        in_flight_max: u32 = "4096",
        /// A request's head must be complete after this time.
        head_timeout: Duration = "10s",
        /// A request's body must be complete after this time.
        body_timeout: Duration = "15s",
        /// Requests with a bad token that one address may send a minute before it gets 429.
        failures_per_minute: u32 = "600",
        /// With the database away, channels are served from memory for this long.
        registry_stale_max: Duration = "15min",
        /// Origins that browsers may call from; `*` for any, empty for none.
        cors_origins: Vec<String> = "*",
    }
    /// Bot logic.
    dispatcher: Dispatcher {
        /// Turns that run at once in one process, over all bots.
        permits: u32 = "512",
        /// Deadline of a turn's bot logic, calls and retries together.
        turn_deadline: Duration = "15s",
        /// Largest session state.
        session_max: Bytes = "256KiB",
        /// Most messages that a bot may say in one turn.
        messages_max: u32 = "50",
        /// Largest single message.
        message_max: Bytes = "64KiB",
        /// Consecutive failures after which a bot's breaker opens.
        breaker_failures: u32 = "10",
        /// How long an open breaker answers for the bot before it lets one turn try.
        breaker_open: Duration = "5s",
        /// A bot whose oldest turn has waited this long is announced as saturated.
        saturated_after: Duration = "2s",
    }
    /// Bots that are scripts.
    script: Script {
        /// Script hosts at work at once, each a process; 0: as many as there are cores.
        hosts: u32 = "0",
        /// Deadline of one run of a script. Waiting for calls does not count.
        deadline: Duration = "1s",
        /// Most memory of a script.
        memory_max: Bytes = "32MiB",
        /// `strict`: no script runs unless the kernel jails its host wholly. `best-effort`: with less, too.
        jail: String = "strict",
        /// Program that becomes a script host. Empty: this one.
        program: Option<PathBuf> = "",
    }
    /// Outbound deliveries.
    deliverer: Deliverer {
        /// Attempts that run at once in one process, over all endpoints.
        permits: u32 = "256",
        /// Most bytes of a receiver's response that are read.
        response_max: Bytes = "64KiB",
        /// Consecutive failures after which an endpoint's breaker opens.
        breaker_failures: u32 = "10",
        /// How long an open breaker holds back before it lets one attempt try.
        breaker_open: Duration = "10s",
    }
    /// Calls to the outside: POST_URLs and HTTP bots.
    egress: Egress {
        /// Networks, otherwise forbidden, that may be called: `CIDR` or `CIDR:port`, comma separated.
        allow: Vec<value::AllowedTarget> = "",
        /// Whether plain http is allowed to public addresses.
        allow_http: bool = "false",
    }
    /// Probes and metrics.
    admin: Admin {
        /// Address of /livez, /readyz and /metrics.
        listen: SocketAddr = "127.0.0.1:8081",
    }
    /// What is counted.
    metrics: Metrics {
        /// Most channels that have figures of their own in one process's metrics. All others together are the channel `other`.
        channels_max: u32 = "100",
    }
    /// The control plane.
    console: Console {
        /// Address of the pages and the admin API. Empty: they are not served.
        listen: Option<SocketAddr> = "",
        /// URL under which operators reach the pages. With https, cookies never travel without it. Empty: the address that is asked.
        public_url: Option<url::Url> = "",
        /// Where the pages' chat reaches ingress. Empty: as clients do.
        ingress_url: Option<url::Url> = "",
        /// Whether who asks for something to be published may not be who approves it.
        two_person: bool = "false",
    }
    /// Logs.
    log: Log {
        /// `human` or `json`.
        format: String = "human",
        /// What to log: a level, or directives like `info,dispatcher=debug`.
        level: String = "info",
    }
    /// Traces.
    tracing: Tracing {
        /// URL of an OpenTelemetry collector; spans are sent to its /v1/traces (OTLP over HTTP, JSON). Empty: no tracing.
        endpoint: Option<url::Url> = "",
        /// Share, from 0 to 1, of the traces that begin here that are recorded. One that a client began is recorded when its `traceparent` says so.
        sample: f64 = "1",
    }
    /// Starting and stopping.
    lifecycle: Lifecycle {
        /// How long a process may take to finish what it has begun after SIGTERM.
        drain: Duration = "20s",
        /// How long ingress goes on accepting after SIGTERM, while load balancers learn of it.
        linger: Duration = "0s",
        /// Worker threads of a process; 0: as many as there are cores. With several rooms on few cores, less is faster.
        threads: u32 = "0",
    }
    /// How long rows are kept.
    retention: Retention {
        /// Turns and attempts, counted from the time inside the turn's id.
        turns: Duration = "8d",
        /// Settled deliveries.
        deliveries: Duration = "8d",
        /// Parked work that nobody has redriven.
        parked: Duration = "30d",
        /// Conversations without a turn.
        conversations: Duration = "90d",
    }
}

/// Where values come from, later layers first.
#[derive(Clone, Debug, Default)]
pub struct Source {
    layers: Vec<BTreeMap<String, String>>,
}

/// Everything that was wrong with the settings, one line each. Exit code 64.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings have mistakes:\n{}", .0.iter().map(|m| format!("  - {m}")).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<String>);

impl Source {
    fn value<T: Value>(
        &self,
        key: &'static str,
        default: &str,
        mistakes: &mut Vec<String>,
    ) -> Option<T> {
        let text =
            self.layers.iter().find_map(|layer| layer.get(key)).map_or(default, String::as_str);
        match T::parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                mistakes.push(format!("{key}: {why}"));
                None
            }
        }
    }
}

/// Reads the settings: `flags` (by key) over the process's environment over `file`.
pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Settings, Mistakes> {
    load_from(file, flags, environment())
}

/// As [`load`], with the environment as an argument.
pub fn load_from(
    file: Option<&Path>,
    flags: &[(&str, String)],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Mistakes> {
    let mut mistakes = Vec::new();
    let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let environment = from_environment(environment, &mut mistakes);
    let file = file.map_or_else(BTreeMap::new, |path| from_file(path, &mut mistakes));
    let source = Source { layers: vec![flags, environment, file] };
    let settings = Settings::read(&source, &mut mistakes);
    if let Some(settings) = &settings {
        check(settings, &mut mistakes);
    }
    settings.filter(|_| mistakes.is_empty()).ok_or(Mistakes(mistakes))
}

/// What only several settings together can get wrong.
fn check(settings: &Settings, mistakes: &mut Vec<String>) {
    if settings.engines.amqp.is_empty() != settings.engines.postgres.is_none() {
        mistakes.push(
            "engines.amqp and engines.postgres go together: either both (RabbitMQ and PostgreSQL) \
             or none (the embedded engines)"
                .to_owned(),
        );
    }
    if settings.engines.partitions == 0 {
        mistakes.push("engines.partitions: at least 1".to_owned());
    }
    if !["auto", "classic", "quorum"].contains(&settings.engines.delivery_queues.as_str()) {
        mistakes.push("engines.delivery_queues: auto, classic or quorum".to_owned());
    }
    if !["human", "json"].contains(&settings.log.format.as_str()) {
        mistakes.push("log.format: human or json".to_owned());
    }
    if !(0.0..=1.0).contains(&settings.tracing.sample) {
        mistakes.push("tracing.sample: from 0 to 1".to_owned());
    }
    let endpoint = settings.tracing.endpoint.as_ref();
    if endpoint.is_some_and(|url| !["http", "https"].contains(&url.scheme())) {
        mistakes.push("tracing.endpoint: an http or https URL".to_owned());
    }
    if !["strict", "best-effort"].contains(&settings.script.jail.as_str()) {
        mistakes.push("script.jail: strict or best-effort".to_owned());
    }
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
fn environment() -> Vec<(String, String)> {
    std::env::vars().collect()
}

/// The settings file that the environment names (`SWITCHHOOK_CONFIG`).
#[expect(clippy::disallowed_methods, reason = "the only file that reads the environment")]
pub fn file_of_environment() -> Option<PathBuf> {
    std::env::var_os("SWITCHHOOK_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn from_environment(
    environment: impl IntoIterator<Item = (String, String)>,
    mistakes: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let known: BTreeMap<_, _> = TABLE.iter().map(|setting| (setting.env(), setting.key)).collect();
    let mut values = BTreeMap::new();
    for (name, value) in environment {
        // SWITCHHOOK_TEST_… belongs to the test suite, not to the product.
        let ours = name.starts_with("SWITCHHOOK_") && !name.starts_with("SWITCHHOOK_TEST_");
        if name == "SWITCHHOOK_CONFIG" || !ours {
            continue;
        }
        let alias = (name == "SWITCHHOOK_ENVELOPE_KEYS").then_some("keys.envelope");
        match known.get(&name).copied().or(alias) {
            Some(key) => {
                values.insert(key.to_owned(), value);
            }
            None => mistakes.push(format!("{name}: no such setting in the environment")),
        }
    }
    values
}

fn from_file(path: &Path, mistakes: &mut Vec<String>) -> BTreeMap<String, String> {
    let table = match std::fs::read_to_string(path).map(|text| text.parse::<toml::Table>()) {
        Ok(Ok(table)) => table,
        Ok(Err(error)) => {
            mistakes.push(format!("{}: {error}", path.display()));
            return BTreeMap::new();
        }
        Err(error) => {
            mistakes.push(format!("{}: {error}", path.display()));
            return BTreeMap::new();
        }
    };
    let mut values = BTreeMap::new();
    for (group, entries) in table {
        let toml::Value::Table(entries) = entries else {
            mistakes.push(format!("{group}: a value outside a [group] in {}", path.display()));
            continue;
        };
        for (name, value) in entries {
            let key = format!("{group}.{name}");
            if TABLE.iter().any(|setting| setting.key == key) {
                values.insert(key, plain(&value));
            } else {
                mistakes.push(format!("{key}: no such setting in {}", path.display()));
            }
        }
    }
    values
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;

//! RabbitMQ and PostgreSQL.

use std::time::Duration;

use shared::broker::rabbitmq;
use shared::config::Settings;
use shared::engines;
use shared::process::Failure;
use shared::registry::{RegistryError, RegistryStore as _};
use shared::store::postgres::{Durability, Postgres, PostgresConfig};
use shared::vault::Vault;

use super::Findings;

/// The longest that one engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Every node that the settings name.
pub(super) async fn broker(settings: &Settings, findings: &mut Findings) {
    let nodes = settings.engines.amqp.len();
    let mut reached = 0;
    for (at, url) in settings.engines.amqp.iter().enumerate() {
        let subject = format!("engines.amqp, node {} of {nodes}", at + 1);
        let answer = tokio::time::timeout(PATIENCE, rabbitmq::probe(url)).await;
        match answer.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(probe) => {
                reached += 1;
                node(probe.major, &subject, findings);
            }
            Err(why) => findings.bad(&subject, Failure::unavailable(why)),
        }
    }
    if nodes == 1 && reached == 1 {
        findings.note("engines.amqp", "one node: when its disk is lost, so is what is queued");
    }
}

fn node(major: u32, subject: &str, findings: &mut Findings) {
    match major {
        0 => findings.note(subject, "connected; the node does not tell its version"),
        1 | 2 => {
            let text = format!("RabbitMQ {major} has no quorum queues; 3.10 or newer is needed");
            findings.bad(subject, Failure::unavailable(text));
        }
        3 => findings
            .good(subject, "connected to RabbitMQ 3; dispatchers spread partitions themselves"),
        _ => findings.good(subject, format!("connected to RabbitMQ {major}")),
    }
}

/// The database, its promises, its schema, and whether the vault key opens what is in it.
pub(super) async fn database(settings: &Settings, vault: Vault, findings: &mut Findings) {
    const SUBJECT: &str = "engines.postgres";
    let Some(url) = settings.engines.postgres.clone() else { return };
    let config = PostgresConfig { url, connections: settings.engines.postgres_connections };
    let store = match Postgres::connect(&config, vault) {
        Ok(store) => store,
        Err(error) => return findings.bad(SUBJECT, Failure::usage(error.to_string())),
    };
    match store.durability().await {
        Ok(durability) => durable(&durability, findings),
        Err(error) => return findings.bad(SUBJECT, Failure::unavailable(error.to_string())),
    }
    match store.schema().await {
        Ok(schema) if schema.found < schema.known => {
            findings.bad("schema", Failure::unavailable(schema.to_string()));
        }
        Ok(schema) if schema.found > schema.known => findings.note("schema", schema.to_string()),
        Ok(schema) => findings.good("schema", schema.to_string()),
        Err(error) => findings.bad("schema", Failure::unavailable(engines::explain(&error))),
    }
    match store.registry().await {
        Ok(registry) => {
            let text = format!(
                "{} apps, {} bots, {} channels; their secrets open",
                registry.apps.len(),
                registry.bots.len(),
                registry.channels.len()
            );
            findings.good("registry", text);
            for (id, bot) in &registry.unreadable {
                let text =
                    format!("this release cannot read the bot {:?} ({id}): {}", bot.name, bot.why);
                findings.bad("registry", Failure::unavailable(text));
            }
        }
        Err(RegistryError::Store(error)) => {
            findings.bad("registry", Failure::unavailable(engines::explain(&error)));
        }
        Err(error) => findings.bad("registry", Failure::unavailable(error.to_string())),
    }
}

fn durable(durability: &Durability, findings: &mut Findings) {
    const SUBJECT: &str = "engines.postgres";
    let version = &durability.version;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < 14) {
        let text = format!("PostgreSQL {version} is too old; 14 or newer is needed");
        findings.bad(SUBJECT, Failure::unavailable(text));
    } else {
        findings.good(SUBJECT, format!("connected to PostgreSQL {version}"));
    }
    if durability.survives_a_crash() {
        findings.good("durability", "a commit survives a crash of the database server");
    } else {
        let text = format!(
            "a crash of the database server may lose commits: fsync {}, full_page_writes {}, \
             synchronous_commit {}",
            durability.fsync, durability.full_page_writes, durability.synchronous_commit
        );
        findings.bad("durability", Failure::unavailable(text));
    }
    match (durability.standbys, durability.synchronous_standbys) {
        (0, _) => findings
            .note("durability", "no standby: when the server's disk is lost, so are the data"),
        (_, 0) => {
            let text = "there is a standby, but no commit waits for it: a failover may lose what was \
                        accepted; set synchronous_standby_names";
            findings.bad("durability", Failure::unavailable(text));
        }
        (all, sync) => {
            findings.good("durability", format!("{sync} of {all} standbys are synchronous"));
        }
    }
}

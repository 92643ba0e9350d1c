//! The number of partitions: what it is, and another one while every process is stopped (docs/adr/0019).

use shared::broker::rabbitmq::{self, Depth};
use shared::config::Settings;
use shared::engines;
use shared::entropy::Entropy;
use shared::process::{self, Failure};
use shared::store::StoreError;
use shared::store::postgres::{Generation, Postgres, PostgresConfig, Present, Standing};
use shared::topology::Topology;
use shared::vault::Vault;

use crate::cli::watch::{Partitions, SetPartitions};
use crate::output;

const PARTITIONS_MAX: u16 = 1_024;
const EMBEDDED: &str = "the embedded engines have no partitions to speak of: set engines.partitions and \
                        start again, when nothing is queued";

pub(crate) fn run(settings: &Settings, args: &Partitions) -> Result<(), Failure> {
    process::block_on(async {
        let store = store(settings)?;
        match &args.command {
            None => show(&store, args.json.json).await,
            Some(SetPartitions::Set { partitions, gone }) => {
                set(settings, &store, *partitions, *gone).await
            }
        }
    })
}

/// The present set of partitions, as the database knows it; what the settings say where it does not.
pub(crate) async fn topology(settings: &Settings) -> Topology {
    let of = |Generation { number, partitions }| Topology {
        prefix: settings.engines.prefix.clone(),
        generation: number,
        partitions,
    };
    let stored = match store(settings) {
        Ok(store) => store.standing().await.ok().flatten(),
        Err(_) => None,
    };
    let first = Generation { number: 1, partitions: settings.engines.partitions };
    of(stored.map_or(first, |standing| standing.generation))
}

fn store(settings: &Settings) -> Result<Postgres, Failure> {
    let url = settings.engines.postgres.clone().ok_or_else(|| Failure::usage(EMBEDDED))?;
    let config = PostgresConfig { url, connections: 1 };
    // Nothing that is read here is encrypted.
    Postgres::connect(&config, Vault::new(&[0; 32], Entropy::Real))
        .map_err(|error| Failure::usage(error.to_string()))
}

async fn standing(store: &Postgres) -> Result<Standing, Failure> {
    let standing = store.standing().await.map_err(|error| away(&error))?;
    standing.ok_or_else(|| Failure::refused("no process has ever been started on this database"))
}

async fn show(store: &Postgres, json: bool) -> Result<(), Failure> {
    let standing = standing(store).await?;
    if json {
        return output::json(&standing);
    }
    let Generation { number, partitions } = standing.generation;
    output::line(&format!("{partitions} partitions, generation {number}"))?;
    let row = |room: &Present| {
        vec![room.name.clone(), room.process.to_string(), format!("{:.0}", room.for_seconds)]
    };
    let rows: Vec<_> = standing.rooms.iter().map(row).collect();
    output::table(&["ROOM", "PROCESS", "AT WORK FOR AT LEAST (S)"], &rows)
}

async fn set(
    settings: &Settings,
    store: &Postgres,
    partitions: u16,
    gone: bool,
) -> Result<(), Failure> {
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(Failure::usage(format!("1 to {PARTITIONS_MAX} partitions")));
    }
    let seen = standing(store).await?;
    if seen.generation.partitions == partitions {
        return output::line(&format!("there are {partitions} partitions already"));
    }
    if !gone && !seen.rooms.is_empty() {
        return Err(at_work(&seen.rooms));
    }
    let old = topology(settings).await;
    let node = settings.engines.amqp.first().ok_or_else(|| Failure::usage(EMBEDDED))?;
    // From here on a stray turn is unrouted, and forwarded by whoever dispatches next.
    let left = rabbitmq::unbind(node, &old).await.map_err(Failure::unavailable)?;
    if !left.is_empty() {
        return Err(not_empty(&left));
    }
    let moved = store.renumber(&seen, partitions, gone).await.map_err(|error| away(&error))?;
    let Some(Generation { number, .. }) = moved else {
        return Err(Failure::refused("a process was started meanwhile; nothing was changed"));
    };
    output::line(&format!(
        "{partitions} partitions, generation {number}: start every process with engines.partitions={partitions}"
    ))?;
    rabbitmq::remove(node, &old).await.map_err(|why| {
        Failure::other(format!("the number is changed; old queues could not be removed: {why}"))
    })
}

fn at_work(rooms: &[Present]) -> Failure {
    let told = |room: &Present| format!("  {} ({})", room.name, room.process);
    let rooms_told: Vec<_> = rooms.iter().map(told).collect();
    let longest = rooms.iter().map(|room| room.for_seconds).fold(0.0, f64::max);
    Failure::refused(format!(
        "these processes are at work, or may be:\n{}\nend them all; of one that was killed it is certain in \
         {longest:.0} s, or say --gone when you know",
        rooms_told.join("\n")
    ))
}

fn not_empty(left: &[Depth]) -> Failure {
    let told = |depth: &Depth| {
        format!("  {}: {} ready, {} consumers", depth.queue, depth.ready, depth.consumers)
    };
    let told: Vec<_> = left.iter().map(told).collect();
    Failure::refused(format!(
        "these queues are not empty, or are consumed:\n{}\nstart dispatchers and deliverers, without an \
         ingress, until they are",
        told.join("\n")
    ))
}

fn away(error: &StoreError) -> Failure {
    Failure::unavailable(engines::explain(error))
}

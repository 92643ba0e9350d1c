//! Faults: processes die, freeze, lose their connections and are replaced; engines go away.

use std::time::Duration;

use shared::topology::Queue;
use tokio::time::Instant;

use crate::run::Cluster;
use crate::world::{Life, Process};

/// A frozen process's subscriptions end after this time, as by missed heartbeats.
const NOT_HEARD: Duration = Duration::from_secs(12);

/// One fault drawn from the seed.
pub(crate) async fn strike(cluster: &mut Cluster) -> anyhow::Result<()> {
    let world = cluster.world.clone();
    let (kind, pause) = world.draw(|chance| (chance.between(0, 7), chance.ms(0, 3_000)));
    let victim = cluster.victim();
    let name = match kind {
        0 | 1 => {
            cluster.kill(victim);
            tokio::time::sleep(pause).await;
            cluster.replace(victim).await?;
            "kill"
        }
        2 => {
            freeze(cluster, victim);
            "freeze"
        }
        3 => {
            world.lock().drop_consumers(|holder| holder == victim);
            "cut"
        }
        4 => {
            let mut state = world.lock();
            state.drop_consumers(|_| true);
            for ((queue, _), slot) in &mut state.slots {
                if *queue == Queue::Deliveries {
                    slot.forget();
                }
            }
            "broker"
        }
        5 => {
            let away = world.draw(|chance| chance.ms(200, 20_000));
            world.lock().store_away_until = Some(Instant::now() + away);
            "store"
        }
        6 => {
            cluster.replace(victim).await?;
            cluster.drain(victim);
            "roll"
        }
        _ => {
            cluster.replace(victim).await?;
            "scale"
        }
    };
    *world.lock().history.faults.entry(name).or_default() += 1;
    world.note(name, victim, 0);
    world.changed();
    Ok(())
}

fn freeze(cluster: &Cluster, victim: Process) {
    let world = cluster.world.clone();
    let time = world.draw(|chance| match chance.between(0, 1) {
        0 => chance.ms(100, 8_000),
        _ => chance.ms(12_000, 45_000),
    });
    world.set(victim, Life::Frozen);
    let expired = world.clone();
    world.spawn(async move {
        tokio::time::sleep(NOT_HEARD.min(time)).await;
        if time > NOT_HEARD {
            expired.lock().drop_consumers(|holder| holder == victim);
            expired.changed();
            tokio::time::sleep(time.saturating_sub(NOT_HEARD)).await;
        }
        let frozen = expired.lock().processes[victim] == Life::Frozen;
        if frozen {
            expired.set(victim, Life::Running);
        }
    });
}

//! Who kills: one victim after the other, while others speak.

use std::time::Duration;

use anyhow::Result;
use testkit::lapse;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use testkit::system::System;

/// What is killed with SIGKILL and started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// Every process of the room in turn; `up` is all rooms in one.
    Room(&'static str),
    Broker,
    Database,
}

/// The engines of a run, where they are processes of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engines<'a> {
    pub node: Option<&'a Node>,
    pub server: Option<&'a Server>,
}

/// How kills are spaced.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a victim is dead.
    pub dead: Duration,
    /// How long everything lives between two kills.
    pub between: Duration,
}

const DEAD: &str = "how long a victim is dead";

/// Kills a victim `times` times; returns how many kills there were.
pub async fn kill(
    system: &System,
    engines: Engines<'_>,
    victim: Victim,
    times: usize,
    pace: Pace,
) -> Result<usize> {
    let mut kills = 0;
    for n in 0..times {
        lapse(pace.between, "everything lives between two kills").await;
        match victim {
            Victim::Room(room) => {
                let processes = system.room(room);
                let Some(process) = processes.get(n % processes.len().max(1)) else { break };
                process.kill9();
                lapse(pace.dead, DEAD).await;
                process.restart().await?;
            }
            Victim::Broker => {
                let Some(node) = engines.node else { break };
                node.kill9().await;
                lapse(pace.dead, DEAD).await;
                node.restart().await?;
            }
            Victim::Database => {
                let Some(server) = engines.server else { break };
                server.kill9().await;
                lapse(pace.dead, DEAD).await;
                server.restart().await?;
            }
        }
        kills += 1;
    }
    Ok(kills)
}

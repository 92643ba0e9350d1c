//! Faults of the engines, of the ways to them, and of the endpoint.

use std::time::Duration;

use anyhow::{Result, bail};
use testkit::cluster::Cluster;
use testkit::lapse;
use testkit::rabbitmq::Node;

use super::{Nemesis, Struck};
use crate::torture::ground::Brokers;

/// How much each piece is held up: a question takes twice that, some ten times its usual time.
const HELD_UP: Duration = Duration::from_millis(15);
const DEAD: &str = "how long it is dead";
const LASTS: &str = "how long the fault lasts";

impl Nemesis<'_> {
    pub(super) async fn broker(&mut self) -> Result<Struck> {
        let (hard, dead) = (self.chance.below(2) == 0, self.pause(200, 2000));
        let nodes = self.outside()?.brokers.nodes();
        for node in nodes {
            if hard {
                node.kill9().await;
            } else {
                node.stop().await?;
            }
        }
        lapse(dead, DEAD).await;
        futures_util::future::try_join_all(nodes.iter().map(Node::restart)).await?;
        let how = if hard { "SIGKILL" } else { "SIGTERM" };
        Ok(Struck::of(format!("{} of {0} nodes, {how}", nodes.len())))
    }

    /// Kills the node of a cluster that leads most queues, or one that does not.
    pub(super) async fn node(&mut self, leads: bool) -> Result<Struck> {
        let (n, dead) = (self.chance.below(2), self.pause(200, 2000));
        let cluster = self.cluster()?;
        let leader = cluster.leader().await?;
        let nth = if leads { leader } else { (leader + 1 + n) % cluster.nodes().len() };
        let node = &cluster.nodes()[nth];
        node.kill9().await;
        lapse(dead, DEAD).await;
        node.restart().await?;
        Ok(Struck::of(node.name()))
    }

    pub(super) async fn partition(&mut self) -> Result<Struck> {
        let lasts = self.pause(20_000, 40_000);
        let nth = self.chance.below(3);
        let cluster = self.cluster()?;
        cluster.cut_off(nth, true)?;
        lapse(lasts, LASTS).await;
        cluster.cut_off(nth, false)?;
        Ok(Struck::of(format!("{}, {} ms", cluster.nodes()[nth].name(), lasts.as_millis())))
    }

    fn cluster(&self) -> Result<&Cluster> {
        match &self.outside()?.brokers {
            Brokers::Three(cluster) => Ok(cluster),
            Brokers::One { .. } => bail!("the broker is not a cluster"),
        }
    }

    pub(super) async fn postgres(&mut self) -> Result<Struck> {
        let dead = self.pause(200, 2000);
        let server = &self.outside()?.server;
        server.kill9().await;
        lapse(dead, DEAD).await;
        server.restart().await?;
        Ok(Struck::of("postgres, SIGKILL"))
    }

    pub(super) async fn terminate(&mut self) -> Result<Struck> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where pid <> pg_backend_pid() and backend_type = 'client backend'";
        self.outside()?.server.execute("postgres", sql).await?;
        Ok(Struck::of("every backend"))
    }

    pub(super) async fn cut(&mut self) -> Result<Struck> {
        let which = self.chance.below(3);
        let times = 1 + self.chance.below(3);
        for _ in 0..times {
            let between = self.pause(100, 1500);
            let outside = self.outside()?;
            if which != 1 {
                outside.brokers.cut();
            }
            if which != 0 {
                outside.server_line.cut();
            }
            lapse(between, "cuts follow one another").await;
        }
        let target = ["broker", "database", "broker and database"][which];
        Ok(Struck::of(format!("{target}, {times} times")))
    }

    pub(super) async fn alarm(&mut self) -> Result<Struck> {
        let lasts = self.pause(3000, 8000);
        let node = self.leader().await?;
        node.alarm(true).await?;
        lapse(lasts, LASTS).await;
        node.alarm(false).await?;
        Ok(Struck::of(format!("memory, {} ms", lasts.as_millis())))
    }

    pub(super) async fn stall(&mut self) -> Result<Struck> {
        let lasts = self.pause(6000, 12000);
        let node = self.leader().await?;
        node.freeze(true)?;
        lapse(lasts, LASTS).await;
        node.freeze(false)?;
        Ok(Struck::of(format!("{}, {} ms", node.name(), lasts.as_millis())))
    }

    /// The only node, or the one that leads most queues.
    async fn leader(&self) -> Result<&Node> {
        match &self.outside()?.brokers {
            Brokers::One { node, .. } => Ok(node),
            Brokers::Three(cluster) => Ok(&cluster.nodes()[cluster.leader().await?]),
        }
    }

    pub(super) async fn slow(&mut self) -> Result<Struck> {
        let lasts = self.pause(10_000, 20_000);
        let line = &self.outside()?.server_line;
        line.delay(HELD_UP);
        lapse(lasts, LASTS).await;
        line.delay(Duration::ZERO);
        Ok(Struck::of(format!("database, {} ms", lasts.as_millis())))
    }

    pub(super) async fn outage(&mut self) -> Result<Struck> {
        let lasts = self.pause(10_000, 20_000);
        self.rig.endpoint.down(true);
        lapse(lasts, LASTS).await;
        self.rig.endpoint.down(false);
        Ok(Struck::of(format!("endpoint, {} ms", lasts.as_millis())))
    }
}

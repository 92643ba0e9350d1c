//! The engines of a run, each behind a proxy that can cut the line to it.

use anyhow::Result;
use testkit::postgres::Server;
use testkit::proxy::Proxy;
use testkit::rabbitmq::Node;
use testkit::system::Shape;

use super::Engines;

/// The product's own interval between heartbeats, in seconds.
const HEARTBEAT: u64 = 10;

/// Ends when dropped.
#[derive(Debug)]
pub struct Ground {
    pub outside: Option<Outside>,
    heartbeat: u64,
}

/// Engines that are processes of their own.
#[derive(Debug)]
pub struct Outside {
    pub node: Node,
    pub node_line: Proxy,
    pub server: Server,
    pub server_line: Proxy,
}

impl Ground {
    /// `freeze`: the shortest freeze in seconds. The broker must notice within it: it waits for two to
    /// three heartbeats.
    pub async fn start(engines: Engines, freeze: u64) -> Result<Self> {
        let heartbeat = (freeze / 4).clamp(1, HEARTBEAT);
        if engines == Engines::Embedded {
            return Ok(Self { outside: None, heartbeat });
        }
        let node = Node::start().await?;
        let server = Server::start().await?;
        let node_line = Proxy::start(vec![node.port()]).await?;
        let server_line = Proxy::start(vec![server.port()]).await?;
        Ok(Self { outside: Some(Outside { node, node_line, server, server_line }), heartbeat })
    }

    /// With so many processes of the ingress, the dispatcher and the deliverer, where they are processes.
    pub async fn shape(&self, [ingresses, dispatchers, deliverers]: [usize; 3]) -> Result<Shape> {
        let Some(outside) = &self.outside else { return Ok(Shape::Whole) };
        let through = |url: String, port: u16, proxy: &Proxy| {
            url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()))
        };
        let amqp = through(outside.node.url(), outside.node.port(), &outside.node_line);
        let database = outside.server.create_database().await?;
        Ok(Shape::Rooms {
            amqp: format!("{amqp}?heartbeat={}", self.heartbeat),
            postgres: through(database, outside.server.port(), &outside.server_line),
            ingresses,
            dispatchers,
            deliverers,
        })
    }
}

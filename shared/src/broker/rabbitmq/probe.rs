//! One look at a node, for `doctor` and `top`: a connection that makes and consumes nothing.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret as _, SecretString};

use super::link::Link;
use crate::topology::{Queue, Topology};

/// What a node tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// RabbitMQ's major version; 0 when it does not tell.
    pub major: u32,
}

/// Connects with these credentials to this virtual host, and closes again. The error is for a person
/// and holds no password.
pub async fn probe(url: &SecretString) -> Result<Probe, String> {
    let uri: AMQPUri = url
        .expose_secret()
        .parse()
        .map_err(|why: String| format!("the URL is not valid: {why}"))?;
    let place = format!("{}:{}", uri.authority.host, uri.authority.port);
    let link = Link::dial(&uri, "switchhook doctor", true).await;
    let link = link.map_err(|error| format!("no connection to {place}: {error}"))?;
    let major = link.server_major;
    link.close().await;
    Ok(Probe { major })
}

/// How much waits in a queue.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Depth {
    pub queue: String,
    /// Jobs that nobody has been given.
    pub ready: u32,
    pub consumers: u32,
}

/// What waits in the queues of an installation, as far as they are there. The queues that hold something,
/// that nobody consumes, or that should be empty come as they are; the others are left out.
pub async fn depths(url: &SecretString, topology: &Topology) -> Result<Vec<Depth>, String> {
    let uri: AMQPUri = url.expose_secret().parse()?;
    let link = Link::dial(&uri, "switchhook top", false).await.map_err(|why| why.to_string())?;
    let mut depths = Vec::new();
    for name in names(topology) {
        // A queue that is not there ends its channel, so each has one of its own.
        let channel = link.open_channel().await.map_err(|why| why.to_string())?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        if let Ok(queue) =
            channel.queue_declare(name.clone().into(), passive, FieldTable::default()).await
        {
            let (ready, consumers) = (queue.message_count(), queue.consumer_count());
            if ready > 0 || consumers == 0 {
                depths.push(Depth { queue: name, ready, consumers });
            }
            // It is closed with its connection otherwise.
            let _ = channel.close(200, "done".into()).await;
        }
    }
    link.close().await;
    Ok(depths)
}

fn names(topology: &Topology) -> Vec<String> {
    let of = |queue: Queue| {
        let partitions =
            topology.partitions().map(move |partition| topology.queue(queue, partition));
        partitions.chain([topology.unrouted(queue), topology.dead(queue)])
    };
    of(Queue::Turns).chain(of(Queue::Deliveries)).collect()
}

//! Looks at a node for `doctor`, `top` and `partitions`, by a connection that consumes nothing; and takes
//! partitions out of use.

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret as _, SecretString};

use super::link::Link;
use crate::topology::{Partition, Queue, Topology};

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
/// or that nobody consumes, come as they are; the others are left out.
pub async fn depths(url: &SecretString, topology: &Topology) -> Result<Vec<Depth>, String> {
    let link = dial(url, "switchhook top").await?;
    let mut depths = look(&link, names(topology)).await?;
    depths.retain(|depth| depth.ready > 0 || depth.consumers == 0);
    link.close().await;
    Ok(depths)
}

/// Takes a set of partitions out of use: what is published to it from now on is unrouted, and whoever
/// starts on it binds it again. Tells what is not empty or is consumed, unrouted jobs included.
pub async fn unbind(url: &SecretString, topology: &Topology) -> Result<Vec<Depth>, String> {
    let link = dial(url, "switchhook partitions").await?;
    let told = |why: lapin::Error| why.to_string();
    for (queue, partition) in partitions(topology) {
        // What is not bound, or not there, ends no channel that others need.
        let channel = link.open_channel().await.map_err(|why| why.to_string())?;
        let (name, key) = (topology.queue(queue, partition), topology.routing_key(partition));
        let unbound = channel
            .queue_unbind(
                name.into(),
                topology.exchange(queue).into(),
                key.into(),
                FieldTable::default(),
            )
            .await;
        if unbound.is_ok() {
            channel.close(200, "done".into()).await.map_err(told)?;
        }
    }
    let unrouted = Queue::ALL.map(|queue| topology.unrouted(queue));
    let names = partitions(topology).map(|(queue, partition)| topology.queue(queue, partition));
    let mut depths = look(&link, names.chain(unrouted).collect()).await?;
    depths.retain(|depth| depth.ready > 0 || depth.consumers > 0);
    link.close().await;
    Ok(depths)
}

/// Removes the queues of a set of partitions that is empty and of no use any more.
pub async fn remove(url: &SecretString, topology: &Topology) -> Result<(), String> {
    let link = dial(url, "switchhook partitions").await?;
    let channel = link.open_channel().await.map_err(|why| why.to_string())?;
    for (queue, partition) in partitions(topology) {
        let name = topology.queue(queue, partition);
        let removed = channel.queue_delete(name.into(), QueueDeleteOptions::default()).await;
        removed.map_err(|why| why.to_string())?;
    }
    link.close().await;
    Ok(())
}

async fn dial(url: &SecretString, name: &str) -> Result<Link, String> {
    let uri: AMQPUri = url.expose_secret().parse()?;
    Link::dial(&uri, name, false).await.map_err(|why| why.to_string())
}

async fn look(link: &Link, names: Vec<String>) -> Result<Vec<Depth>, String> {
    let mut depths = Vec::new();
    for name in names {
        // A queue that is not there ends its channel, so each has one of its own.
        let channel = link.open_channel().await.map_err(|why| why.to_string())?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        if let Ok(queue) =
            channel.queue_declare(name.clone().into(), passive, FieldTable::default()).await
        {
            let (ready, consumers) = (queue.message_count(), queue.consumer_count());
            depths.push(Depth { queue: name, ready, consumers });
            // It is closed with its connection otherwise.
            let _ = channel.close(200, "done".into()).await;
        }
    }
    Ok(depths)
}

fn partitions(topology: &Topology) -> impl Iterator<Item = (Queue, Partition)> + '_ {
    Queue::ALL.into_iter().flat_map(|queue| topology.partitions().map(move |p| (queue, p)))
}

fn names(topology: &Topology) -> Vec<String> {
    let others = Queue::ALL.into_iter().flat_map(|q| [topology.unrouted(q), topology.dead(q)]);
    partitions(topology).map(|(queue, p)| topology.queue(queue, p)).chain(others).collect()
}

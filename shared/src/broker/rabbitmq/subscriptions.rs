//! The consuming connection: opens subscriptions on it, and takes in what was found without a
//! partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use super::consumer::Consumer;
use super::link::{Error, Link};
use super::{Shared, declare};
use crate::broker::{Acker as _, Consumer as _, ConsumerLost};
use crate::domain::ids::TurnId;
use crate::topology::{PREFETCH, Partition, Queue};

/// How long opening a subscription waits for a connection.
const CONNECTION_MAX: Duration = Duration::from_secs(5);
/// A pause after a turn that could not be published again.
const AGAIN: Duration = Duration::from_secs(1);
const UNROUTED_PREFETCH: u16 = 64;
/// Ranks are spread over this range.
const PRIORITIES: u64 = 1_000_000;

/// Offers the connection for subscriptions until it is over.
pub(super) async fn run(shared: &Arc<Shared>, link: &Arc<Link>) -> Result<(), Error> {
    declare::all(shared, link).await?;
    shared.balances.store(link.server_major >= 4, Ordering::Relaxed);
    shared.consuming.send_replace(Some(Arc::clone(link)));
    if shared.config.consume_unrouted {
        tokio::select! {
            biased;
            () = link.ended.cancelled() => {}
            () = take_in_unrouted(shared, link) => {}
        }
    }
    link.ended.cancelled().await;
    shared.consuming.send_replace(None);
    Ok(())
}

/// Subscribes to a partition. Turns are taken only once they can be answered: the connections are made side
/// by side, and replies without one are dropped.
pub(super) async fn partition(
    shared: &Arc<Shared>,
    queue: Queue,
    partition: Partition,
) -> Result<Consumer, ConsumerLost> {
    if queue == Queue::Turns {
        can_reply(shared).await?;
    }
    let link = connected(shared).await?;
    let mut arguments = FieldTable::default();
    if queue.durable() {
        let rank = rank(shared.config.process.as_bytes(), queue, partition);
        arguments.insert("x-priority".into(), AMQPValue::LongInt(rank));
    }
    let name = shared.config.topology.queue(queue, partition);
    open(shared, &link, &name, PREFETCH, arguments).await
}

/// Subscribes to what the broker has dead-lettered.
pub(super) async fn dead(shared: &Arc<Shared>, queue: Queue) -> Result<Consumer, ConsumerLost> {
    let link = connected(shared).await?;
    let name = shared.config.topology.dead(queue);
    open(shared, &link, &name, UNROUTED_PREFETCH, FieldTable::default()).await
}

/// The number of jobs in a queue that are ready to be given out.
pub(super) async fn ready(shared: &Shared, name: &str) -> Result<u64, ConsumerLost> {
    let link = connected(shared).await?;
    let counted = async {
        let channel = link.open_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declared = channel.queue_declare(name.into(), passive, FieldTable::default());
        link.call(declared).await
    };
    let queue = counted.await.map_err(|error| ConsumerLost(error.to_string()))?;
    Ok(queue.message_count().into())
}

/// The connection, as soon as there is one; `None` when the broker was closed.
pub(super) async fn connection(shared: &Shared) -> Option<Arc<Link>> {
    let mut consuming = shared.consuming.subscribe();
    let found = consuming.wait_for(|link| {
        link.as_ref().is_some_and(|link| !link.ended.is_cancelled()) || shared.stop.is_cancelled()
    });
    found.await.ok().and_then(|link| link.clone())
}

async fn connected(shared: &Shared) -> Result<Arc<Link>, ConsumerLost> {
    let link = timeout(CONNECTION_MAX, connection(shared)).await.ok().flatten();
    link.ok_or_else(|| ConsumerLost("there is no connection to the broker".to_owned()))
}

async fn can_reply(shared: &Shared) -> Result<(), ConsumerLost> {
    let mut address = shared.reply_address.subscribe();
    let found = timeout(CONNECTION_MAX, address.wait_for(Option::is_some)).await;
    let why = || ConsumerLost("there is no connection to the broker for replies".to_owned());
    found.ok().and_then(Result::ok).map(drop).ok_or_else(why)
}

/// Opens a subscription; a queue that is missing is declared first.
async fn open(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    queue: &str,
    prefetch: u16,
    arguments: FieldTable,
) -> Result<Consumer, ConsumerLost> {
    let first = subscribe(shared, link, queue, prefetch, arguments.clone()).await;
    let opened = match first {
        Err(error) if declare::is_missing(&error) => {
            let declared = declare::all(shared, link).await;
            declared.map_err(|error| ConsumerLost(error.to_string()))?;
            subscribe(shared, link, queue, prefetch, arguments).await
        }
        other => other,
    };
    opened.map_err(|error| ConsumerLost(error.to_string()))
}

async fn subscribe(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    queue: &str,
    prefetch: u16,
    arguments: FieldTable,
) -> Result<Consumer, Error> {
    let channel = link.open_channel().await?;
    link.call(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    let tag = shared.config.process.simple().to_string();
    let options = BasicConsumeOptions::default();
    let stream =
        link.call(channel.basic_consume(queue.into(), tag.into(), options, arguments)).await?;
    Ok(Consumer::new(shared, Arc::clone(link), channel, stream))
}

/// A process's rank for a partition: all processes compute the same order for it, and a different
/// one for each partition, so that partitions spread evenly (rendezvous hashing).
fn rank(process: &[u8], queue: Queue, partition: Partition) -> i32 {
    let key = [process, queue.as_str().as_bytes(), &partition.0.to_le_bytes()].concat();
    i32::try_from(xxh3_64(&key) % (PRIORITIES + 1)).unwrap_or(0)
}

/// Publishes again what the broker found no partition for, in order, until the connection is over.
async fn take_in_unrouted(shared: &Arc<Shared>, link: &Arc<Link>) {
    let name = shared.config.topology.unrouted(Queue::Turns);
    loop {
        match open(shared, link, &name, UNROUTED_PREFETCH, FieldTable::default()).await {
            Ok(mut consumer) => take_in(shared, link, &mut consumer).await,
            Err(error) => tracing::warn!(%error, "cannot look for turns without a partition"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn take_in(shared: &Arc<Shared>, link: &Arc<Link>, consumer: &mut Consumer) {
    while let Ok(delivery) = consumer.delivery().await {
        shared.metrics.unrouted.inc();
        let key = delivery.routing_key.as_str();
        tracing::error!(
            broker.key = key,
            "a turn was found without a partition; publishing it again"
        );
        let partitions = shared.config.topology.partitions.max(1);
        let Some(partition) = partition_of_key(key).map(|number| Partition(number % partitions))
        else {
            // Not one of ours; nobody could ever tell where it belongs.
            let _ = consumer.acker().ack(delivery.delivery_tag);
            continue;
        };
        let correlation = delivery.properties.correlation_id().as_ref();
        let turn = correlation.and_then(|id| TurnId::parse(id.as_str()));
        let turn = turn.unwrap_or_else(|| TurnId::new(uuid::Uuid::nil()));
        let body = Bytes::from(delivery.data);
        while !again(shared, link, partition, turn, body.clone()).await {
            tokio::time::sleep(AGAIN).await;
        }
        // A stale ack means that the job comes again, and is published once more: harmless.
        let _ = consumer.acker().ack(delivery.delivery_tag);
    }
}

/// Makes the topology whole, then publishes; says whether the broker has confirmed.
async fn again(
    shared: &Arc<Shared>,
    link: &Link,
    partition: Partition,
    turn: TurnId,
    body: Bytes,
) -> bool {
    if let Err(error) = declare::all(shared, link).await {
        tracing::warn!(%error, "cannot declare the missing partition");
        return false;
    }
    let published = shared.publish(partition, turn, body).await;
    if let Err(error) = &published {
        tracing::warn!(%error, turn.id = %turn, "a turn without a partition was not accepted");
    }
    published.is_ok()
}

/// Reads the number at the end of `g1.p07`.
fn partition_of_key(key: &str) -> Option<u16> {
    key.rsplit_once(".p")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_key_tells_its_partition() {
        let topology = crate::topology::Topology::default();
        for partition in topology.partitions() {
            assert_eq!(partition_of_key(&topology.routing_key(partition)), Some(partition.0));
        }
        assert_eq!(partition_of_key("elsewhere"), None);
    }

    #[test]
    fn ranks_spread_the_partitions_over_the_processes() {
        let processes: Vec<_> = (0..4u128).map(|n| uuid::Uuid::from_u128(n << 64)).collect();
        let mut won = [0; 4];
        for partition in (0..256).map(Partition) {
            let ranks = processes.iter().map(|id| rank(id.as_bytes(), Queue::Turns, partition));
            let best = ranks.enumerate().max_by_key(|(_, rank)| *rank).expect("four processes").0;
            won[best] += 1;
        }
        assert!(won.iter().all(|count| (40..=90).contains(count)), "{won:?}");
    }
}

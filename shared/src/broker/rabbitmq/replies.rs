//! The connection for replies and announcements: both ways, best effort, never confirmed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::task::JoinSet;

use super::courier::{self, Courier};
use super::link::{Error, Link};
use super::metrics::Dropped;
use super::{Shared, declare};
use crate::broker::ReplyAddress;

/// Replies that wait to be written.
const REPLIES_MAX: usize = 1_024;
/// Announcements that wait to be written.
const ANNOUNCEMENTS_MAX: usize = 256;
/// The most that the broker keeps for this process while it does not read.
const QUEUE_MAX: i64 = 10_000;

/// The sending ends of one incarnation.
#[derive(Clone, Debug)]
pub(super) struct Couriers {
    pub(super) replies: Courier,
    pub(super) announcements: Courier,
}

/// Sends and receives on this connection until it is over.
pub(super) async fn run(shared: &Arc<Shared>, link: &Arc<Link>) -> Result<(), Error> {
    declare::reply_exchanges(shared, link).await?;
    let topology = &shared.config.topology;
    let (process, nonce) = (shared.config.process.simple().to_string(), shared.entropy.hex(16));
    let address = topology.reply_queue(&process, &nonce);
    let replies = receive(link, &address, shared.names.replies.as_str(), &address).await?;
    let control = topology.control_queue(&process, &nonce);
    let announcements = receive(link, &control, shared.names.control.as_str(), "").await?;

    let mut running = JoinSet::new();
    let courier = async |buffer, kind, running: &mut JoinSet<()>| {
        let channel = link.open_channel().await?;
        let (courier, work) =
            courier::open(Arc::clone(link), channel, buffer, (shared.metrics.clone(), kind));
        running.spawn(work);
        Ok::<_, Error>(courier)
    };
    let couriers = Couriers {
        replies: courier(REPLIES_MAX, Dropped::Reply, &mut running).await?,
        announcements: courier(ANNOUNCEMENTS_MAX, Dropped::Announcement, &mut running).await?,
    };
    shared.couriers.store(Some(Arc::new(couriers)));
    shared.reply_address.send_replace(Some(ReplyAddress(address)));
    let (taken, told) = (Arc::clone(shared), Arc::clone(shared));
    let read_replies = each(replies, move |body| taken.take_reply(body));
    // Nobody listening is no error.
    let read_announcements = each(announcements, move |body| drop(told.announcements.send(body)));
    tokio::select! {
        biased;
        () = link.ended.cancelled() => {}
        () = read_replies => {}
        () = read_announcements => {}
    }
    shared.reply_address.send_replace(None);
    shared.couriers.store(None);
    link.ended.cancel();
    while running.join_next().await.is_some() {}
    Ok(())
}

/// Declares a queue that lives as long as this connection, binds it and consumes it.
async fn receive(
    link: &Link,
    queue: &str,
    exchange: &str,
    key: &str,
) -> Result<lapin::Consumer, Error> {
    let channel = link.open_channel().await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(QUEUE_MAX));
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    link.call(channel.queue_declare(queue.into(), options, arguments)).await?;
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        options,
        FieldTable::default(),
    );
    link.call(bound).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    link.call(channel.basic_consume(queue.into(), "".into(), options, FieldTable::default())).await
}

/// Takes every message until there are no more.
async fn each(mut consumer: lapin::Consumer, mut take: impl FnMut(Bytes)) {
    while let Some(Ok(delivery)) = consumer.next().await {
        take(Bytes::from(delivery.data));
    }
}

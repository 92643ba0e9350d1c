//! AMQP as the bare chain uses it.

use anyhow::{Context as _, ensure};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use tokio::sync::mpsc;

pub(crate) const PREFETCH: u16 = 256;

pub(crate) async fn connect(amqp: &str) -> anyhow::Result<Connection> {
    let connected = Connection::connect(amqp, ConnectionProperties::default()).await;
    connected.context("connecting to RabbitMQ")
}

pub(crate) async fn confirming(connection: &Connection) -> anyhow::Result<Channel> {
    let amqp_channel = connection.create_channel().await?;
    amqp_channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(amqp_channel)
}

/// A durable queue: of type quorum for turns, classic for what is only a doorbell.
pub(crate) async fn declare(amqp_channel: &Channel, name: &str, kind: &str) -> anyhow::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    amqp_channel.queue_declare(name.into(), options, arguments).await?;
    Ok(())
}

pub(crate) async fn delete(amqp: &str, names: &[&str]) -> anyhow::Result<()> {
    let connection = connect(amqp).await?;
    let amqp_channel = connection.create_channel().await?;
    for name in names {
        amqp_channel.queue_delete((*name).into(), QueueDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

pub(crate) async fn consume(
    amqp_channel: &Channel,
    queue: &str,
    no_ack: bool,
) -> anyhow::Result<Consumer> {
    amqp_channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions { no_ack, ..Default::default() };
    let arguments = FieldTable::default();
    Ok(amqp_channel.basic_consume(queue.into(), "".into(), options, arguments).await?)
}

/// Publishes and, on a confirming channel, waits for the confirm.
pub(crate) async fn publish(
    amqp_channel: &Channel,
    queue: &str,
    body: &[u8],
    properties: BasicProperties,
) -> anyhow::Result<()> {
    let options = BasicPublishOptions::default();
    let sent =
        amqp_channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
    ensure!(!sent.await?.is_nack(), "the broker refused a job");
    Ok(())
}

pub(crate) fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

pub(crate) fn transient() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(1)
}

/// Acks in order: the contiguous low-water mark with `multiple`, as tags come in.
pub(crate) async fn ack_in_order(
    amqp_channel: Channel,
    mut done_rx: mpsc::UnboundedReceiver<u64>,
) -> anyhow::Result<()> {
    let mut next = 1;
    let mut early = std::collections::BTreeSet::new();
    let mut ready = Vec::new();
    while done_rx.recv_many(&mut ready, 256).await > 0 {
        early.extend(ready.drain(..));
        let before = next;
        while early.remove(&next) {
            next += 1;
        }
        if next > before {
            amqp_channel.basic_ack(next - 1, BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}

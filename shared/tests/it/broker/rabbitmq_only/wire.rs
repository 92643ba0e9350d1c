//! What travels outside the bodies: fixed properties, no headers, nothing of a user.

use bytes::Bytes;
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, Consumer, message::Delivery};
use shared::broker::{Broker as _, ReplyAddress};
use shared::topology::Queue;

use crate::broker::engine_rabbitmq::RabbitMq;
use crate::broker::harness::{Harness as _, P0, SOON, Setup, TURNS, turn};

/// As a user might write it to be routed elsewhere.
const BODY: &[u8] = br#"{"headers":{"CC":["elsewhere"],"BCC":["elsewhere"]},"expiration":"1"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn properties_are_fixed_and_headers_are_empty() {
    let h = RabbitMq::start(Setup::DEFAULT).await;
    let broker = h.process().await;
    let looker = Connection::connect(&h.node.url(), ConnectionProperties::default()).await.unwrap();
    let (id, body) = (turn(), Bytes::from_static(BODY));

    broker.publish(TURNS, P0, id, body.clone()).await.unwrap();
    let seen = next(&mut watch(&looker, &h.topology.queue(TURNS, P0), None).await).await;
    let correlated = |mode: u8| {
        BasicProperties::default()
            .with_delivery_mode(mode)
            .with_correlation_id(id.to_string().into())
    };
    assert_eq!((seen.properties, &seen.data[..]), (correlated(2), BODY));

    broker.publish(Queue::Deliveries, P0, id, body.clone()).await.unwrap();
    let seen =
        next(&mut watch(&looker, &h.topology.queue(Queue::Deliveries, P0), None).await).await;
    assert_eq!((seen.properties, &seen.data[..]), (correlated(1), BODY));

    let bare = BasicProperties::default().with_delivery_mode(1);
    let replies = h.topology.replies_exchange();
    let mut watched = watch(&looker, "", Some((&replies, "somebody"))).await;
    broker.reply(&ReplyAddress("somebody".into()), body.clone()).await;
    let seen = next(&mut watched).await;
    assert_eq!((seen.properties, &seen.data[..]), (bare.clone(), BODY));

    let control = h.topology.control_exchange();
    let mut watched = watch(&looker, "", Some((&control, ""))).await;
    broker.announce(body.clone()).await;
    let seen = next(&mut watched).await;
    assert_eq!((seen.properties, &seen.data[..]), (bare, BODY));
}

/// Subscribes to a queue, or to a new one with this binding, which is there afterwards.
async fn watch(connection: &Connection, queue: &str, binding: Option<(&str, &str)>) -> Consumer {
    let channel = connection.create_channel().await.unwrap();
    let mut name = queue.to_owned();
    if let Some((exchange, key)) = binding {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let made = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        made.name().as_str().clone_into(&mut name);
        let (queue, exchange, key) = (name.as_str().into(), exchange.into(), key.into());
        let options = QueueBindOptions::default();
        channel.queue_bind(queue, exchange, key, options, FieldTable::default()).await.unwrap();
    }
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let tag = "looker".into();
    channel.basic_consume(name.into(), tag, options, FieldTable::default()).await.unwrap()
}

async fn next(watched: &mut Consumer) -> Delivery {
    tokio::time::timeout(SOON, watched.next()).await.expect("seen in time").unwrap().unwrap()
}

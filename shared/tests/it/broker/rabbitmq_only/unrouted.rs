//! A partition that somebody has deleted: what was confirmed meanwhile is found and brought home.

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use shared::broker::Broker as _;

use crate::broker::engine_rabbitmq::RabbitMq;
use crate::broker::harness::{
    Harness as _, LIMIT, P0, Setup, TURNS, assert_quiet, consume, publish_all, take_numbers,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn turns_without_a_partition_are_brought_home_in_order() {
    let brought = async {
        let h = RabbitMq::start(Setup::DEFAULT).await;
        let mut config = h.config(&[h.node.port()]);
        config.consume_unrouted = false;
        let ingress = RabbitMq::connect(config).await;
        publish_all(&ingress, 0..1).await;
        let looker =
            Connection::connect(&h.node.url(), ConnectionProperties::default()).await.unwrap();
        let channel = looker.create_channel().await.unwrap();
        let name = h.topology.queue(TURNS, P0);
        let deleted = channel.queue_delete(name.into(), QueueDeleteOptions::default()).await;
        assert_eq!(deleted.unwrap(), 1);
        // Nothing is there to take them, and still they are confirmed.
        publish_all(&ingress, 1..20).await;
        let dispatcher = h.process().await;
        let mut consumer = consume(&dispatcher).await;
        let home: Vec<_> = (1..20).collect();
        assert_eq!(take_numbers(&mut consumer, 19).await, home);
        publish_all(&ingress, 20..25).await;
        assert_eq!(take_numbers(&mut consumer, 5).await, [20, 21, 22, 23, 24]);
        assert_quiet(&mut consumer).await;
        ingress.close().await;
    };
    tokio::time::timeout(LIMIT, brought).await.expect("ended in time");
}

//! The connections of a process are made side by side, and any of them may be the last.

use std::pin::pin;

use shared::broker::rabbitmq::{Metrics, RabbitMq as Engine};
use shared::broker::{Broker as _, Health};
use shared::entropy::Entropy;
use shared::topology::Queue;
use tokio::time::timeout;

use crate::broker::engine_rabbitmq::{RabbitMq, ready};
use crate::broker::harness::{
    Harness as _, LIMIT, P0, QUIET, SOON, Setup, TURNS, publish_all, take_numbers,
};
use crate::broker::proxy::Proxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn turns_are_taken_only_once_they_can_be_answered() {
    let taken = async {
        let h = RabbitMq::start(Setup::DEFAULT).await;
        let ingress = h.process().await;
        publish_all(&ingress, 0..1).await;
        let proxy = Proxy::start(h.node.port()).await;
        // The connection for replies introduces itself, and is not heard.
        proxy.hold_from("test reply ");
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let late = Engine::connect(h.config(&[proxy.port]), Entropy::Real, metrics).unwrap();
        let mut health = late.health();
        timeout(SOON, health.wait_for(|health| *health == Health::Up)).await.unwrap().unwrap();
        // What asks for no answer is taken at once.
        late.consume(Queue::Deliveries, P0).await.unwrap();
        let mut consuming = pin!(late.consume(TURNS, P0));
        assert!(timeout(QUIET, &mut consuming).await.is_err(), "it could not have answered");
        proxy.hold(false);
        timeout(SOON, ready(&late)).await.unwrap();
        let mut consumer = consuming.await.unwrap();
        assert_eq!(take_numbers(&mut consumer, 1).await, [0]);
        late.close().await;
        ingress.close().await;
    };
    timeout(LIMIT, taken).await.expect("ended in time");
}

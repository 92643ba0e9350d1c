//! What depends on the engines, on RabbitMQ and PostgreSQL.

use std::time::Duration;

use testkit::postgres::Server;

use super::support::receiver::{Answer, Receiver};
use super::support::until;
use super::support::world::{World, endpoint};
use super::{crash, order};
use testkit::pair::Served;

#[tokio::test]
async fn on_rabbitmq_and_postgres_conversations_keep_their_order() {
    order::conversations_keep_their_order(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_post_whose_deliverer_died_is_made_again() {
    crash::a_post_is_made_again(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_retry_whose_owner_died_is_on_time() {
    crash::a_retry_is_on_time(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_deliverer_that_stops_leaves_the_rest_to_the_next() {
    crash::a_stop_leaves_the_rest(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn an_outcome_is_written_until_it_is_known_and_the_post_is_not_repeated() {
    let receiver = Receiver::start(|_, _| Answer::Slow(Duration::from_secs(1), 200)).await;
    let server = Server::start().await.unwrap();
    let node = testkit::rabbitmq::shared().await.unwrap();
    let world =
        World::on(Served::with(node, &server).await.unwrap(), endpoint(receiver.url())).await;
    let deliverer = world.deliverer().await;
    let ann = world.user("ann");
    world.say(&ann, &["one"]).await;
    receiver.got(1).await;
    server.kill9().await;
    until("the POST has ended", || async { deliverer.metric("deliverer_in_flight", None) == 0 })
        .await;
    server.restart().await.unwrap();
    until("the outcome is written", || async {
        deliverer.metric("deliverer_settled_total", Some("delivered")) == 1
    })
    .await;
    world.say(&ann, &["two"]).await;
    world.settled(&ann).await;
    assert_eq!(receiver.texts(), ["one", "two"]);
    assert_eq!(deliverer.metric("deliverer_missed_total", None), 0);
}

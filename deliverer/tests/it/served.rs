//! What depends on the engines, on RabbitMQ and PostgreSQL.

use super::support::pair::Served;
use super::{crash, order};

#[tokio::test]
async fn on_rabbitmq_and_postgres_conversations_keep_their_order() {
    order::conversations_keep_their_order(Served::start().await).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_post_whose_deliverer_died_is_made_again() {
    crash::a_post_is_made_again(Served::start().await).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_retry_whose_owner_died_is_on_time() {
    crash::a_retry_is_on_time(Served::start().await).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_deliverer_that_stops_leaves_the_rest_to_the_next() {
    crash::a_stop_leaves_the_rest(Served::start().await).await;
}

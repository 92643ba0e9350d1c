//! What depends on the engines, on RabbitMQ and PostgreSQL.

use std::time::Duration;

use serde_json::json;
use shared::domain::outcome::Outcome;
use testkit::postgres::Server;

use super::support::bot::{Do, Scripted};
use super::support::world::{World, a_bot};
use super::{poison, sessions};
use testkit::pair::Served;

#[tokio::test]
async fn on_rabbitmq_and_postgres_order_and_state_hold_while_dispatchers_come_and_go() {
    sessions::order_and_state_hold(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_poison_is_parked_and_the_next_goes_on() {
    poison::poison_is_parked(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn on_rabbitmq_and_postgres_a_good_turn_survives_rolling_restarts() {
    poison::restarts_are_survived(Served::start().await.unwrap()).await;
}

#[tokio::test]
async fn kill_9_of_the_database_in_mid_load_costs_no_turn_and_doubles_none() {
    const TURNS: usize = 40;
    let server = Server::start().await.unwrap();
    let node = testkit::rabbitmq::shared().await.unwrap();
    let world = World::on(Served::with(node, &server).await.unwrap(), a_bot()).await;
    let bot = Scripted::always(Do::Slow(Duration::from_millis(5)));
    let _dispatcher = world.dispatcher(&bot).await;
    let mut turns = Vec::new();
    for n in 0..TURNS {
        for user in ["ann", "bob", "cyd"] {
            turns.push(world.say(user, &n.to_string()).await);
        }
        if n % 10 == 5 {
            server.kill9().await;
            server.restart().await.unwrap();
        }
    }
    for turn in &turns {
        world.answer(turn).await;
        assert_eq!(world.settled(turn).await.outcome, Outcome::Answered);
    }
    let expected: Vec<_> = (0..TURNS).map(|n| n.to_string()).collect();
    for user in ["ann", "bob", "cyd"] {
        assert_eq!(world.kept(user).await, json!({ "list": expected }), "{user}");
    }
}

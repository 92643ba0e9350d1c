//! The private RabbitMQ: started, killed, started again, stopped.

use testkit::rabbitmq::Node;

#[tokio::test]
async fn rabbitmq_starts_comes_back_after_a_kill_and_stops() {
    let node = Node::start().await.unwrap();
    node.ctl(&["add_user", "kept", "secret"]).await.unwrap();
    node.kill9().await;
    assert!(node.pid().is_none());
    node.restart().await.unwrap();
    let users = node.ctl(&["list_users"]).await.unwrap();
    assert!(users.contains("kept"), "{users}");
    node.alarm(true).await.unwrap();
    node.alarm(false).await.unwrap();
    node.stop().await.unwrap();
    assert!(node.pid().is_none());
}

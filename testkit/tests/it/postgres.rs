//! The private PostgreSQL: started, killed, started again, stopped.

use testkit::postgres::Server;

#[tokio::test]
async fn postgres_starts_keeps_its_data_over_a_kill_and_stops() {
    let server = Server::start().await.unwrap();
    server
        .execute("postgres", "create table kept (n int); insert into kept values (1)")
        .await
        .unwrap();
    server.kill9().await;
    assert!(server.pid().is_none());
    assert!(server.execute("postgres", "select 1").await.is_err());
    server.restart().await.unwrap();
    server.execute("postgres", "select 1 / (select count(*) from kept)").await.unwrap();
    let (one, two) =
        (server.create_database().await.unwrap(), server.create_database().await.unwrap());
    assert_ne!(one, two);
    server.stop().await.unwrap();
    assert!(server.execute("postgres", "select 1").await.is_err());
}

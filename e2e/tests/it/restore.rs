//! The runbook's drill "back up and restore": what a backup holds is there again, what came after it is not,
//! and what the broker still keeps takes effect on what was restored.

use std::os::unix::fs::DirBuilderExt as _;

use e2e::history::Post;
use e2e::rig::Rig;
use testkit::postgres::Server;
use testkit::rabbitmq::Node;
use testkit::system::Shape;

use crate::support::drill::{append, ask, posted, rooms, run, say, start, strays, tell};

/// Speaks on the synchronous channel.
const ANN: usize = 1;
const BEN: usize = 2;
/// Speaks on the asynchronous one.
const EVE: usize = 3;

/// What is there when the backup is made: two lists, and a delivery that its receiver has refused so far.
async fn before(rig: &Rig) -> Post {
    for user in [ANN, BEN] {
        append(rig, user, 1, &[1]).await;
        append(rig, user, 2, &[1, 2]).await;
    }
    rig.endpoint.down(true);
    tell(rig, EVE, 1).await;
    posted(rig, EVE, &[1], 503).await
}

/// What comes between the backup and the loss: one more message each, and the delivery arrives.
async fn after(rig: &Rig, refused: &Post) {
    for user in [ANN, BEN] {
        append(rig, user, 3, &[1, 2, 3]).await;
    }
    rig.endpoint.down(false);
    let delivered = posted(rig, EVE, &[1], 204).await;
    assert_eq!((&delivered.webhook_id, delivered.body), (&refused.webhook_id, refused.body));
}

/// Eve's second message is accepted and not worked on: it is on the broker and nowhere else. Then an engine is
/// lost, and all processes stop.
async fn accept_and_stop(rig: &Rig, loss: impl Future<Output = ()>) {
    for dispatcher in rig.system.room("dispatcher") {
        dispatcher.stop().await.unwrap();
    }
    tell(rig, EVE, 2).await;
    loss.await;
    for process in rig.system.processes() {
        process.stop().await.unwrap();
    }
}

/// What is there again, and what is not: Ann's third message is forgotten and she does not know, Ben's client
/// repeats his with its key. The delivery comes a second time, and its receiver can tell by its id.
async fn restored(rig: &Rig, refused: &Post) {
    append(rig, ANN, 4, &[1, 2, 4]).await;
    append(rig, BEN, 3, &[1, 2, 3]).await;
    append(rig, BEN, 4, &[1, 2, 3, 4]).await;
    let twice = testkit::until("the delivery, a second time", || async {
        let posts = crate::support::drill::posts(rig, EVE);
        let done = posts.iter().filter(|post| post.list == [1] && post.status == 204);
        let done: Vec<_> = done.cloned().collect();
        if done.len() == 2 { Ok(done) } else { Err(format!("{posts:?}")) }
    });
    for post in twice.await {
        assert_eq!((&post.webhook_id, post.body), (&refused.webhook_id, refused.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_goes_on_in_an_empty_server_as_of_its_moment_with_what_the_broker_kept() {
    let (node, lost) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = lost.create_database().await.unwrap();
    let rig = rooms(node.url(), postgres.clone()).await;
    let refused = before(&rig).await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("switchhook.dump").display().to_string();
    run("pg_dump", &["--format=custom", "--file", &dump, &postgres]).await;
    after(&rig, &refused).await;
    accept_and_stop(&rig, lost.kill9()).await;

    let fresh = Server::start().await.unwrap();
    let postgres = fresh.create_database().await.unwrap();
    let into = ["--exit-on-error", "--single-transaction", "--no-owner", "--dbname", &postgres];
    run("pg_restore", &[&into[..], &[dump.as_str()]].concat()).await;
    let doctor = rig.system.run(&["doctor", "--postgres", &postgres]).await.unwrap();
    assert!(doctor.contains("their secrets open"), "{doctor}");
    for process in rig.system.processes() {
        let there = ("SWITCHHOOK_ENGINES_POSTGRES", postgres.clone());
        process.restart_with(&[there]).await.unwrap();
    }
    restored(&rig, &refused).await;
    posted(&rig, EVE, &[1, 2], 204).await;
    tell(&rig, EVE, 3).await;
    posted(&rig, EVE, &[1, 2, 3], 204).await;
    assert_eq!(strays(&postgres).await, "0");
    let refusals = "select count(*) from turn where parked is not null";
    assert_eq!(ask(&postgres, refusals).await, "0");
}

/// The broker is lost, and the database is not: what was accepted and not worked on is gone, all else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_broker_costs_what_it_held_and_nothing_else() {
    let (lost, server) = (Node::start().await.unwrap(), Server::start().await.unwrap());
    let postgres = server.create_database().await.unwrap();
    let rig = rooms(lost.url(), postgres.clone()).await;
    let refused = before(&rig).await;
    let fresh = Node::start().await.unwrap();
    accept_and_stop(&rig, lost.kill9()).await;
    rig.endpoint.down(false);
    for process in rig.system.processes() {
        let there = ("SWITCHHOOK_ENGINES_AMQP", fresh.url());
        process.restart_with(&[there]).await.unwrap();
    }
    append(&rig, ANN, 3, &[1, 2, 3]).await;
    let delivered = posted(&rig, EVE, &[1], 204).await;
    assert_eq!(delivered.webhook_id, refused.webhook_id);
    // The second message is lost, though its client was told 200.
    tell(&rig, EVE, 3).await;
    posted(&rig, EVE, &[1, 3], 204).await;
    // Its client's key is known, and stands for a turn that nobody works on: it is put on the broker again.
    let (status, answer) = say(&rig, &rig.asynchronous, EVE, 2).await;
    assert_eq!(status, 200, "{answer}");
    posted(&rig, EVE, &[1, 3, 2], 204).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_the_embedded_engines_is_copied_at_work_and_opens_elsewhere() {
    let rig = start(Shape::Whole).await;
    let refused = before(&rig).await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("data");
    std::fs::DirBuilder::new().mode(0o700).create(&copy).unwrap();
    let from = rig.system.data().join("switchhook.db").display().to_string();
    let into = format!("vacuum into '{}'", copy.join("switchhook.db").display());
    run("sqlite3", &["-readonly", &from, &into]).await;
    after(&rig, &refused).await;
    let process = &rig.system.processes()[0];
    process.kill9();
    let there = ("SWITCHHOOK_ENGINES_DATA", copy.display().to_string());
    process.restart_with(&[there]).await.unwrap();
    restored(&rig, &refused).await;
    tell(&rig, EVE, 2).await;
    posted(&rig, EVE, &[1, 2], 204).await;
}

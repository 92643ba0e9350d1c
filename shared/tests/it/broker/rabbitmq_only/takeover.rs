//! How soon another process is given the partition of one that is gone.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use shared::broker::{Broker as _, Consumer as _};
use tokio::time::Instant;

use crate::broker::engine_rabbitmq::RabbitMq;
use crate::broker::harness::{
    Harness as _, LIMIT, SOON, Setup, assert_quiet, consume, publish, take, take_numbers, until,
};
use crate::broker::proxy::Proxy;

/// A retry's doorbell that is due ten seconds after its owner has died.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_idle_partition_whose_owner_died_delivers_a_later_job_within_two_seconds() {
    let taken_over = async {
        let h = RabbitMq::start(Setup::DEFAULT).await;
        let (owner, heir) = (h.process().await, h.process().await);
        let mut owners = consume(&owner).await;
        publish(&owner, 0).await.unwrap();
        take(&mut owners, 1).await;
        let mut heirs = consume(&heir).await;
        h.kill(&owner).await;
        let died = Instant::now();
        // What the owner held comes at once; this is how long the hand-over takes.
        take(&mut heirs, 1).await;
        let handed_over = died.elapsed();
        assert!(handed_over < Duration::from_secs(10), "{handed_over:?}");
        testkit::lapse_until(died + Duration::from_secs(10), "so late the doorbell is due").await;
        let due = Instant::now();
        publish(&heir, 1).await.unwrap();
        take(&mut heirs, 1).await;
        let late = due.elapsed();
        eprintln!("handed over after {handed_over:?}; delivered {late:?} after it was due");
        assert!(late < Duration::from_secs(2), "{late:?}");
    };
    tokio::time::timeout(LIMIT, taken_over).await.expect("ended in time");
}

/// Nobody closes its sockets, so that the broker has to miss its heartbeats.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_vanishes_is_replaced_and_may_not_settle_anything_later() {
    let replaced = async {
        let h = RabbitMq::start(Setup::DEFAULT).await;
        let proxy = Proxy::start(h.node.port()).await;
        let mut config = h.config(&[proxy.port]);
        let url = format!("{}?heartbeat=1", config.urls[0].expose_secret());
        config.urls = vec![SecretString::from(url)];
        let vanishing = RabbitMq::connect(config).await;
        let mut old = consume(&vanishing).await;
        for number in 0..3 {
            publish(&vanishing, number).await.unwrap();
        }
        let jobs = take(&mut old, 3).await;
        proxy.hold(true);
        let heir = h.process().await;
        let mut new = consume(&heir).await;
        assert_eq!(take_numbers(&mut new, 3).await, [0, 1, 2]);
        // Its acks go nowhere, whether they are refused at once or lost on the way.
        let acker = old.acker();
        for job in &jobs {
            let _ = shared::broker::Acker::ack(&acker, job.tag);
        }
        proxy.hold(false);
        let told = async { while old.next().await.is_ok() {} };
        tokio::time::timeout(SOON, told).await.expect("told in time");
        until("its acks are refused", || async { shared::broker::Acker::ack(&acker, 3).is_err() })
            .await;
        new.close().await;
        let mut last = consume(&heir).await;
        assert_eq!(take_numbers(&mut last, 3).await, [0, 1, 2]);
        assert_quiet(&mut last).await;
        heir.close().await;
    };
    tokio::time::timeout(LIMIT, replaced).await.expect("ended in time");
}

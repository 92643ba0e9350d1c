//! The broker's conformance suite: every promise of `shared::broker`, on every engine.
//!
//! RabbitMQ is Debian's own, or 4.x where `SWITCHHOOK_TEST_RABBITMQ_ROOT` names a folder with it.

/// Makes a test of each function for every engine.
macro_rules! conformance {
    ($setup:expr; $($name:ident),+ $(,)?) => {
        mod embedded {
            conformance!(@tests $crate::broker::engine_embedded::Embedded, $setup; $($name),+);
        }
        mod rabbitmq {
            conformance!(@tests $crate::broker::engine_rabbitmq::RabbitMq, $setup; $($name),+);
        }
    };
    (@tests $engine:ty, $setup:expr; $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                use $crate::broker::harness::{Harness as _, LIMIT, Setup};
                let harness = <$engine>::start($setup).await;
                tokio::time::timeout(LIMIT, super::$name(harness)).await.expect("ended in time");
            }
        )+
    };
}

mod door;
mod doorbells;
mod engine_embedded;
mod engine_rabbitmq;
mod harness;
mod limits;
mod order;
mod proxy;
mod replies;
mod scale;

/// What only RabbitMQ can show.
mod rabbitmq_only {
    mod balance;
    mod comeback;
    mod connections;
    mod nodes;
    mod outage;
    mod takeover;
    mod unrouted;
    mod wire;
}

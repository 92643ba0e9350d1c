//! The broker's conformance suite: every promise of `shared::broker`, on every engine.
//!
//! RabbitMQ is Debian's own, or 4.x where `SWITCHHOOK_TEST_RABBITMQ_ROOT` names a folder with it.

/// Makes a test of each function for every engine.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod rabbitmq {
            conformance!(@tests $crate::broker::engine_rabbitmq::RabbitMq; $($name),+);
        }
    };
    (@tests $engine:ty; $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                use $crate::broker::harness::{Harness as _, LIMIT};
                let harness = <$engine>::start(Default::default()).await;
                tokio::time::timeout(LIMIT, super::$name(harness)).await.expect("ended in time");
            }
        )+
    };
}

mod engine_rabbitmq;
mod harness;
mod order;
mod proxy;

//! The store's conformance suite: every promise of `shared::store`, on every engine.
//!
//! It is written against the contract alone. What the doors do not show (why a delivery was parked,
//! what is left of a user) the harness reads from the tables themselves.

/// Makes a test of each function for both engines, or only for the one that can show it.
macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            conformance!(@tests $crate::store::engine_sqlite::Sqlite; $($name),+);
        }
        mod postgres {
            conformance!(@tests $crate::store::engine_postgres::Postgres; $($name),+);
        }
    };
    (postgres only: $($name:ident),+ $(,)?) => {
        mod postgres_only {
            conformance!(@tests $crate::store::engine_postgres::Postgres; $($name),+);
        }
    };
    (own server: $($name:ident),+ $(,)?) => {
        mod own_server {
            conformance!(@tests $crate::store::engine_postgres::Alone; $($name),+);
        }
    };
    (@tests $engine:ty; $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                use $crate::store::harness::{Harness as _, LIMIT};
                let harness = <$engine>::start().await;
                tokio::time::timeout(LIMIT, super::$name(harness)).await.expect("ended in time");
            }
        )+
    };
}

mod clean;
mod commit;
mod control;
mod days;
mod engine_postgres;
mod engine_sqlite;
mod erase;
mod facts;
mod faults;
mod fixtures;
mod group;
mod harness;
mod heads;
mod idempotency;
mod lease;
mod ledger;
mod lives;
mod marks;
mod migrate;
mod outcomes;
mod park;
mod presence;
mod race;
mod redrive;
mod registry;
mod replay;
mod replay_kills;
mod scale;
mod settle;
mod sweep;
mod tally;
mod tls;
mod upgrade;
mod wider;

//! A small world: engines in a folder, a store that fails when told to, bots by closure, dispatchers.

pub(crate) mod bot;
pub(crate) mod faulty;
pub(crate) mod server;
pub(crate) mod world;

use std::future::Future;
use std::time::Duration;

/// The longest that anything that has to happen may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Looks until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, looking).await.is_ok(), "not within {SOON:?}: {what}");
}

//! A small world: engines in a folder, one or more channels, deliverers, receivers.

pub(crate) mod receiver;
pub(crate) mod world;

use std::time::Duration;

/// The longest that anything that has to happen may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Looks until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, looking).await.is_ok(), "not within {SOON:?}: {what}");
}

//! Migrations are in the binary, and harmless to run again or by many at once.

use shared::store::{Intake as _, RegistryStore as _, Upkeep as _};
use tokio::task::JoinSet;

use super::fixtures::World;
use super::harness::Harness;

conformance! {
    migrating_again_changes_nothing,
    four_processes_may_migrate_at_one_moment,
    an_empty_registry_is_read,
    a_ping_tells_that_the_database_works,
}

async fn migrating_again_changes_nothing<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    let rows = world.h.rows().await;
    world.s.migrate().await.unwrap();
    world.h.other().await.migrate().await.unwrap();
    assert_eq!(world.h.rows().await, rows);
    assert_eq!(world.conversation(&key).await.version, said.done.version);
    world.say(&key, &["two"]).await;
}

async fn four_processes_may_migrate_at_one_moment<H: Harness>(h: H) {
    let mut running = JoinSet::new();
    for _ in 0..4 {
        let store = h.other().await;
        running.spawn(async move { store.migrate().await });
    }
    for result in running.join_all().await {
        result.unwrap();
    }
    let world = World::new(h).await;
    world.say(&world.user("ann"), &["one"]).await;
}

async fn an_empty_registry_is_read<H: Harness>(h: H) {
    let store = h.store();
    store.migrate().await.unwrap();
    let registry = store.registry().await.unwrap();
    assert!(registry.apps.is_empty() && registry.bots.is_empty() && registry.channels.is_empty());
}

async fn a_ping_tells_that_the_database_works<H: Harness>(h: H) {
    let store = h.store();
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
}

//! The life of a process that runs rooms.

use std::time::Duration;

use shared::broker::Broker;
use shared::config::{Settings, load_from};
use shared::engines::Options;
use shared::ground::Ground;
use shared::keys::WhenMissing;
use shared::lifecycle::Lifecycle;
use shared::process::{Rooms, bind, live};
use shared::store::Store;

/// A room of which a task dies while nobody looks.
struct Dies;

impl Rooms for Dies {
    async fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        _: Settings,
    ) -> anyhow::Result<Vec<Lifecycle>> {
        let part = ground.lifecycle.part();
        part.spawn(async { panic!("a mistake of ours") });
        Ok(vec![part])
    }

    fn cleans(&self) -> bool {
        false
    }
}

/// It would go on looking alive, and do nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_which_a_task_has_panicked_ends_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [("engines.data", folder.path().display().to_string())];
    let settings = load_from(None, &flags, []).unwrap();
    let admin = bind("admin.listen", ([127, 0, 0, 1], 0).into()).unwrap();
    let options =
        Options { name: "test", keys: WhenMissing::Make, migrate: true, dispatches: false };
    let lived = tokio::time::timeout(Duration::from_mins(1), live(settings, admin, options, Dies));
    let failure = lived.await.expect("it ends by itself").expect_err("it has failed");
    assert_eq!(failure.code, 1);
    assert!(failure.message.contains("panicked"), "{}", failure.message);
}

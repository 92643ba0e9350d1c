//! `up --watch`: a registry file, or a folder of them, is applied when `up` starts, and again whenever it or a
//! script that it names has changed. What cannot be applied changes nothing: what runs goes on.
//!
//! Files are looked at, not listened for: that needs no library, and is told the same by every file system, also
//! by those of containers and networks, which send no events.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use shared::broker::Broker;
use shared::engines;
use shared::ground::Ground;
use shared::process::Failure;
use shared::store::Store;

use super::super::registry::{files, print_line};
use crate::office::apply::Line;
use crate::office::execute::Desk;
use crate::office::{Request, Response};
use crate::output;

/// Between two looks. A change is applied when the next look finds nothing newer: an editor may write in parts.
const LOOK: Duration = Duration::from_millis(300);

/// What a look finds of a file; none where there is no file.
type Stamp = Option<(SystemTime, u64, u64)>;
type Look = BTreeMap<PathBuf, Stamp>;

/// Keeps a registry as a file says.
pub(super) struct Reload<B, S> {
    path: PathBuf,
    ground: Ground<B, S>,
    desk: Desk<S>,
    /// What was there when the file was applied last.
    applied: Look,
}

impl<B: Broker, S: Store> Reload<B, S> {
    /// Applies the file for the first time.
    pub(super) async fn begin(
        path: PathBuf,
        ground: Ground<B, S>,
        desk: Desk<S>,
    ) -> Result<Self, Failure> {
        let mut reload = Self { path, ground, desk, applied: Look::new() };
        let found = look(&reload.path);
        reload.take(found).await?;
        Ok(reload)
    }

    /// Applies it again after each change, until the ground's life ends. Never in the middle of that.
    pub(super) fn go_on(mut self) {
        let (life, stop) = (self.ground.lifecycle.clone(), self.ground.lifecycle.stop());
        life.spawn(async move {
            let mut last = self.applied.clone();
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LOOK) => {}
                }
                let found = look(&self.path);
                let is_whole = found == last;
                last.clone_from(&found);
                if is_whole && found != self.applied && self.take(found).await.is_err() {
                    // Nobody reads what it prints.
                    return;
                }
            }
        });
    }

    /// Applies what is there, and prints what came of it. Fails when that cannot be printed.
    async fn take(&mut self, found: Look) -> Result<(), Failure> {
        // What changes from here on is found by the next look.
        self.applied = found;
        let path = self.path.display();
        match self.apply().await {
            Ok(lines) => {
                let changed: Vec<_> =
                    lines.iter().filter(|line| line.done != "unchanged").collect();
                if changed.is_empty() {
                    return output::line(&format!("{path}: nothing has changed"));
                }
                output::line(&format!("{path} is applied:"))?;
                changed.iter().try_for_each(|line| print_line(line))?;
                if changed.iter().any(|line| line.done == "edited") {
                    let hint = "what is edited waits: `switchhook bot publish BOT`, or `approve = true` of a channel";
                    output::line(hint)?;
                }
                Ok(())
            }
            Err(why) => output::line(&format!("{path} is not applied, what runs goes on: {why}")),
        }
    }

    async fn apply(&self) -> Result<Vec<Line>, String> {
        let file = files::read(&self.path).map_err(|failure| failure.message)?;
        let response = self.desk.execute(Request::Apply { file, rehearse: false }).await;
        // A part may be done where the rest was refused. What is told runs.
        if self.ground.registry.refresh(&self.ground.store).await.is_err() {
            self.ground.registry.invalidate();
        }
        engines::announce_change(&self.ground.broker, &self.ground.keys).await;
        match response {
            Response::Applied(lines) => Ok(lines),
            Response::Refused(why) => Err(why),
            _ => Err("it was answered with what is no answer to it".to_owned()),
        }
    }
}

fn look(path: &Path) -> Look {
    let stamp = |path: &PathBuf| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len(), about.ino()))
    };
    files::named(path).into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

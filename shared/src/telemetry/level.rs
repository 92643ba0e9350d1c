//! The log's level while the process runs: another one for a while, and then what the settings say again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::OUTCOME;

/// Whose level can be changed: what others log at their lower levels is not ours to vouch for.
const OURS: [&str; 8] =
    ["shared", "ingress", "dispatcher", "deliverer", "console", "switchhook", "script", OUTCOME];
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// The longest that another level may hold.
const LONGEST: Duration = Duration::from_hours(24);

type Apply = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// Changes the level. Cheap to clone.
#[derive(Clone)]
pub struct LogLevel {
    configured: Arc<str>,
    apply: Arc<Apply>,
    changed: Arc<watch::Sender<Option<Changed>>>,
}

/// Another level than that of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// As it was asked for: `debug`, or `dispatcher=trace,shared=debug`.
    pub level: String,
    pub until: Instant,
}

/// Why a level was not changed, in words for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl LogLevel {
    /// `apply` puts directives into force.
    pub fn new(
        configured: &str,
        apply: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let changed = Arc::new(watch::Sender::new(None));
        Self { configured: configured.into(), apply: Arc::new(apply), changed }
    }

    /// What the settings say.
    pub fn configured(&self) -> &str {
        &self.configured
    }

    /// What is in force instead of it.
    pub fn changed(&self) -> Option<Changed> {
        self.changed.borrow().clone()
    }

    /// Puts another level into force until `lasting` has passed, or until the next change.
    pub fn change(&self, wanted: &str, lasting: Duration) -> Result<(), Refused> {
        if lasting.is_zero() || lasting > LONGEST {
            return Err(Refused("it may last up to 24h".to_owned()));
        }
        let ours = directives(wanted)?;
        (self.apply)(&format!("{},{ours}", self.configured)).map_err(Refused)?;
        let level = wanted.trim().to_owned();
        let seconds = lasting.as_secs();
        tracing::warn!(
            log.level = level,
            log.seconds = seconds,
            "the log's level is changed for a while"
        );
        self.changed.send_replace(Some(Changed { level, until: Instant::now() + lasting }));
        Ok(())
    }

    /// What the settings say, at once.
    pub fn restore(&self) {
        let was = self.changed.send_replace(None);
        match (self.apply)(&self.configured) {
            Ok(()) if was.is_some() => {
                tracing::warn!(log.level = %self.configured, "the log's level is that of the settings again");
            }
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "the log's level cannot be changed"),
        }
    }

    /// Sees to it that a change ends. Runs as long as the process.
    pub async fn keep(self) {
        let mut changed = self.changed.subscribe();
        loop {
            let until = changed.borrow_and_update().as_ref().map(|changed| changed.until);
            let ends = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = ends => self.restore(),
            }
        }
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLevel").field("configured", &self.configured).finish_non_exhaustive()
    }
}

/// Directives for our own crates alone: a level for all of them, or `CRATE=LEVEL`, comma separated.
fn directives(wanted: &str) -> Result<String, Refused> {
    let mut directives = Vec::new();
    for item in wanted.trim().split(',').map(str::trim) {
        let (target, level) = item.split_once('=').map_or((None, item), |(t, l)| (Some(t), l));
        if !LEVELS.contains(&level) {
            return Err(Refused(format!("a level is one of {}", LEVELS.join(", "))));
        }
        match target {
            None => directives.extend(OURS.map(|target| format!("{target}={level}"))),
            Some(target) if OURS.contains(&target) => directives.push(format!("{target}={level}")),
            Some(_) => return Err(Refused(format!("a target is one of {}", OURS.join(", ")))),
        }
    }
    Ok(directives.join(","))
}

#[cfg(test)]
#[path = "level_tests.rs"]
mod tests;

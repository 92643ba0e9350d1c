//! Keeps one connection: makes it, runs what belongs on it as one incarnation, and makes it again,
//! on the next node, when it is over. lapin's own recovery is off: it would carry acknowledgements
//! and publishes of one connection over to the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::link::{Error, Link};
use super::{Shared, publisher, replies, subscriptions};

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// A connection that lived this long has nothing to do with the failures before it.
const HEALTHY: Duration = Duration::from_secs(10);

/// The connections of a process: a blocked one must not hold up acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Consume,
    Reply,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Publish, Self::Consume, Self::Reply];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::Reply => "reply",
        }
    }
}

/// Runs until the broker is closed.
pub(super) async fn supervise(shared: Arc<Shared>, role: Role) {
    let name = format!("{} {} {}", shared.config.room, role.as_str(), shared.config.process);
    let mut node = 0;
    let mut failures = 0;
    while !shared.stop.is_cancelled() {
        let began = Instant::now();
        let uri = &shared.uris[node % shared.uris.len()];
        let result = match Link::dial(uri, &name, role == Role::Consume).await {
            Ok(link) => incarnation(&shared, role, Arc::new(link)).await,
            Err(error) => Err(error),
        };
        if shared.stop.is_cancelled() {
            break;
        }
        let why = result.map_or_else(|error| error.to_string(), |()| "the connection ended".into());
        node += 1;
        failures = if began.elapsed() > HEALTHY { 0 } else { failures + 1 };
        let wait = back_off(failures, shared.entropy.chance());
        tracing::warn!(
            broker.connection = role.as_str(), broker.node = %uri.authority.host, error = %why,
            wait_ms = wait.as_millis(), "the connection to the broker is gone; making it again"
        );
        shared.metrics.reconnected(role.as_str());
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Everything on one connection, from its first channel to its end.
async fn incarnation(shared: &Arc<Shared>, role: Role, link: Arc<Link>) -> Result<(), Error> {
    let events = link.events();
    let watched = link.watch(events, |blocked| {
        if role == Role::Publish {
            shared.set_blocked(blocked);
        }
    });
    let run = async {
        let result = match role {
            Role::Publish => publisher::run(shared, &link).await,
            Role::Consume => subscriptions::run(shared, &link).await,
            Role::Reply => replies::run(shared, &link).await,
        };
        link.ended.cancel();
        result
    };
    let ended = async {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => link.ended.cancel(),
            () = link.ended.cancelled() => {}
        }
    };
    let (result, (), ()) = tokio::join!(run, watched, ended);
    link.close().await;
    result
}

/// Doubles from [`WAIT_MIN`] to [`WAIT_MAX`], and adds up to half by chance.
fn back_off(failures: u32, chance: f64) -> Duration {
    let base = WAIT_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(WAIT_MAX);
    base + base.mul_f64(chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        assert_eq!(back_off(0, 0.0), WAIT_MIN);
        assert_eq!(back_off(1, 0.0), WAIT_MIN);
        assert_eq!(back_off(3, 0.0), WAIT_MIN * 4);
        assert_eq!(back_off(100, 0.0), WAIT_MAX);
        assert!(back_off(100, 0.999) < WAIT_MAX * 3 / 2);
    }
}

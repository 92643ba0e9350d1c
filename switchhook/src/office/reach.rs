//! Finds who carries a request out: a running `up` that holds the data folder, or this process.

use bytes::Bytes;
use shared::broker::Broker;
use shared::clock::Clock;
use shared::config::Settings;
use shared::engines::{self, Engine, Engines, OpenError, Options};
use shared::entropy::Entropy;
use shared::keys::WhenMissing;
use shared::process::Failure;
use shared::store::Store;
use shared::wire::envelope::Keys;
use shared::wire::jobs::Announcement;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

pub(crate) use console::host_url;

use super::execute::Desk;
use super::{Request, Response, socket};

/// How long to try: an `up` that is just starting holds the folder before it listens.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);
/// How long to try to tell the rooms of a change.
const BROKER: Duration = Duration::from_secs(3);

/// Carries a request out, wherever that is possible. A refusal is a failure.
pub(crate) async fn reach(settings: &Settings, request: Request) -> Result<Response, Failure> {
    let response = if settings.engines.postgres.is_none() {
        embedded(settings, request).await?
    } else {
        match open(settings).await {
            Ok(engines) => here(settings, engines, request).await,
            Err(error) => return Err(error.into()),
        }
    };
    match response {
        Response::Refused(why) => Err(Failure::refused(why)),
        response => Ok(response),
    }
}

async fn embedded(settings: &Settings, request: Request) -> Result<Response, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = socket::ask(&settings.engines.data, &request).await;
        match answer {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => {}
            Err(error) => {
                return Err(Failure::unavailable(format!(
                    "the running process did not answer ({error}); it may have done what was asked"
                )));
            }
        }
        match open(settings).await {
            Ok(engines) => return Ok(here(settings, engines, request).await),
            Err(OpenError::InUse(_)) if Instant::now() < deadline => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn open(settings: &Settings) -> Result<Engines, OpenError> {
    let options = Options {
        name: "command line",
        // An installation on one machine makes its keys on first use, whichever command comes first.
        keys: if settings.engines.postgres.is_none() {
            WhenMissing::Make
        } else {
            WhenMissing::Refuse
        },
        migrate: false,
        dispatches: false,
    };
    engines::open(settings, options, &prometheus::Registry::new()).await
}

/// Carries it out in this process and lets go of the engines.
async fn here(settings: &Settings, engines: Engines, request: Request) -> Response {
    match engines {
        Engines::Embedded(engine, database) => {
            // Nobody else lives on these engines: there is nobody to tell.
            let response = desk(settings, &engine).execute(request).await;
            engine.broker.close().await;
            database.close().await;
            response
        }
        Engines::Served(engine) => {
            let changes = request.changes_registry();
            let response = desk(settings, &engine).execute(request).await;
            if changes && !matches!(response, Response::Refused(_)) {
                tell(&engine).await;
            }
            engine.broker.close().await;
            response
        }
    }
}

/// Announces until it is heard here too: this process ends at once, and would take what is not yet on the
/// broker with it. Rooms that nobody tells read the registry half a minute later.
async fn tell<B: Broker, S: Store>(engine: &Engine<B, S>) {
    let mut heard = engine.broker.announcements();
    let told = async {
        loop {
            engines::announce_change(&engine.broker, &engine.keys).await;
            let change = change(&mut heard, &engine.keys);
            if tokio::time::timeout(AGAIN, change).await.is_ok() {
                return;
            }
        }
    };
    if tokio::time::timeout(BROKER, told).await.is_err() {
        tracing::warn!("the rooms were not told, and learn of the change by themselves");
    }
}

/// Ends when a change was announced. That others live is announced too, and tells nothing of this process's
/// way to the broker.
async fn change(heard: &mut broadcast::Receiver<Bytes>, keys: &Keys) {
    loop {
        match heard.recv().await {
            Ok(sealed) => {
                if matches!(Announcement::open(keys, &sealed), Ok(Announcement::RegistryChanged)) {
                    return;
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn desk<B: Broker, S: Store>(settings: &Settings, engine: &Engine<B, S>) -> Desk<S> {
    Desk::new(engine.store.clone(), Clock::Real, Entropy::Real, host_url(settings))
        .with_two_people(settings.console.two_person)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn others_that_live_do_not_tell_that_a_change_was_heard() {
        let keys = Keys::new(&[vec![7; 32]]).expect("a key");
        let (announce, mut heard) = broadcast::channel(1);
        let says = |announcement: Announcement| announcement.seal(&keys).expect("plain data");
        let alive = Announcement::Alive { process: uuid::Uuid::nil(), room: "turns".into() };
        // The second overtakes the first: the listener is told that it was too slow.
        announce.send(says(alive.clone())).expect("heard");
        announce.send(says(alive)).expect("heard");
        tokio::time::timeout(AGAIN, change(&mut heard, &keys)).await.expect_err("no change");
        announce.send(says(Announcement::RegistryChanged)).expect("heard");
        tokio::time::timeout(AGAIN, change(&mut heard, &keys)).await.expect("a change");
    }
}

//! `/log-level`: GET tells it, PUT changes it for a while, DELETE takes a change back.
//!
//! The admin port has no credentials, so what changes something is for the same machine only: in a
//! container, whoever may start a process in it (`switchhook log-level debug`).

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query};
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use tokio::time::Instant;

use crate::config::value::Value as _;
use crate::telemetry::LogLevel;

/// Directives are short.
const BODY_MAX: usize = 1_024;
const LASTING: Duration = Duration::from_mins(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// How long it is to last: `90s`, `10min`, `2h`.
    #[serde(rename = "for")]
    lasting: Option<String>,
}

type Answer = (StatusCode, String);

pub(super) fn router(level: LogLevel) -> Router {
    let (told, put) = (level.clone(), level.clone());
    let routes = get(|| async move { (StatusCode::OK, tell(&told)) })
        .put(
            move |ConnectInfo(peer): ConnectInfo<SocketAddr>,
                  Query(asked): Query<Asked>,
                  body: String| async move { change(&put, peer, &asked, &body) },
        )
        .delete(move |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move {
            local(peer).map_or_else(
                |refused| refused,
                |()| {
                    level.restore();
                    (StatusCode::OK, tell(&level))
                },
            )
        });
    Router::new().route("/log-level", routes).layer(DefaultBodyLimit::max(BODY_MAX))
}

fn change(level: &LogLevel, peer: SocketAddr, asked: &Asked, body: &str) -> Answer {
    if let Err(refused) = local(peer) {
        return refused;
    }
    let lasting = asked.lasting.as_deref().map_or(Ok(LASTING), Duration::parse);
    let changed = match lasting {
        Ok(lasting) => level.change(body, lasting).map_err(|refused| refused.to_string()),
        Err(why) => Err(why),
    };
    match changed {
        Ok(()) => (StatusCode::OK, tell(level)),
        Err(why) => (StatusCode::BAD_REQUEST, why + "\n"),
    }
}

/// Whether the caller is on this machine.
fn local(peer: SocketAddr) -> Result<(), Answer> {
    if peer.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let words = "the level is changed from the same machine only: switchhook log-level\n";
    Err((StatusCode::FORBIDDEN, words.to_owned()))
}

fn tell(level: &LogLevel) -> String {
    match level.changed() {
        None => format!("{}\n", level.configured()),
        Some(changed) => {
            let left = changed.until.saturating_duration_since(Instant::now()).as_secs();
            format!("{} for {left} s more, then {}\n", changed.level, level.configured())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_machine_changes_the_level() {
        let level = LogLevel::new("info", |_| Ok(()));
        let asked = Asked { lasting: Some("90s".to_owned()) };
        let change = |peer: &str, body| change(&level, peer.parse().unwrap(), &asked, body).0;
        assert_eq!(change("192.0.2.1:5", "debug"), StatusCode::FORBIDDEN);
        assert_eq!(level.changed(), None);
        assert_eq!(change("127.0.0.1:5", "loud"), StatusCode::BAD_REQUEST);
        assert_eq!(change("[::ffff:127.0.0.1]:5", "debug"), StatusCode::OK);
        assert_eq!(change("[::1]:5", "trace"), StatusCode::OK);
        assert_eq!(level.changed().unwrap().level, "trace");
    }
}

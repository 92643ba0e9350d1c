//! `/livez`, `/readyz` and `/metrics`, on a port of their own in every room; and `/log-level`, which
//! only who is on the same machine may change.

mod log_level;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Encoder as _, TextEncoder};
use tokio::net::TcpListener;

use crate::telemetry::LogLevel;

/// What must be well before traffic may come. Each check has a name and, when it fails, a reason.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Readiness {
    /// Sets a check's result. A name that was never set does not count.
    pub fn set(&self, name: &'static str, result: Result<(), String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, result);
    }

    /// The failing checks, a line each; empty when ready.
    pub fn failing(&self) -> Vec<String> {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks
            .iter()
            .filter_map(|(name, result)| result.as_ref().err().map(|why| format!("{name}: {why}")))
            .collect()
    }
}

/// The routes. Liveness only says that the process can answer: a broker that is away is no reason to
/// be restarted.
pub fn router(readiness: Readiness, metrics: prometheus::Registry, level: LogLevel) -> Router {
    let ready = move || async move {
        let failing = readiness.failing();
        if failing.is_empty() {
            (StatusCode::OK, "ready\n".to_owned())
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, failing.join("\n") + "\n")
        }
    };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(move || async move { render(&metrics) }))
        .merge(log_level::router(level))
}

fn render(metrics: &prometheus::Registry) -> axum::response::Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&metrics.gather(), &mut text) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Serves the admin port until `stop`. It is for the operator's network, not for the world.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

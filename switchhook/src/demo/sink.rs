//! The demo's receiving endpoint: takes a POST, prints what it got, says 200.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode};
use shared::entropy::Entropy;
use shared::lifecycle::Lifecycle;
use shared::process;
use tokio::net::TcpListener;

use crate::output;

/// Largest body that it takes.
const BODY_MAX: usize = 1024 * 1024;
/// Ports below those that outgoing connections use, so that it is free at the next start too.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const TRIES: usize = 50;

/// A bound endpoint.
pub(crate) struct Sink {
    listener: TcpListener,
    address: SocketAddr,
}

impl Sink {
    /// On a port of loopback that is free now.
    pub(crate) fn bind_somewhere(entropy: &Entropy) -> anyhow::Result<Self> {
        let span = u64::from(PORTS.end - PORTS.start);
        let port = || PORTS.start + u16::try_from(entropy.u64() % span).unwrap_or(0);
        let bound = (0..TRIES).find_map(|_| Self::bind((Ipv4Addr::LOCALHOST, port()).into()).ok());
        match bound {
            Some(sink) => Ok(sink),
            None => Self::bind((Ipv4Addr::LOCALHOST, 0).into()),
        }
    }

    pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = process::bind("the demo's receiving endpoint", address)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn serve(self, lifecycle: &Lifecycle) {
        let router = Router::new().fallback(print).layer(DefaultBodyLimit::max(BODY_MAX));
        let stop = lifecycle.stop().cancelled_owned();
        let serve = axum::serve(self.listener, router).with_graceful_shutdown(stop);
        lifecycle.spawn(async move {
            if let Err(error) = serve.await {
                tracing::warn!(%error, "the demo's receiving endpoint ended");
            }
        });
    }
}

async fn print(headers: HeaderMap, body: Bytes) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("without an id");
    let body = String::from_utf8_lossy(&body);
    // Nobody reads: the delivery is none the worse.
    let _ = output::line(&format!("POST_URL got {id}: {body}"));
    StatusCode::OK
}

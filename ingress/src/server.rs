//! Connections: how many, how long, and how they end.
//!
//! As many as the settings allow are open at once; more wait in the kernel's backlog. One address may
//! hold a share of them. Each connection is watched by a [`stream::Watched`], which ends what is slow
//! and spoils what is doubtful.

mod canned;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use shared::broker::Broker;
use shared::store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::cors::{Any, CorsLayer};

use crate::error::{TRACE_ID, TURN_ID};
use crate::limiter::{Network, network};
use crate::room::Room;
use crate::routes;
use crate::shares::{Share, Shares};
use stream::{Limits, Watched};

/// Most bytes of a head; hyper answers 431 beyond it.
const HEAD_MAX: usize = 32 * 1024;
/// After an error of `accept` that is not one connection's own, like too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long browsers may remember a preflight's answer.
const PREFLIGHT_KEPT: Duration = Duration::from_hours(1);

/// Accepts connections until the process is to stop, and then for as long as load balancers may need to
/// learn of it; afterwards what is open is answered and closed.
pub(crate) async fn serve<B: Broker, S: Store>(room: Arc<Room<B, S>>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(room.config.connections_max));
    let peers = Arc::new(Shares::new(room.config.connections_per_ip_max));
    let closing = CancellationToken::new();
    let connections = TaskTracker::new();
    let stop = room.ground.lifecycle.stop();
    let linger = async {
        stop.cancelled().await;
        tokio::time::sleep(room.config.linger).await;
    };
    tokio::pin!(linger);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut linger => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, address, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Shares::take(&peers, network(address.ip())) {
            Some(peer) => {
                let connection = connection(Arc::clone(&room), stream, address, closing.clone());
                connections.spawn(hold(connection, place, peer));
            }
            None => room.metrics.connections_refused.inc(),
        }
    }
    drop(listener);
    closing.cancel();
    connections.close();
    connections.wait().await;
    room.answered.cancel();
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let closed = |_| std::io::Error::other("closed");
    let place = Arc::clone(places).acquire_owned().await.map_err(closed)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, place))
}

/// Keeps a connection's places until it has ended.
async fn hold(
    connection: impl Future<Output = ()>,
    place: OwnedSemaphorePermit,
    peer: Share<Network>,
) {
    connection.await;
    drop((place, peer));
}

async fn connection<B: Broker, S: Store>(
    room: Arc<Room<B, S>>,
    stream: TcpStream,
    address: SocketAddr,
    closing: CancellationToken,
) {
    // An answer is one small write: waiting for more of it only delays.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    room.metrics.connections.inc();
    let limits = Limits::new(&room.config);
    let (stream, working) = Watched::new(stream, limits, room.ground.entropy.clone());
    let cors = cors(&room.config.cors_origins);
    let peer = address.ip();
    let service = {
        let room = Arc::clone(&room);
        tower::service_fn(move |request: Request<Incoming>| {
            let working = working.enter();
            let answer = routes::answer(Arc::clone(&room), peer, request);
            async move {
                let answer = answer.await;
                drop(working);
                answer
            }
        })
    };
    let service = TowerToHyperService::new(tower::Layer::layer(&cors, service));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_MAX);
    let served = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = closing.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    room.metrics.connections.dec();
}

/// Any origin, some, or none. Credentials of browsers (cookies) are never asked for.
fn cors(origins: &[String]) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::POST, Method::GET])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("traceparent"),
        ])
        .expose_headers([RETRY_AFTER, LOCATION, TURN_ID, TRACE_ID])
        .max_age(PREFLIGHT_KEPT);
    if origins.iter().any(|origin| origin == "*") {
        return layer.allow_origin(Any);
    }
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|o| o.parse().ok()).collect();
    layer.allow_origin(origins)
}

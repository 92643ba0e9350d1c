//! Connections: bounded in number and time. What is below `/api` is the admin API, the rest are pages.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::broker::Broker;
use shared::store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api::{self, Refusal, Reply};
use crate::arriving::Arriving;
use crate::pages;
use crate::room::Room;

/// Open connections; more wait in the kernel's backlog.
const CONNECTIONS: usize = 256;
const HEAD: Duration = Duration::from_secs(10);
/// The longest that one connection is served.
const CONNECTION: Duration = Duration::from_mins(10);
/// How long what has begun may take when everything ends.
const LAST: Duration = Duration::from_secs(15);
/// After an error of `accept` that is not one connection's own.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the ground's life ends.
pub(crate) async fn serve<B: Broker, S: Store>(room: Arc<Room<B, S>>, listener: TcpListener) {
    let (stop, life) = (room.ground.lifecycle.stop(), room.ground.lifecycle.clone());
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let room = Arc::clone(&room);
            life.spawn_one(async move {
                let _permit = permit;
                connection(room, stream, peer.ip()).await;
            });
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = accepting => {}
    }
}

async fn connection<B: Broker, S: Store>(room: Arc<Room<B, S>>, stream: TcpStream, peer: IpAddr) {
    let stop = room.ground.lifecycle.stop();
    let service = service_fn(move |request| {
        let room = Arc::clone(&room);
        async move { Ok::<_, Infallible>(request_of(&room, request, peer).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(64);
    let serving = http.serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        biased;
        done = timeout(CONNECTION, &mut serving) => done.is_ok(),
        () = stop.cancelled() => false,
    };
    if !ended {
        // What has begun is finished; nothing new begins.
        serving.as_mut().graceful_shutdown();
        let _ = timeout(LAST, serving).await;
    }
}

async fn request_of<B: Broker, S: Store>(
    room: &Room<B, S>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Reply {
    let (head, body) = request.into_parts();
    let Some(mut body) = Arriving::new(&room.places, body) else { return Refusal::Busy.reply() };
    let path = head.uri.path();
    if path == "/api" || path.starts_with("/api/") {
        api::answer(room, &head, &mut body).await
    } else {
        pages::answer(room, &head, &mut body, peer).await
    }
}

//! The bare chain's HTTP edge: token, JSON, publish with confirm; then the reply, or an empty 200.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::queue;
use crate::args::Mode;
use crate::payload::Verifier;
use crate::role;

type Waiting = Arc<Mutex<HashMap<Uuid, oneshot::Sender<Vec<u8>>>>>;

struct Edge {
    verifier: Verifier,
    publish: Channel,
    queue: String,
    reply_to: ShortString,
    waiting: Waiting,
}

pub(crate) async fn run(amqp: &str, queue_name: &str, mode: Mode) -> anyhow::Result<()> {
    let connection = queue::connect(amqp).await?;
    let publish = queue::confirming(&connection).await?;
    queue::declare(&publish, queue_name, "quorum").await?;
    let replies = connection.create_channel().await?;
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let declared = replies.queue_declare("".into(), options, FieldTable::default()).await?;
    let reply_to = declared.name().clone();
    let consumer = queue::consume(&replies, reply_to.as_str(), true).await?;
    let waiting = Waiting::default();
    let edge = Edge {
        verifier: Verifier::new(),
        publish,
        queue: queue_name.to_owned(),
        reply_to,
        waiting: Arc::clone(&waiting),
    };
    let route = match mode {
        Mode::Sync => post(sync),
        Mode::Async => post(asynchronous),
    };
    let app = Router::new().route("/", route).with_state(Arc::new(edge));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    role::ready(listener.local_addr()?.port()).await?;
    tokio::select! {
        served = serve(listener, app) => served,
        () = hand_out(consumer, waiting) => anyhow::bail!("the reply consumer ended"),
    }
}

pub(crate) async fn serve(listener: TcpListener, app: Router) -> anyhow::Result<()> {
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|stream| {
        // Without it a small answer may wait for the client's ack.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await.context("serving HTTP")
}

async fn hand_out(mut replies: lapin::Consumer, waiting: Waiting) {
    while let Some(Ok(reply)) = replies.next().await {
        let id = reply.properties.correlation_id().as_ref();
        let id = id.and_then(|id| Uuid::try_parse(id.as_str()).ok());
        let waiter = id.and_then(|id| lock(&waiting).remove(&id));
        if let Some(waiter) = waiter {
            // The client has gone away.
            let _ = waiter.send(reply.data);
        }
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<Uuid, oneshot::Sender<Vec<u8>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What every bare edge checks.
pub(crate) fn admit(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), StatusCode> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !verifier.accepts(authorization) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    serde_json::from_slice::<serde_json::Value>(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(())
}

async fn sync(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    admit(&edge.verifier, &headers, &body)?;
    let id = Uuid::now_v7();
    let (reply_tx, reply_rx) = oneshot::channel();
    lock(&edge.waiting).insert(id, reply_tx);
    let properties = queue::persistent()
        .with_reply_to(edge.reply_to.clone())
        .with_correlation_id(id.simple().to_string().into());
    let published = queue::publish(&edge.publish, &edge.queue, &body, properties).await;
    published.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let reply = reply_rx.await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], reply).into_response())
}

async fn asynchronous(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    admit(&edge.verifier, &headers, &body)?;
    let published = queue::publish(&edge.publish, &edge.queue, &body, queue::persistent()).await;
    published.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(StatusCode::OK)
}

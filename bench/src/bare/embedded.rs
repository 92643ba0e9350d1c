//! The embedded pair's bare chain: HTTP in, a queue in memory, answer or POST out, in one process.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::ingress::{admit, serve};
use crate::args::Mode;
use crate::durability::SqliteGroup;
use crate::payload::Verifier;
use crate::role;

/// A pooled client that POSTs to one URL.
#[derive(Clone)]
pub(crate) struct Poster {
    client: Client<HttpConnector, Full<Bytes>>,
    url: hyper::Uri,
}

impl Poster {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, url: url.parse()? })
    }

    pub(crate) async fn post(&self, body: Bytes) -> anyhow::Result<()> {
        let request = hyper::Request::post(self.url.clone())
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        ensure!(status.is_success(), "the sink answered {status}");
        Ok(())
    }
}

struct Edge {
    verifier: Verifier,
    commits: Option<SqliteGroup>,
    deliveries_tx: mpsc::Sender<Bytes>,
}

pub(crate) async fn run(
    mode: Mode,
    url: Option<&str>,
    sqlite: Option<&Path>,
) -> anyhow::Result<()> {
    let (deliveries_tx, deliveries_rx) = mpsc::channel(10_000);
    let commits = sqlite.map(SqliteGroup::open).transpose()?;
    let edge = Edge { verifier: Verifier::new(), commits, deliveries_tx };
    let route = match mode {
        Mode::Sync => post(sync),
        Mode::Async => post(asynchronous),
    };
    let app = Router::new().route("/", route).with_state(Arc::new(edge));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    role::ready(listener.local_addr()?.port()).await?;
    let poster = url.map(Poster::new).transpose()?;
    tokio::select! {
        served = serve(listener, app) => served,
        delivered = deliver(deliveries_rx, poster) => delivered,
    }
}

async fn deliver(
    mut deliveries_rx: mpsc::Receiver<Bytes>,
    poster: Option<Poster>,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    while let Some(body) = deliveries_rx.recv().await {
        if let Some(poster) = poster.clone() {
            tasks.spawn(async move { poster.post(body).await });
        }
        while let Some(ended) = tasks.try_join_next() {
            ended??;
        }
    }
    Ok(())
}

async fn commit(edge: &Edge, body: &Bytes) -> Result<(), StatusCode> {
    match &edge.commits {
        Some(commits) => {
            commits.commit(body.clone()).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
        }
        None => Ok(()),
    }
}

async fn sync(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    admit(&edge.verifier, &headers, &body)?;
    commit(&edge, &body).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn asynchronous(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    admit(&edge.verifier, &headers, &body)?;
    commit(&edge, &body).await?;
    edge.deliveries_tx.send(body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(StatusCode::OK)
}

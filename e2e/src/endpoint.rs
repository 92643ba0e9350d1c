//! A receiving endpoint that writes down every POST before it answers.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::bot;
use crate::history::{History, Post};

/// How often the endpoint fails on purpose: every n-th POST it is given, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Script {
    pub fail_every: u64,
}

#[derive(Clone)]
struct Shared {
    history: History,
    script: Script,
    served: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

/// Ends when dropped.
pub struct Endpoint {
    pub address: SocketAddr,
    _server: JoinSet<()>,
}

impl Endpoint {
    pub async fn start(history: History, script: Script) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Shared { history, script, served: std::sync::Arc::default() };
        let app = Router::new().route("/{name}", post(receive)).with_state(shared);
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It ends with the set.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, _server: server })
    }

    pub fn url(&self) -> String {
        format!("http://{}/endpoint", self.address)
    }
}

async fn receive(
    State(shared): State<Shared>,
    Path(_): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(said) = read(&body) else { return StatusCode::BAD_REQUEST };
    if said.probe {
        shared.history.with(said.conversation, |thread| thread.last = Some(said.list));
        return StatusCode::NO_CONTENT;
    }
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    let served = shared.served.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
    let fails = shared.script.fail_every > 0 && served.is_multiple_of(shared.script.fail_every);
    let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT };
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let post = Post {
        webhook_id: id.to_owned(),
        list: said.list,
        body: hasher.finish(),
        status: status.as_u16(),
    };
    shared.history.with(said.conversation, |thread| thread.posts.push(post));
    status
}

/// A POST's meaning.
struct Said {
    conversation: usize,
    list: Vec<u32>,
    probe: bool,
}

/// Reads `{"text":"<list>","to":"user-<n>",…}`.
fn read(body: &[u8]) -> Option<Said> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let conversation = body["to"].as_str()?.strip_prefix("user-")?.parse().ok()?;
    let text = body["text"].as_str()?;
    Some(Said { conversation, list: bot::read_list(text)?, probe: bot::is_probe(text) })
}

//! An HTTP bot that answers as its script says and remembers what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

/// What the bot answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Json(Value),
    Raw(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    /// Nothing, ever.
    Hang,
}

type Script = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

/// Ends when dropped.
pub(crate) struct Server {
    addr: SocketAddr,
    state: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    /// Answers each request as `script` says of it and its number, counted from 0.
    pub(crate) async fn start(
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Shared { script: Box::new(script), asked: Mutex::default() });
        let app = Router::new().fallback(turn).with_state(Arc::clone(&state));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ended = axum::serve(listener, app).await;
        });
        Self { addr, state, _task: task }
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}/bot", self.addr).parse().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }
}

async fn turn(
    State(state): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let path = uri.path().to_owned();
    let asked = Asked { path, headers, body: serde_json::from_slice(&body).unwrap() };
    let number = {
        let mut all = state.asked.lock().unwrap();
        all.push(asked.clone());
        all.len() - 1
    };
    match (state.script)(&asked, number) {
        Answer::Json(value) => axum::Json(value).into_response(),
        Answer::Raw(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                let (name, value) =
                    (HeaderName::from_static(name), HeaderValue::from_static(value));
                response.headers_mut().insert(name, value);
            }
            response
        }
        Answer::Hang => std::future::pending().await,
    }
}

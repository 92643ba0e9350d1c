//! A receiving endpoint that keeps what it got, in order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

type Posts = Arc<Mutex<Vec<Value>>>;

/// Ends when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    posts: Posts,
    _server: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Posts::default();
        let app = axum::Router::new().route("/hook", post(keep)).with_state(Arc::clone(&posts));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It ends with the set.
            let _ = axum::serve(listener, app).await;
        });
        Self { address, posts, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn posts(&self) -> Vec<Value> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a user has got this many answers; their texts, in order.
    pub(crate) async fn texts(&self, user: &str, at_least: usize) -> Vec<String> {
        testkit::until(&format!("{at_least} answers to {user}"), || async {
            let posts = self.posts();
            let own = posts.iter().filter(|body| body["to"] == user);
            let texts: Vec<_> = own.map(|body| body["text"].as_str().unwrap().to_owned()).collect();
            if texts.len() >= at_least { Ok(texts) } else { Err(format!("{texts:?}")) }
        })
        .await
    }
}

async fn keep(State(posts): State<Posts>, body: Bytes) {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    posts.lock().unwrap_or_else(PoisonError::into_inner).push(body);
}

//! The receiving endpoint of the asynchronous measurements, inside the load generator, so that one
//! monotonic clock times a turn from its POST to its delivery.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::payload;

/// Who waits for which turn.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>);

impl Arrivals {
    /// Resolves when the turn of this number arrives.
    pub(crate) fn expect(&self, number: u64) -> oneshot::Receiver<()> {
        let (arrived_tx, arrived_rx) = oneshot::channel();
        self.lock().insert(number, arrived_tx);
        arrived_rx
    }

    fn arrived(&self, number: u64) {
        if let Some(waiting) = self.lock().remove(&number) {
            // The waiter has given up: nothing to tell.
            let _ = waiting.send(());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running sink; ends when dropped.
pub(crate) struct Sink {
    pub port: u16,
    pub arrivals: Arrivals,
    _server: JoinSet<()>,
}

impl Sink {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let arrivals = Arrivals::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let app = Router::new().route("/", post(receive)).with_state(arrivals.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            // It ends with the set; an accept error shows as turns that never arrive.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { port, arrivals, _server: server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

async fn receive(State(arrivals): State<Arrivals>, body: Bytes) -> StatusCode {
    if let Some(number) = payload::number_in(&body) {
        arrivals.arrived(number);
    }
    StatusCode::OK
}

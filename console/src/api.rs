//! The admin API, `/api/admin/v1`: one table of routes (`table`) makes the router, the rights and the
//! OpenAPI document. It only translates: the office decides.

mod answer;
mod call;
mod document;
mod handlers;
mod page;
mod public;
mod serve;
mod table;

use shared::broker::Broker;
use shared::engines;
use shared::ground::Ground;
use shared::store::Store;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use document::document;
pub use table::{ROUTES, Route};

use crate::office::execute::Desk;

/// Requests that are worked on at once; more are told to come again.
const AT_ONCE: usize = 64;

/// What all requests share.
struct Room<B, S> {
    desk: Desk<S>,
    ground: Ground<B, S>,
    places: Semaphore,
}

impl<B: Broker, S: Store> Room<B, S> {
    /// Tells every process that the registry has changed.
    async fn tell(&self) {
        self.ground.registry.invalidate();
        engines::announce_change(&self.ground.broker, &self.ground.keys).await;
    }
}

/// Serves the API until the ground's life ends.
pub fn start<B: Broker, S: Store>(ground: Ground<B, S>, desk: Desk<S>, listener: TcpListener) {
    let lifecycle = ground.lifecycle.clone();
    let room = Room { desk, ground, places: Semaphore::new(AT_ONCE) };
    lifecycle.spawn(serve::serve(std::sync::Arc::new(room), listener));
}

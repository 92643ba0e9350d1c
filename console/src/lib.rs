//! The console: the control plane. It reads and writes the registry and reads the ledgers; it is never on
//! the path of a turn.
//!
//! [`office`] is the one layer that decides. The command line, the admin API and the pages are ways to
//! reach it, and add nothing.

mod alone;
pub mod api;
mod arriving;
mod ids;
pub mod office;
mod pages;
mod room;
mod server;

pub use alone::Alone;
pub use pages::{PAGES, PageRoute, Right};
pub use room::Ways;

use shared::broker::Broker;
use shared::config::Settings;
use shared::ground::Ground;
use shared::store::Store;
use tokio::net::TcpListener;

use office::execute::Desk;

/// Starts the room on a listener. It ends with the ground's life.
pub fn start<B: Broker, S: Store>(
    ground: Ground<B, S>,
    settings: &Settings,
    listener: TcpListener,
) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the pages and the admin API are served");
    }
    let (clock, entropy) = (ground.clock.clone(), ground.entropy.clone());
    let desk = Desk::new(ground.store.clone(), clock, entropy, host_url(settings))
        .with_two_people(settings.console.two_person);
    let ways = Ways::new(settings);
    serve(ground, desk, ways, listener);
}

/// Serves pages and API until the ground's life ends.
pub fn serve<B: Broker, S: Store>(
    ground: Ground<B, S>,
    desk: Desk<S>,
    ways: Ways,
    listener: TcpListener,
) {
    let lifecycle = ground.lifecycle.clone();
    let room = std::sync::Arc::new(room::Room::new(ground, desk, ways));
    lifecycle.spawn(server::serve(room, listener));
}

/// Where clients reach ingress, by the settings; without a slash at its end.
pub fn host_url(settings: &Settings) -> String {
    settings.ingress.url()
}

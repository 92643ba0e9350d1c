//! What all requests share.

use shared::broker::Broker;
use shared::config::Settings;
use shared::egress::Client;
use shared::engines;
use shared::ground::Ground;
use shared::store::Store;
use tokio::sync::Semaphore;
use url::Url;

use crate::office::execute::Desk;
use crate::pages::limits::Limits;
use crate::pages::talk;

/// Requests that are worked on at once; more are told to come again.
const AT_ONCE: usize = 64;
/// Sign-ins that wait for their turn at once: each costs a core for a moment.
const SIGN_INS: usize = 4;

/// How the pages are reached, and what they reach.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// As operators see them; with https, cookies are bound to it.
    pub public_url: Option<Url>,
    /// To ingress, for the chat.
    pub ingress: Option<(Client, Url)>,
    /// To the world, for the ping of a POST_URL.
    pub world: Option<Client>,
}

impl Ways {
    /// By the settings. What cannot be made is not there, and a page says so.
    pub fn new(settings: &Settings) -> Self {
        let own = vec![settings.ingress.listen, settings.admin.listen];
        let own = own.into_iter().chain(settings.console.listen).collect();
        Self {
            public_url: settings.console.public_url.clone(),
            ingress: talk::way(settings),
            world: Client::new(&settings.egress, own).ok(),
        }
    }
}

pub(crate) struct Room<B, S> {
    pub(crate) desk: Desk<S>,
    pub(crate) ground: Ground<B, S>,
    pub(crate) places: Semaphore,
    pub(crate) sign_ins: Semaphore,
    pub(crate) limits: Limits,
    pub(crate) ways: Ways,
}

impl<B: Broker, S: Store> Room<B, S> {
    pub(crate) fn new(ground: Ground<B, S>, desk: Desk<S>, ways: Ways) -> Self {
        let limits = Limits::default();
        let (places, sign_ins) = (Semaphore::new(AT_ONCE), Semaphore::new(SIGN_INS));
        Self { desk, ground, places, sign_ins, limits, ways }
    }

    /// Tells every process that the registry has changed.
    pub(crate) async fn tell(&self) {
        self.ground.registry.invalidate();
        engines::announce_change(&self.ground.broker, &self.ground.keys).await;
    }
}

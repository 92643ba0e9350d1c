//! The door: who speaks, on which channel, and whether it works.

use std::net::IpAddr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::domain::ids::{BotId, ChannelId, TurnId};
use shared::store::{KeyUse, Store};

use crate::domain::auth::{self, Failure, Principal};
use crate::domain::refusal::{Refusal, Why};
use crate::jwt::{Key, UnverifiedClaims, bearer};
use crate::room::Room;

/// Which channel of the bot is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// The instance that is named, or else the first.
    One,
    /// Without a name, any that is the app's own.
    AnyOfTheApp,
}

/// Proves the token for the channel's own app. Until that is done, every refusal is the same.
pub(super) fn enter<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    (bot, instance): &(BotId, Option<ChannelId>),
    meant: Meant,
    headers: &HeaderMap,
) -> Result<Principal, Refusal> {
    let registry = room.ground.registry.get();
    let now = room.ground.clock.unix_ms();
    let proved = bearer(headers).and_then(UnverifiedClaims::read).and_then(|claimed| {
        let app = registry.apps.get(claimed.client());
        // It takes as long for an app that does not exist.
        let key = app.map_or_else(|| Key::nobody(&room.nobody, &claimed), |app| Key::of(app, now));
        let claims = claimed.verify(&key)?;
        app.map(|app| (app, claims)).ok_or(Failure::UnknownApp)
    });
    let judged = proved.and_then(|(app, claims)| {
        let channel = match (meant, instance) {
            (Meant::AnyOfTheApp, None) => registry.channel_of(bot, &claims.client),
            (Meant::One | Meant::AnyOfTheApp, _) => registry.channel(bot, instance.as_ref()),
        };
        auth::judge(claims, app, channel, peer, now)
    });
    let principal = judged.map_err(|failure| refused(room, peer, failure))?;
    let is_stale = room.ground.registry.age() > room.config.registry_stale_max;
    if is_stale || !room.ground.lease.holds() {
        return Err(Refusal::NotAccepted(Why::RegistryStale));
    }
    match principal.channel.state {
        ChannelState::Live => Ok(principal),
        state => Err(Refusal::NotLive(state)),
    }
}

/// Uses up a token that may be used once, where its app asks for that: a second use is a replay, at
/// whichever ingress. To be done when all else is well, for a token that was used for a refusal is used.
pub(super) async fn use_up<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    principal: &Principal,
    turn: TurnId,
) -> Result<(), Refusal> {
    let Some(once) = &principal.once else { return Ok(()) };
    // The table of clients' keys, in a room of the app's own: its rows outlive any such token.
    let scope = ChannelId::new(format!("jti/{}", principal.client));
    let key = digest::digest(&digest::SHA256, once.as_bytes());
    let key = BASE64_STANDARD.encode(key.as_ref());
    // Nobody's fingerprint but this request's: a repeat is a mismatch, whatever it repeats.
    let mut fingerprint = [0; 32];
    room.ground.entropy.fill(&mut fingerprint);
    match room.ground.store.use_key(&scope, &key, fingerprint, turn).await {
        Ok(KeyUse::New) => Ok(()),
        Ok(KeyUse::Repeat(_) | KeyUse::Mismatch) => Err(refused(room, peer, Failure::Replayed)),
        Err(error) => {
            tracing::debug!(%error, "a token that is taken once could not be used up");
            Err(Refusal::NotAccepted(Why::DatabaseAway))
        }
    }
}

/// Counts a failure. Until a token is proved, every refusal is the same.
fn refused<B: Broker, S: Store>(room: &Room<B, S>, peer: IpAddr, failure: Failure) -> Refusal {
    room.metrics.auth_failures.with_label_values(&[failure.as_str()]).inc();
    match room.failures.count(peer) {
        Ok(()) => Refusal::Unauthenticated,
        Err(wait) => Refusal::TooManyFailures(wait),
    }
}

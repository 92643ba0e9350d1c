//! The door: who speaks, on which channel, and whether it works.

use std::net::IpAddr;

use http::HeaderMap;
use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::domain::ids::{BotId, ChannelId};
use shared::store::Store;

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
    let proved = bearer(headers).and_then(UnverifiedClaims::read).and_then(|claimed| {
        let app = registry.apps.get(claimed.client());
        // It takes as long for an app that does not exist.
        let key = app.map_or_else(|| Key::nobody(&room.nobody, &claimed), |app| Key::of(app));
        let claims = claimed.verify(&key)?;
        app.map(|_| claims).ok_or(Failure::UnknownApp)
    });
    let judged = proved.and_then(|claims| {
        let channel = match (meant, instance) {
            (Meant::AnyOfTheApp, None) => registry.channel_of(bot, &claims.client),
            (Meant::One | Meant::AnyOfTheApp, _) => registry.channel(bot, instance.as_ref()),
        };
        auth::judge(&claims, channel, room.ground.clock.unix_ms())
    });
    let principal = judged.map_err(|failure| {
        room.metrics.auth_failures.with_label_values(&[failure.as_str()]).inc();
        match room.failures.count(peer) {
            Ok(()) => Refusal::Unauthenticated,
            Err(wait) => Refusal::TooManyFailures(wait),
        }
    })?;
    if room.ground.registry.age() > room.config.registry_stale_max {
        return Err(Refusal::NotAccepted(Why::RegistryStale));
    }
    match principal.channel.state {
        ChannelState::Live => Ok(principal),
        state => Err(Refusal::NotLive(state)),
    }
}

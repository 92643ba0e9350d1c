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

/// Proves the token for the named channel's own app. Until that is done, every refusal is the same.
pub(super) fn enter<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    (bot, instance): &(BotId, Option<ChannelId>),
    headers: &HeaderMap,
) -> Result<Principal, Refusal> {
    let registry = room.ground.registry.get();
    let channel = registry.channel(bot, instance.as_ref());
    let proved = bearer(headers).and_then(UnverifiedClaims::read).and_then(|claimed| {
        match registry.apps.get(claimed.client()) {
            Some(app) => claimed.verify(&Key::of(app)),
            // As long as for an app that exists.
            None => claimed.verify(&room.nobody).and(Err(Failure::UnknownApp)),
        }
    });
    let judged =
        proved.and_then(|claims| auth::judge(&claims, channel, room.ground.clock.unix_ms()));
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

//! A child bot gets the channels that its parent publishes: the parent's app and settings, an instance id
//! and a signing secret of its own, a draft until the child is published.

use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::channel::ChannelState;
use shared::domain::ids::{BotId, ChannelId};
use shared::entropy::Entropy;
use shared::registry::Channel;
use shared::registry::control::{Kind, Record, Write};

use super::book::{self, Book};
use super::bots::Parent;
use super::problem::Problem;
use crate::ids;

/// Where a channel came from.
#[derive(Serialize, Deserialize)]
struct Inherited {
    bot: String,
    from: String,
}

/// The bots that inherit from this one.
pub(crate) fn children<'b>(
    book: &'b Book,
    parent: &BotId,
) -> Result<impl Iterator<Item = BotId> + use<'b>, Problem> {
    let mut children = Vec::new();
    for record in book.all(Kind::Parent) {
        if book::body::<Parent>(record)?.parent == parent.as_str() {
            children.push(BotId::from(record.id.as_str()));
        }
    }
    Ok(children.into_iter())
}

/// The channels of the parent that are live now, for a new child.
pub(super) fn live(
    book: &Book,
    parent: &BotId,
    child: &BotId,
    entropy: &Entropy,
) -> Result<Vec<Write>, Problem> {
    let mut channels: Vec<_> = book
        .registry
        .channels
        .values()
        .filter(|channel| channel.bot == *parent && channel.state == ChannelState::Live)
        .collect();
    channels.sort_by_key(|channel| channel.ordinal);
    let mut writes = Vec::new();
    for channel in channels {
        writes.extend(one(book, channel, child, entropy)?);
    }
    Ok(writes)
}

/// One channel for one child; nothing when the child has it already.
pub(super) fn one(
    book: &Book,
    channel: &Channel,
    child: &BotId,
    entropy: &Entropy,
) -> Result<Vec<Write>, Problem> {
    for record in book.all(Kind::Inherited) {
        let known: Inherited = book::body(record)?;
        if known.bot == child.as_str() && known.from == channel.id.as_str() {
            return Ok(Vec::new());
        }
    }
    let taken = |name: &str| {
        let mut channels = book.registry.channels.values();
        channels.any(|other| other.bot == *child && other.name == name)
    };
    let id: ChannelId = ids::channel(entropy);
    let mut copy = Channel {
        id: id.clone(),
        bot: child.clone(),
        state: ChannelState::Draft,
        ordinal: 0,
        ..channel.clone()
    };
    if taken(&copy.name) {
        copy.name = format!("{} {}", copy.name, &id.as_str()[id.as_str().len() - 8..]);
    }
    if let Some(endpoint) = &mut copy.endpoint {
        endpoint.signing_secret = ids::signing_secret(entropy);
        endpoint.disabled = false;
    }
    let body = json!({"bot": child.as_str(), "from": channel.id.as_str()}).to_string();
    let record = Record { kind: Kind::Inherited, id: id.to_string(), body, sealed: None };
    Ok(vec![Write::AddChannel(Box::new(copy)), Write::Record { record, expires: None }])
}

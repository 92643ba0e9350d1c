//! The first thing that is seen.

use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::registry::control::Kind;
use shared::store::Store;

use super::ask::Ask;
use super::reply::Done;
use super::ui::{Block, Card, Link, Page, Tile, Tiles};
use crate::office::actor::Scope;
use crate::office::problem::Problem;

pub(super) async fn home<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let book = ask.desk().book().await?;
    let in_state = |state: ChannelState| {
        book.registry.channels.values().filter(|channel| channel.state == state).count()
    };
    let waiting = book.all(Kind::Request).count();
    let placeholders = book.all(Kind::Placeholder).count();
    let tile = |label, value: usize, words: String, href: &str| Tile {
        label,
        value: value.to_string(),
        words,
        href: href.to_owned(),
    };
    let (live, stopped) = (
        in_state(ChannelState::Live),
        in_state(ChannelState::Suspended) + in_state(ChannelState::Disabled),
    );
    let tiles = vec![
        tile("Bots", book.registry.bots.len(), String::new(), "/bots"),
        tile("Live channels", live, format!("{stopped} stopped"), "/channels?state=live"),
        tile(
            "Awaiting approval",
            in_state(ChannelState::AwaitingApproval),
            format!("{waiting} open requests"),
            "/approvals",
        ),
        tile("Placeholders", placeholders, "imported, need an app".to_owned(), "/bots"),
        tile("Apps", book.registry.apps.len(), String::new(), "/apps"),
    ];
    let mut blocks = vec![Block::Tiles(Tiles(tiles))];
    if book.registry.bots.is_empty() && ask.may(Scope::Configure) {
        blocks.push(Block::Card(Card {
            title: "From nothing to a channel that answers".to_owned(),
            words: "Add a bot, give it a webhook channel, and let an admin approve it.".to_owned(),
            actions: vec![Link::primary("/bots/new", "Add a bot")],
            ..Card::default()
        }));
    }
    Ok(Done::Page(Page {
        title: "Overview".to_owned(),
        section: "home",
        lead: "What is set up here, and what waits for somebody.".to_owned(),
        blocks,
        ..Page::default()
    }))
}

//! The first thing that is seen.

use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::registry::control::Kind;
use shared::store::Store;

use super::ask::Ask;
use super::ledger;
use super::reply::Done;
use super::ui::{Block, Card, Link, Page, Table, Tile, Tiles, live};
use crate::office::actor::Scope;
use crate::office::book::Book;
use crate::office::ledger::{DeliveriesOf, TurnsOf};
use crate::office::problem::Problem;

/// Rows of each table.
const ROWS: u32 = 8;

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
    let (running, stopped) = (
        in_state(ChannelState::Live),
        in_state(ChannelState::Suspended) + in_state(ChannelState::Disabled),
    );
    let tiles = vec![
        tile("Bots", book.registry.bots.len(), String::new(), "/bots"),
        tile("Live channels", running, format!("{stopped} stopped"), "/channels?state=live"),
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
    blocks.extend(news(ask, &book).await?);
    Ok(Done::Page(Page {
        title: "Overview".to_owned(),
        section: "home",
        live: live(true),
        lead: "What is set up here, and what waits for somebody.".to_owned(),
        blocks,
        ..Page::default()
    }))
}

/// What was said last, and the deliveries that nobody takes.
async fn news<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    book: &Book,
) -> Result<Vec<Block>, Problem> {
    let of = TurnsOf { channel: None, user: None, outcome: None, after: None, limit: ROWS };
    let turns = ask.desk().turns(&ask.actor, of).await?;
    let of = DeliveriesOf { channel: None, state: Some("parked"), after: None, limit: ROWS };
    let parked = ask.desk().deliveries(&ask.actor, of).await?;
    let card = |title: &str, all: &str, table: Table| {
        Block::Card(Card {
            title: title.to_owned(),
            actions: vec![Link::new(all, "All")],
            parts: vec![Block::Table(table)],
            ..Card::default()
        })
    };
    let mut blocks = Vec::new();
    if !parked.items.is_empty() {
        let table = Table {
            caption: "Parked deliveries".to_owned(),
            head: ledger::DELIVERY_HEAD.to_vec(),
            rows: parked.items.iter().map(|one| ledger::delivery_row(book, one)).collect(),
            ..Table::default()
        };
        blocks.push(card("Parked deliveries", "/deliveries?state=parked", table));
    }
    if !turns.items.is_empty() {
        let table = Table {
            caption: "Latest messages".to_owned(),
            head: ledger::HEAD.to_vec(),
            rows: turns.items.iter().map(|one| ledger::row(book, one)).collect(),
            ..Table::default()
        };
        blocks.push(card("Latest messages", "/turns", table));
    }
    Ok(blocks)
}

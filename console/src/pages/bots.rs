//! Bots: the list, one, its edit, its parent.

use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::store::Store;

use super::ask::{Ask, cancel, seen};
use super::fields::{self, told};
use super::form::query;
use super::lists;
use super::reply::Done;
use super::shown;
use super::time::span;
use super::ui::{Block, Card, Cell, Facts, Form, Link, Page, Table, badge, path};
use crate::office::actor::Scope;
use crate::office::book::Book;
use crate::office::problem::Problem;
use crate::office::views::BotView;
use crate::office::{etag, find, inherit};

pub(super) use super::bot_edit::{add, change, edit, form};

pub(super) fn crumb() -> Link {
    Link::new("/bots", "Bots")
}

pub(super) async fn list<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let bots = book.registry.bots.values().map(AsRef::as_ref);
    let key = |bot: &shared::registry::Bot| (bot.name.clone(), bot.id.to_string());
    let found = lists::page(bots, key, &ask.query, "/bots", &[]);
    let mut rows = Vec::new();
    for bot in found.things {
        let view = desk.bot_view(&book, bot)?;
        let of_bot = book.channels(&bot.id);
        let live = of_bot.iter().filter(|channel| channel.state == ChannelState::Live).count();
        let edit = if view.unpublished {
            Cell::Badge(badge("info", "unpublished edit"))
        } else {
            Cell::Nothing
        };
        rows.push(vec![
            Cell::Strong(Link::new(path(&["bots", &view.bot_id]), &view.name)),
            Cell::text(shown::logic(&view)),
            Cell::text(format!("{live} of {} live", of_bot.len())),
            edit,
            Cell::Code(view.bot_id),
        ]);
    }
    let table = Table {
        caption: "Bots".to_owned(),
        head: vec!["Name", "Logic", "Channels", "Edit", "Id"],
        rows,
        empty: "No bot is named so.".to_owned(),
        filter: Some(lists::filter("/bots", &ask.query, Vec::new())),
        first: found.first,
        next: found.next,
    };
    let mut actions = Vec::new();
    if ask.may(Scope::Configure) {
        actions =
            vec![Link::new("/bots/import", "Import"), Link::primary("/bots/new", "Add a bot")];
    }
    let blocks: Vec<Block> =
        told(ask.query.text("done")).into_iter().chain([Block::Table(table)]).collect();
    Ok(Done::Page(Page {
        title: "Bots".to_owned(),
        section: "bots",
        actions,
        blocks,
        ..Page::default()
    }))
}

pub(super) async fn one<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::bot(&book.registry, ask.id())?;
    let view = desk.bot_view(&book, &row)?;
    let here = |more: &str| path(&["bots", &view.bot_id, more]);
    let mut blocks: Vec<Block> = told(ask.query.text("done")).into_iter().collect();
    if view.unpublished {
        let words =
            "What is shown here is an edit. What runs stays until it is published and approved.";
        blocks.push(fields::notice("info", "There is an unpublished edit", words));
    }
    let facts = facts(&book, &view);
    let edit = ask.may(Scope::Configure).then(|| Link::new(here("edit"), "Edit"));
    blocks.push(Block::Card(Card {
        title: "The bot".to_owned(),
        actions: edit.into_iter().collect(),
        parts: vec![Block::Facts(Facts(facts))],
        ..Card::default()
    }));
    blocks.push(Block::Card(channels(ask, &book, &view)?));
    blocks.extend(placeholders(ask, &view).await?.map(Block::Card));
    if ask.may(Scope::Configure) {
        blocks.push(Block::Card(Card {
            title: "More".to_owned(),
            actions: vec![
                Link::new(here("parent"), "Inherit channels"),
                Link::new(here("export"), "Export"),
                Link::danger(here("delete"), "Delete"),
            ],
            ..Card::default()
        }));
    }
    let publish = ask.may(Scope::Configure).then(|| Link::primary(here("publish"), "Publish"));
    Ok(Done::Page(Page {
        title: view.name,
        section: "bots",
        crumbs: vec![crumb()],
        actions: publish.into_iter().collect(),
        blocks,
        ..Page::default()
    }))
}

fn facts(book: &Book, view: &BotView) -> Vec<(&'static str, Vec<Cell>)> {
    let parent = view.parent_id.as_ref().map(|id| {
        let known = book.registry.bots.get(&id.as_str().into());
        shown::bot(id, known.map_or(id, |bot| &bot.name))
    });
    vec![
        ("Id", vec![Cell::Copy(view.bot_id.clone())]),
        ("Logic", vec![Cell::text(shown::logic(view))]),
        ("When it fails, the user reads", vec![Cell::text(view.error_message.clone())]),
        ("A session ends after", vec![Cell::text(span(view.session_timeout_ms))]),
        ("Turns at once in one dispatcher", vec![Cell::text(view.permits.to_string())]),
        ("Inherits channels from", vec![parent.unwrap_or(Cell::Nothing)]),
    ]
}

fn channels<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    book: &Book,
    view: &BotView,
) -> Result<Card, Problem> {
    let mut rows: Vec<_> = book.channels(&view.bot_id.as_str().into()).iter().collect();
    rows.sort_by_key(|channel| channel.ordinal);
    let more = rows.len().saturating_sub(lists::ROWS);
    let mut cells = Vec::new();
    for row in rows.into_iter().take(lists::ROWS) {
        let channel = ask.desk().channel_view(book, row)?;
        cells.push(super::channels::row(book, &channel, false));
    }
    let all = query("/channels", &[("bot", &view.bot_id)]);
    let mut actions = if more > 0 { vec![Link::new(all, "All channels")] } else { Vec::new() };
    if ask.may(Scope::Configure) {
        let href = path(&["bots", &view.bot_id, "add-channel"]);
        actions.push(Link::primary(href, "Add a webhook channel"));
    }
    let table = Table {
        caption: "Channels of this bot".to_owned(),
        head: super::channels::head(false),
        rows: cells,
        empty: "It has no channel yet.".to_owned(),
        ..Table::default()
    };
    let title = "Channels".to_owned();
    Ok(Card { title, actions, parts: vec![Block::Table(table)], ..Card::default() })
}

async fn placeholders<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    view: &BotView,
) -> Result<Option<Card>, Problem> {
    let all = ask.desk().placeholders(Some(&view.bot_id)).await?;
    if all.is_empty() {
        return Ok(None);
    }
    let rows = all.into_iter().map(|one| {
        let here = |word: &str| path(&["placeholders", &one.placeholder_id, word]);
        let mut row = vec![Cell::text(one.name.clone()), Cell::text(shown::mode(&one.mode))];
        if ask.may(Scope::Configure) {
            row.push(Cell::Link(Link::new(here("associate"), "Give it an app")));
            row.push(Cell::Link(Link::new(here("delete"), "Delete")));
        }
        row
    });
    let mut head = vec!["Name", "Mode"];
    if ask.may(Scope::Configure) {
        head.extend(["App", "Else"]);
    }
    let table = Table {
        caption: "Placeholders".to_owned(),
        head,
        rows: rows.collect(),
        ..Table::default()
    };
    let words = "They came with an import. Each becomes a channel when it is given an app.";
    Ok(Some(Card {
        title: "Placeholders".to_owned(),
        words: words.to_owned(),
        parts: vec![Block::Table(table)],
        ..Card::default()
    }))
}

pub(super) async fn parent<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let view = desk.bot(ask.id()).await?;
    let here = path(&["bots", &view.bot_id]);
    let value = view.parent_id.clone().unwrap_or_default();
    let field = fields::text("parent", "Parent", &value)
        .hint("A bot by id or name. Empty: it inherits from none.");
    let form = Form {
        fields: vec![field],
        cancel: Some(cancel(here.as_str())),
        ..ask.form(format!("{here}/parent"), "Save")
    };
    let words = "The channels that the parent publishes come along as drafts, with the parent's app and \
                 settings and an id of their own; so does each one that it publishes later.";
    Ok(Done::Page(Page {
        title: format!("What {} inherits", view.name),
        section: "bots",
        crumbs: vec![crumb(), Link::new(here, view.name)],
        lead: words.to_owned(),
        blocks: vec![Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() })],
        ..Page::default()
    }))
}

pub(super) async fn set_parent<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let parent = ask.form.given("parent");
    let view = ask.desk().set_parent(&ask.actor, ask.id(), parent).await?;
    let done = if parent.is_some() { "inherits" } else { "saved" };
    Ok(Done::Go(query(&path(&["bots", &view.bot_id]), &[("done", done)])))
}

pub(super) async fn delete<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::bot(&book.registry, ask.id())?;
    let view = desk.bot_view(&book, &row)?;
    let used =
        !book.channels(&row.id).is_empty() || inherit::children(&book, &row.id)?.next().is_some();
    let words = if used {
        "Its channels have to be deleted first, and no bot may inherit from it."
    } else {
        "The bot is removed for good."
    };
    let tag = etag::of(&view);
    Ok(super::confirm(
        ask,
        super::Confirm {
            title: format!("Delete {}?", view.name),
            words: words.to_owned(),
            at: path(&["bots", &view.bot_id]),
            word: "delete",
            button: "Delete the bot",
            section: "bots",
            fields: vec![seen(tag)],
        },
    ))
}

pub(super) async fn remove<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.desk().remove_bot(&ask.actor, ask.id(), ask.seen()).await?;
    Ok(Done::Go("/bots?done=removed".to_owned()))
}

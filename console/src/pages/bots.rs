//! Bots: the list, one, its edit, its parent.

use serde_json::{Map, Value};
use shared::broker::Broker;
use shared::registry::control::Kind;
use shared::store::Store;

use super::ask::{Ask, can_be_mended, cancel, seen};
use super::fields::{self, choice, told, wrong};
use super::form::query;
use super::lists;
use super::reply::Done;
use super::shown;
use super::time::span;
use super::ui::{Block, Card, Cell, Facts, Field, Form, Link, Page, Table, badge, path};
use crate::office::actor::Scope;
use crate::office::book::Book;
use crate::office::drafts::BotDraft;
use crate::office::problem::Problem;
use crate::office::views::BotView;
use crate::office::{back, copies, etag, find};

const LOGICS: [(&str, &str, &str); 3] = [
    ("echo", "Echo", "Says what it hears. For trying things out."),
    ("http", "HTTP bot", "Each turn is a POST to a URL of yours."),
    ("script", "Script", "JavaScript that runs here, jailed."),
];

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
        let all = book.registry.channels.values().filter(|channel| channel.bot == bot.id);
        let (mut channels, mut live) = (0, 0);
        for channel in all {
            channels += 1;
            live += usize::from(channel.state.as_str() == "live");
        }
        let edit = if view.unpublished {
            Cell::Badge(badge("info", "unpublished edit"))
        } else {
            Cell::Nothing
        };
        rows.push(vec![
            Cell::Strong(Link::new(path(&["bots", &view.bot_id]), &view.name)),
            Cell::text(shown::logic(&view)),
            Cell::text(format!("{live} of {channels} live")),
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
    let mut rows: Vec<_> =
        book.registry.channels.values().filter(|c| c.bot.as_str() == view.bot_id).collect();
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

pub(super) fn form<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Done {
    Done::Page(add_page(ask, None))
}

fn add_page<B: Broker, S: Store>(ask: &Ask<'_, B, S>, why: Option<&Problem>) -> Page {
    let typed = &ask.form;
    let logic = if typed.text("logic").is_empty() { "echo" } else { typed.text("logic") };
    let draft = BotDraft {
        name: typed.text("name").to_owned(),
        http: Some(typed.text("http").to_owned()),
        source: Some(typed.raw("source").to_owned()),
        ..super::bots::blank()
    };
    let mut form = ask.form_once("/bots/new", "Add the bot");
    form.fields = inputs(&draft, logic);
    form.cancel = Some(cancel("/bots"));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() }));
    let title = "Add a bot".to_owned();
    Page { title, section: "bots", crumbs: vec![crumb()], blocks, ..Page::default() }
}

pub(super) fn blank() -> BotDraft {
    BotDraft {
        name: String::new(),
        id: None,
        http: None,
        authorization: None,
        script: None,
        source: None,
        source_name: None,
        env: None,
        http_deadline: None,
        http_attempts: None,
        error_message: None,
        session_timeout: None,
        permits: None,
    }
}

fn inputs(draft: &BotDraft, logic: &str) -> Vec<Field> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let choices = LOGICS.map(|(word, words, hint)| choice(word, words, word == logic).hint(hint));
    vec![
        fields::text("name", "Name", &draft.name).required(),
        fields::radio("logic", "What answers", choices.to_vec()),
        Field {
            kind: super::ui::Kind::Url,
            ..fields::text("http", "URL of the HTTP bot", &text(&draft.http))
        }
        .when("when-http"),
        fields::password("authorization", "Authorization header of the calls", "off")
            .hint("Kept sealed and never shown. Empty: as it is.")
            .when("when-http"),
        fields::code("source", "Script", &text(&draft.source)).when("when-script"),
        fields::text("error_message", "When it fails, the user reads", &text(&draft.error_message)),
        fields::text("session_timeout", "A session ends after", &text(&draft.session_timeout))
            .hint("Inactivity, like 15min."),
    ]
}

/// What a form says, as a merge patch. `before` is the logic that it had; what is emptied goes.
fn said<B: Broker, S: Store>(ask: &Ask<'_, B, S>, before: Option<&str>) -> Map<String, Value> {
    let form = &ask.form;
    let logic = form.text("logic");
    let mut patch = Map::new();
    let mut put = |word: &str, value: Option<&str>, had: bool| {
        if let Some(value) = value {
            patch.insert(word.to_owned(), value.into());
        } else if had {
            patch.insert(word.to_owned(), Value::Null);
        }
    };
    put("name", Some(form.text("name")), false);
    put("http", form.given("http").filter(|_| logic == "http"), before == Some("http"));
    let source = Some(form.raw("source")).filter(|source| logic == "script" && !source.is_empty());
    put("source", source, before == Some("script"));
    let new_script = before != Some("script");
    put("source_name", source.filter(|_| new_script).map(|_| "script.js"), false);
    put("error_message", form.given("error_message"), before.is_some());
    put("session_timeout", form.given("session_timeout"), before.is_some());
    put("authorization", form.given("authorization").filter(|_| logic == "http"), false);
    patch
}

pub(super) async fn add<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let made = match copies::read::<BotDraft>(said(ask, None)) {
        Ok(draft) => ask.desk_once("bot").add_bot(&ask.actor, &draft).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(view) => Ok(Done::Go(format!("{}?done=saved", path(&["bots", &view.bot_id])))),
        Err(problem) if can_be_mended(&problem) => Ok(Done::Again(add_page(ask, Some(&problem)))),
        Err(problem) => Err(problem),
    }
}

pub(super) async fn edit<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::bot(&book.registry, ask.id())?;
    let view = desk.bot_view(&book, &row)?;
    let draft = back::bot(&copies::bot(&book, &row, &desk.entropy)?.value);
    let page = edit_page(ask, &view, inputs(&draft, &view.logic), &etag::of(&view), None);
    Ok(Done::Page(page))
}

fn edit_page<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    view: &BotView,
    mut inputs: Vec<Field>,
    tag: &str,
    why: Option<&Problem>,
) -> Page {
    let here = path(&["bots", &view.bot_id]);
    inputs.push(seen(tag.to_owned()));
    let form = Form {
        fields: inputs,
        cancel: Some(cancel(here.as_str())),
        ..ask.form(format!("{here}/edit"), "Save")
    };
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() }));
    Page {
        title: format!("Edit {}", view.name),
        section: "bots",
        crumbs: vec![crumb(), Link::new(here, &view.name)],
        lead: "What runs stays as it is until the bot is published and approved.".to_owned(),
        blocks,
        ..Page::default()
    }
}

pub(super) async fn change<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let (desk, id) = (ask.desk(), ask.id());
    let patch = said(ask, Some(&desk.bot(id).await?.logic));
    match desk.change_bot(&ask.actor, id, &patch, ask.seen()).await {
        Ok(view) => {
            let done = if view.unpublished { "edited" } else { "saved" };
            Ok(Done::Go(query(&path(&["bots", &view.bot_id]), &[("done", done)])))
        }
        Err(problem) if can_be_mended(&problem) => {
            let view = desk.bot(id).await?;
            let form = &ask.form;
            let given = |word: &str| form.given(word).map(str::to_owned);
            let draft = BotDraft {
                name: form.text("name").to_owned(),
                http: given("http"),
                source: Some(form.raw("source").to_owned()),
                error_message: given("error_message"),
                session_timeout: given("session_timeout"),
                ..blank()
            };
            let inputs = inputs(&draft, form.text("logic"));
            let tag = etag::of(&view);
            Ok(Done::Again(edit_page(ask, &view, inputs, &tag, Some(&problem))))
        }
        Err(problem) => Err(problem),
    }
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
    let used = book.registry.channels.values().any(|channel| channel.bot == row.id)
        || book.all(Kind::Parent).any(|record| record.body.contains(row.id.as_str()));
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

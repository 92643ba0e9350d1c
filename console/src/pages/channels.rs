//! Channels: the list, one, its edit, its tokens, what is done to it.

use std::time::Duration;

use serde_json::Value;
use shared::broker::Broker;
use shared::config::value::Value as _;
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::registry::Channel;
use shared::store::Store;

use super::ask::{Ask, seen};
use super::fields::{self, choice, told};
use super::form::query;
use super::lists;
use super::reply::Done;
use super::shown;
use super::table::To;
use super::time::span;
use super::ui::{Block, Card, Cell, Facts, Link, Page, Table, path};
use crate::office::actor::Scope;
use crate::office::book::Book;
use crate::office::problem::Problem;
use crate::office::views::{ChannelView, EndpointView};
use crate::office::{etag, find};

pub(super) use super::channel_edit::{change, edit};
pub(super) use super::channel_keys::{mint, rotate_signing, signing_form, signing_secret, try_it};

pub(super) fn crumb() -> Link {
    Link::new("/channels", "Channels")
}

pub(super) async fn list<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let (bot, state) = (ask.query.text("bot"), ask.query.text("state"));
    let wanted = ChannelState::parse(state);
    let of_bot =
        if bot.is_empty() { None } else { Some(find::bot(&book.registry, bot)?.id.clone()) };
    let channels = book.registry.channels.values().map(AsRef::as_ref);
    let channels = channels
        .filter(|channel| of_bot.as_ref().is_none_or(|bot| channel.bot == *bot))
        .filter(|channel| wanted.is_none_or(|state| channel.state == state));
    let key = |channel: &Channel| (channel.name.clone(), channel.id.to_string());
    let more = [("bot", bot), ("state", state)];
    let found = lists::page(channels, key, &ask.query, "/channels", &more);
    let mut rows = Vec::new();
    for channel in found.things {
        rows.push(row(&book, &desk.channel_view(&book, channel)?, true));
    }
    let mut choices = vec![choice("", "any state", wanted.is_none())];
    choices.extend(
        ChannelState::ALL.map(|one| choice(one.as_str(), one.as_str(), Some(one) == wanted)),
    );
    let more = vec![fields::select("state", "State", choices), fields::text("bot", "Bot", bot)];
    let table = Table {
        caption: "Channels".to_owned(),
        head: head(true),
        rows,
        empty: "No channel is like this.".to_owned(),
        filter: Some(lists::filter("/channels", &ask.query, more)),
        first: found.first,
        next: found.next,
    };
    let blocks: Vec<Block> =
        told(ask.query.text("done")).into_iter().chain([Block::Table(table)]).collect();
    Ok(Done::Page(Page {
        title: "Channels".to_owned(),
        section: "channels",
        lead: "Webhook instances of all bots. Add one from its bot's page.".to_owned(),
        blocks,
        ..Page::default()
    }))
}

pub(super) fn head(with_bot: bool) -> Vec<&'static str> {
    if with_bot {
        vec!["Channel", "Bot", "State", "Mode", "App", "Id"]
    } else {
        vec!["Channel", "State", "Mode", "App", "Id"]
    }
}

pub(super) fn row(book: &Book, view: &ChannelView, with_bot: bool) -> Vec<Cell> {
    let name = shown::named(&view.name);
    let mut row = vec![Cell::Strong(Link::new(path(&["channels", &view.webhook_id]), name))];
    if with_bot {
        let bot = book.registry.bots.get(&view.bot_id.as_str().into());
        row.push(shown::bot(&view.bot_id, bot.map_or(view.bot_id.as_str(), |bot| &bot.name)));
    }
    let state = if view.unpublished {
        Cell::Badge(super::ui::badge("info", format!("{}, edited", view.state)))
    } else {
        Cell::Badge(shown::state(&view.state))
    };
    row.extend([
        state,
        Cell::text(shown::mode(&view.mode)),
        super::apps::cell(book, &view.client_id),
        Cell::Code(view.webhook_id.clone()),
    ]);
    row
}

pub(super) async fn one<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let book = ask.desk().book().await?;
    let row = find::channel(&book.registry, ask.id())?;
    let view = ask.desk().channel_view(&book, &row)?;
    let blocks = told(ask.query.text("done")).into_iter().collect();
    Ok(Done::Page(page(ask, &book, &view, blocks)))
}

/// A channel's page, with something above it.
pub(super) fn page<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    book: &Book,
    view: &ChannelView,
    mut blocks: Vec<Block>,
) -> Page {
    if let Some(hint) = hint(view) {
        blocks.push(hint);
    }
    let here = |word: &str| path(&["channels", &view.webhook_id, word]);
    let mut actions = Vec::new();
    if ask.may(Scope::Configure) {
        actions.push(Link::new(here("edit"), "Edit"));
    }
    blocks.push(Block::Card(Card {
        title: "The channel".to_owned(),
        actions,
        parts: vec![Block::Facts(Facts(facts(book, view)))],
        ..Card::default()
    }));
    if !view.overrides.is_empty() {
        blocks.push(Block::Card(Card {
            title: "Messages of its own".to_owned(),
            parts: vec![Block::Table(own_messages(view))],
            ..Card::default()
        }));
    }
    if let Some(endpoint) = &view.endpoint {
        let rotate = ask.may(Scope::Configure);
        let rotate = rotate.then(|| Link::new(here("rotate-signing"), "Rotate the signing secret"));
        blocks.push(Block::Card(Card {
            title: "Where answers go".to_owned(),
            actions: rotate.into_iter().collect(),
            parts: vec![Block::Facts(Facts(endpoint_facts(endpoint)))],
            ..Card::default()
        }));
    }
    blocks.push(Block::Card(try_it(ask, view, None)));
    blocks.extend(decisions(ask, view).map(Block::Card));
    let bot = book.registry.bots.get(&view.bot_id.as_str().into());
    let bot = bot.map_or(view.bot_id.as_str(), |bot| &bot.name);
    let of = [("channel", view.webhook_id.as_str())];
    let mut actions = vec![
        Link::new(query("/turns", &of), "Conversations"),
        Link::new(query("/analytics", &of), "Analytics"),
    ];
    if view.mode == "async" {
        let of = [("channel", view.webhook_id.as_str())];
        actions.push(Link::new(query("/deliveries", &of), "Deliveries"));
    }
    if ask.may(Scope::Configure) {
        actions.push(Link::primary(here("talk"), "Talk to bot"));
    }
    Page {
        title: shown::named(&view.name),
        section: "channels",
        actions,
        badge: Some(shown::state(&view.state)),
        crumbs: vec![crumb(), Link::new(path(&["bots", &view.bot_id]), bot)],
        blocks,
        ..Page::default()
    }
}

fn hint(view: &ChannelView) -> Option<Block> {
    let (kind, title, words) = match view.state.as_str() {
        "draft" => (
            "info",
            "A draft",
            "Publish its bot to ask for approval. Until then it refuses messages.",
        ),
        "awaiting approval" => {
            ("warn", "Waiting for approval", "It refuses messages until an admin has approved it.")
        }
        "rejected" => ("bad", "Rejected", "Mend it and publish its bot again."),
        "suspended" => (
            "bad",
            "Suspended by an admin",
            "It refuses messages until an admin approves it again.",
        ),
        "disabled" => ("info", "Not published", "Its bot was published without it."),
        _ if view.unpublished => (
            "info",
            "There is an unpublished edit",
            "What is shown is the edit. What runs stays until the bot is published and approved.",
        ),
        _ => return None,
    };
    Some(fields::notice(kind, title, words))
}

fn facts(book: &Book, view: &ChannelView) -> Vec<(&'static str, Vec<Cell>)> {
    let bot = book.registry.bots.get(&view.bot_id.as_str().into());
    let mut state = shown::badges(view);
    state.dedup_by_key(|cell| format!("{cell:?}"));
    vec![
        ("Webhook URL", vec![Cell::Copy(view.url.clone())]),
        ("Id", vec![Cell::Copy(view.webhook_id.clone())]),
        ("Bot", vec![shown::bot(&view.bot_id, bot.map_or(view.bot_id.as_str(), |bot| &bot.name))]),
        ("App", vec![super::apps::cell(book, &view.client_id)]),
        ("State", state),
        ("Mode", vec![Cell::text(shown::mode(&view.mode))]),
        ("A caller waits", vec![Cell::text(span(view.deadline_ms))]),
        ("Messages before the answer", vec![Cell::text(view.while_busy.clone())]),
        (
            "Messages of one conversation",
            vec![Cell::text(format!(
                "{} a second, {} at once",
                view.rate_per_second, view.rate_burst
            ))],
        ),
    ]
}

/// What is said here instead of the bot's messages.
fn own_messages(view: &ChannelView) -> Table {
    let rows = view.overrides.iter().map(|(key, message)| {
        let said = match message {
            Value::String(text) => Cell::text(text.clone()),
            template => Cell::Code(template.to_string()),
        };
        vec![Cell::Code(key.clone()), said]
    });
    Table {
        caption: "Messages of its own".to_owned(),
        head: vec!["Instead of", "It says"],
        rows: rows.collect(),
        ..Table::default()
    }
}

fn endpoint_facts(endpoint: &EndpointView) -> Vec<(&'static str, Vec<Cell>)> {
    let token = if endpoint.has_token {
        format!("in {}", endpoint.token_header)
    } else {
        "none".to_owned()
    };
    vec![
        ("POST_URL", vec![Cell::Copy(endpoint.post_url.clone())]),
        ("Access token", vec![Cell::text(token)]),
        ("Waits between attempts", vec![Cell::text(waits(&endpoint.retry))]),
        ("Deadline of one POST", vec![Cell::text(span(endpoint.deadline_ms))]),
        ("POSTs at once", vec![Cell::text(endpoint.permits.to_string())]),
    ]
}

/// `5000ms,30000ms` as `5 s, 30 s`; anything else as it is.
pub(super) fn waits(retry: &str) -> String {
    let one = |text: &str| Duration::parse(text).ok();
    let all: Option<Vec<_>> = retry.split(',').map(one).collect();
    let ms = |wait: Duration| span(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    match all {
        Some(all) => all.into_iter().map(ms).collect::<Vec<_>>().join(", "),
        None => retry.to_owned(),
    }
}

fn decisions<B: Broker, S: Store>(ask: &Ask<'_, B, S>, view: &ChannelView) -> Option<Card> {
    let here = |word: &str| path(&["channels", &view.webhook_id, word]);
    let mut actions = Vec::new();
    if ask.may(Scope::Approve) {
        match view.state.as_str() {
            "live" => actions.push(Link::danger(here("suspend"), "Suspend")),
            "suspended" | "disabled" => {
                actions.push(Link::new(here("approve"), "Let it live again"));
            }
            "awaiting approval" => actions.extend([
                Link::new(here("approve"), "Approve"),
                Link::danger(here("reject"), "Reject"),
            ]),
            _ => {}
        }
    }
    if ask.may(Scope::Operate) {
        actions.push(Link::danger(here("erase"), "Erase a user's data"));
    }
    if ask.may(Scope::Configure) {
        actions.push(Link::danger(here("delete"), "Delete"));
    }
    let title = "More".to_owned();
    (!actions.is_empty()).then(|| Card { title, actions, ..Card::default() })
}

pub(super) async fn act_form<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    to: To,
) -> Result<Done, Problem> {
    let view = ask.desk().channel(ask.id()).await?;
    let (word, title, words, button) = match to {
        To::SuspendForm => (
            "suspend",
            "Suspend",
            "It refuses messages until an admin approves it again. Answers that wait are delivered.",
            "Suspend it",
        ),
        To::RejectForm => {
            ("reject", "Reject", "It stays as it is and refuses messages.", "Reject it")
        }
        _ => ("approve", "Approve", "It takes messages from then on.", "Let it live"),
    };
    Ok(super::confirm(
        ask,
        super::Confirm {
            title: format!("{title} {}?", shown::named(&view.name)),
            words: words.to_owned(),
            at: path(&["channels", &view.webhook_id]),
            word,
            button,
            section: "channels",
            fields: Vec::new(),
        },
    ))
}

pub(super) async fn act<B: Broker, S: Store>(ask: &Ask<'_, B, S>, to: To) -> Result<Done, Problem> {
    let (action, done) = match to {
        To::Suspend => (ChannelAction::Suspend, "suspended"),
        To::RejectChannel => (ChannelAction::Reject, "rejected"),
        _ => (ChannelAction::Approve, "approved"),
    };
    let view = ask.desk().act(&ask.actor, ask.id(), action).await?;
    Ok(Done::Go(format!("{}?done={done}", path(&["channels", &view.webhook_id]))))
}

pub(super) async fn delete<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let view = ask.desk().channel(ask.id()).await?;
    let words = "It is gone for good, with its URL. One that was ever published needs an admin.";
    Ok(super::confirm(
        ask,
        super::Confirm {
            title: format!("Delete {}?", shown::named(&view.name)),
            words: words.to_owned(),
            at: path(&["channels", &view.webhook_id]),
            word: "delete",
            button: "Delete the channel",
            section: "channels",
            fields: vec![seen(etag::of(&view))],
        },
    ))
}

pub(super) async fn remove<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.desk().remove_channel(&ask.actor, ask.id(), ask.seen()).await?;
    Ok(Done::Go("/channels?done=removed".to_owned()))
}

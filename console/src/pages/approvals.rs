//! Publishing: the request, the inbox, the decision.

use serde_json::Value;
use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::registry::control::Kind;
use shared::store::Store;

use super::ask::{Ask, can_be_mended, cancel};
use super::channel_edit::card;
use super::fields::{self, choice, told, wrong};
use super::form::query;
use super::lists::ROWS;
use super::reply::Done;
use super::shown;
use super::table::To;
use super::ui::{Badge, Block, Card, Cell, Facts, Link, Page, Table, badge, live, path};
use crate::office::actor::Scope;
use crate::office::book::Book;
use crate::office::find;
use crate::office::problem::Problem;
use crate::office::publish::{self as requests, PublishDraft, RequestView, Verdict};

fn crumb() -> Link {
    Link::new("/approvals", "Approvals")
}

fn bot_name(book: &Book, id: &str) -> String {
    book.registry.bots.get(&id.into()).map_or_else(|| id.to_owned(), |bot| bot.name.clone())
}

/// A bot or a channel, by name where it is known.
fn named(book: &Book, id: &str) -> String {
    let channel = book.registry.channels.get(&id.into());
    channel.map_or_else(|| bot_name(book, id), |channel| shown::named(&channel.name))
}

pub(super) async fn list<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let decided = ask.query.text("state") == "decided";
    let mut blocks: Vec<Block> = told(ask.query.text("done")).into_iter().collect();
    let (requests, next) = if decided {
        let before = ask.query.given("before");
        let limit = u32::try_from(ROWS + 1).unwrap_or(u32::MAX);
        let mut found = desk.decided_requests(before, limit).await?;
        let more = found.len() > ROWS;
        found.truncate(ROWS);
        let last = found.last().filter(|_| more);
        let next = last
            .map(|last| query("/approvals", &[("state", "decided"), ("before", &last.request_id)]));
        (found, next)
    } else {
        let after = ask.query.raw("after");
        let mut open = book.all(Kind::Request).filter(|kept| kept.id.as_str() > after);
        let views = open.by_ref().take(ROWS).map(|kept| requests::open_view(&book, kept));
        let found: Vec<_> = views.collect::<Result<_, _>>()?;
        let last = found.last().filter(|_| open.next().is_some());
        let next = last.map(|last| query("/approvals", &[("after", &last.request_id)]));
        (found, next)
    };
    let rows = requests.iter().map(|one| row(&book, one));
    blocks.push(Block::Table(Table {
        caption: if decided { "Decided requests" } else { "Open requests" }.to_owned(),
        head: vec!["Bot", "Asked by", "Asked at", "Changes", "State"],
        rows: rows.collect(),
        empty: if decided { "Nothing was decided yet." } else { "Nothing waits for a decision." }
            .to_owned(),
        next,
        ..Table::default()
    }));
    if !decided {
        blocks.extend(alone(ask, &book)?);
    }
    let other = if decided {
        Link::new("/approvals", "Open requests")
    } else {
        Link::new("/approvals?state=decided", "Decided requests")
    };
    Ok(Done::Page(Page {
        title: "Approvals".to_owned(),
        section: "approvals",
        lead: "What runs is what was approved. A request shows what it would change.".to_owned(),
        actions: vec![other],
        live: live(!decided),
        blocks,
        ..Page::default()
    }))
}

fn row(book: &Book, one: &RequestView) -> Vec<Cell> {
    let name = bot_name(book, &one.bot_id);
    vec![
        Cell::Strong(Link::new(path(&["approvals", &one.request_id]), name)),
        Cell::text(&one.requested_by),
        Cell::time(one.requested_at_ms),
        Cell::text(one.differences.len().to_string()),
        Cell::Badge(state(one)),
    ]
}

fn state(one: &RequestView) -> Badge {
    match one.decision.as_ref().map(|decision| decision.outcome.as_str()) {
        None => badge("warn", "open"),
        Some("approved") => badge("good", "approved"),
        Some("rejected") => badge("bad", "rejected"),
        Some(_) => badge("calm", "withdrawn"),
    }
}

/// Channels that wait by themselves: the command line and the platform's API ask so.
fn alone<B, S: Store>(ask: &Ask<'_, B, S>, book: &Book) -> Result<Option<Block>, Problem> {
    let asked_for = requests::asked_for(book)?;
    let mut waiting: Vec<_> = book
        .registry
        .channels
        .values()
        .filter(|channel| channel.state == ChannelState::AwaitingApproval)
        .filter(|channel| !asked_for.contains(channel.id.as_str()))
        .collect();
    if waiting.is_empty() {
        return Ok(None);
    }
    waiting.sort_by(|a, b| a.id.cmp(&b.id));
    let mut rows = Vec::new();
    for channel in waiting.into_iter().take(100) {
        rows.push(super::channels::row(book, &ask.desk().channel_view(book, channel)?, true));
    }
    let table = Table {
        caption: "Channels that wait by themselves".to_owned(),
        head: super::channels::head(true),
        rows,
        ..Table::default()
    };
    Ok(Some(Block::Card(Card {
        title: "Channels that wait by themselves".to_owned(),
        words: "They were added by command or through the platform's API.".to_owned(),
        parts: vec![Block::Table(table)],
        ..Card::default()
    })))
}

pub(super) async fn one<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let desk = ask.desk();
    let (book, one) = (desk.book().await?, desk.request(ask.id()).await?);
    let mut blocks: Vec<Block> = told(ask.query.text("done")).into_iter().collect();
    blocks.extend(why.map(wrong));
    let mut facts = vec![
        ("Bot", vec![shown::bot(&one.bot_id, &bot_name(&book, &one.bot_id))]),
        ("Asked by", vec![Cell::text(&one.requested_by)]),
        ("Asked at", vec![Cell::time(one.requested_at_ms)]),
        ("Comment", vec![said(&one.comment)]),
        (
            "Channels that run then",
            one.channels
                .iter()
                .map(|id| Cell::Link(Link::new(path(&["channels", id]), named(&book, id))))
                .collect(),
        ),
    ];
    if let Some(decision) = &one.decision {
        facts.extend([
            ("Decided by", vec![Cell::text(&decision.by)]),
            ("Decided at", vec![Cell::time(decision.at_ms)]),
            ("Why", vec![said(&decision.why)]),
        ]);
    }
    let parts = vec![Block::Facts(Facts(facts))];
    blocks.push(Block::Card(Card { title: "The request".to_owned(), parts, ..Card::default() }));
    blocks.push(Block::Card(differences(&book, &one)));
    if one.decision.is_none() {
        blocks.extend(decide(ask, &one));
    }
    let page = Page {
        title: format!("Publish {}", bot_name(&book, &one.bot_id)),
        section: "approvals",
        badge: Some(state(&one)),
        crumbs: vec![crumb()],
        blocks,
        ..Page::default()
    };
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

/// What somebody wrote, if anything.
fn said(words: &str) -> Cell {
    if words.is_empty() { Cell::Nothing } else { Cell::text(words) }
}

fn differences(book: &Book, one: &RequestView) -> Card {
    let value = |value: &Option<Value>| match value {
        None => Cell::Nothing,
        Some(Value::String(text)) => Cell::Code(text.clone()),
        Some(other) => Cell::Code(other.to_string()),
    };
    let rows = one.differences.iter().map(|change| {
        vec![
            Cell::text(named(book, &change.subject)),
            Cell::text(change.word.replace('_', " ")),
            value(&change.before),
            value(&change.after),
        ]
    });
    let past = one.decision.is_some();
    let table = Table {
        caption: "Differences".to_owned(),
        head: if past {
            vec!["Of", "What", "Before", "After"]
        } else {
            vec!["Of", "What", "Runs now", "Would run"]
        },
        rows: rows.collect(),
        empty: "It changes nothing of what runs.".to_owned(),
        ..Table::default()
    };
    let title = if past { "What it was about" } else { "What it changes of what runs" };
    Card { title: title.to_owned(), parts: vec![Block::Table(table)], ..Card::default() }
}

fn decide<B: Broker, S: Store>(ask: &Ask<'_, B, S>, one: &RequestView) -> Vec<Block> {
    let here = |word: &str| path(&["approvals", &one.request_id, word]);
    let mut cards = Vec::new();
    if ask.may(Scope::Approve) {
        let approve = ask.form(here("approve"), "Approve");
        cards.push(Block::Card(Card {
            title: "Approve".to_owned(),
            words: "Exactly what is shown above runs from then on.".to_owned(),
            parts: vec![Block::Form(approve)],
            ..Card::default()
        }));
        let mut reject = ask.form(here("reject"), "Reject");
        reject.danger = true;
        reject.fields = vec![fields::area("why", "Reason", ask.form.raw("why")).required()];
        cards.push(Block::Card(Card {
            title: "Reject".to_owned(),
            parts: vec![Block::Form(reject)],
            ..Card::default()
        }));
    }
    if ask.may(Scope::Configure) {
        let withdraw = ask.form(here("withdraw"), "Take it back");
        cards.push(Block::Card(Card {
            title: "Take it back".to_owned(),
            parts: vec![Block::Form(withdraw)],
            ..Card::default()
        }));
    }
    cards
}

pub(super) async fn judge<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    to: To,
) -> Result<Done, Problem> {
    let (verdict, done) = match to {
        To::ApproveRequest => (Verdict::Approve, "approved"),
        To::RejectRequest => (Verdict::Reject, "rejected"),
        _ => (Verdict::Withdraw, "withdrawn"),
    };
    match ask.desk().judge(&ask.actor, ask.id(), verdict, ask.form.text("why")).await {
        Ok(one) => Ok(Done::Go(query(&path(&["approvals", &one.request_id]), &[("done", done)]))),
        Err(problem) if can_be_mended(&problem) => one(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(super) async fn publish_form<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let bot = find::bot(&book.registry, ask.id())?;
    let here = path(&["bots", bot.id.as_str()]);
    let mut rows: Vec<_> = book.registry.channels.values().filter(|c| c.bot == bot.id).collect();
    rows.sort_by_key(|channel| channel.ordinal);
    let typed = ask.form.all("channels");
    let choices = rows.into_iter().map(|channel| {
        let id = channel.id.as_str();
        let chosen = if why.is_some() {
            typed.iter().any(|one| one == id)
        } else {
            matches!(
                channel.state,
                ChannelState::Live | ChannelState::Draft | ChannelState::AwaitingApproval
            )
        };
        choice(id, &shown::named(&channel.name), chosen).hint(channel.state.as_str())
    });
    let mut form = ask.form_once(format!("{here}/publish"), "Ask for approval");
    let choices = fields::checks("channels", "Channels that are to run", choices.collect())
        .hint("Those that run now and are not among them stop.");
    form.fields = vec![choices, fields::area("comment", "Comment", ask.form.raw("comment"))];
    form.cancel = Some(cancel(here.as_str()));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    let page = Page {
        title: format!("Publish {}", bot.name),
        section: "bots",
        crumbs: vec![Link::new("/bots", "Bots"), Link::new(here, &bot.name)],
        lead: "The bot as it is edited, with these channels, runs once an admin has approved it."
            .to_owned(),
        blocks,
        ..Page::default()
    };
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

pub(super) async fn publish<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let draft = PublishDraft {
        channels: ask.form.all("channels"),
        comment: ask.form.text("comment").to_owned(),
    };
    match ask.desk_once("publish").publish(&ask.actor, ask.id(), &draft).await {
        Ok(one) => {
            Ok(Done::Go(format!("{}?done=requested", path(&["approvals", &one.request_id]))))
        }
        Err(problem) if can_be_mended(&problem) => publish_form(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

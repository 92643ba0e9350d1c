//! Conversations and deliveries: what became of turns, and of answers on their way.

use shared::broker::Broker;
use shared::domain::outcome::Outcome;
use shared::store::Store;

use super::ask::{Ask, cancel};
use super::fields::{self, choice, told};
use super::form::query;
use super::lists::ROWS;
use super::reply::Done;
use super::shown;
use super::table::To;
use super::time;
use super::ui::{Badge, Block, Card, Cell, Filter, Form, Link, Page, Table, badge, live, path};
use crate::office::actor::Scope;
use crate::office::book::Book;
use crate::office::ledger::{DeliveriesOf, DeliveryView, TurnView, TurnsOf};
use crate::office::problem::Problem;

const LIMIT: u32 = 25;
/// What a list says of turns.
pub(super) const HEAD: [&str; 7] =
    ["Accepted", "User", "Channel", "Outcome", "Waited", "Bot", "Turn"];
/// What a list says of settled deliveries.
pub(super) const DELIVERY_HEAD: [&str; 6] =
    ["State", "User", "Channel", "Attempts", "Settled", "Turn"];

pub(super) fn channel_cell(book: &Book, id: &str) -> Cell {
    match book.registry.channels.get(&id.into()) {
        Some(channel) => {
            Cell::Link(Link::new(path(&["channels", id]), shown::named(&channel.name)))
        }
        None => Cell::Code(id.to_owned()),
    }
}

pub(super) fn outcome(outcome: &str) -> Badge {
    let kind = match outcome {
        "answered" => "good",
        "parked" => "bad",
        "merged" | "superseded" => "calm",
        _ => "warn",
    };
    badge(kind, outcome.replace('_', " "))
}

pub(super) fn standing(one: &DeliveryView) -> Badge {
    match (one.state.as_str(), &one.reason) {
        ("delivered", _) => badge("good", "delivered"),
        ("parked", Some(reason)) => badge("bad", format!("parked: {reason}")),
        (state, _) if one.attempts > 0 => badge("warn", format!("{state}, retried")),
        (state, _) => badge("info", state),
    }
}

pub(super) async fn turns<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let words = &ask.query;
    let (channel, user) = (words.given("channel"), words.given("user"));
    let (wanted, after) = (words.given("outcome"), words.given("after"));
    let of = TurnsOf { channel, user, outcome: wanted, after, limit: LIMIT };
    let (page, wrong) = match ask.desk().turns(&ask.actor, of).await {
        Ok(page) => (page, None),
        Err(problem) if super::ask::can_be_mended(&problem) => (
            crate::office::ledger::Paged { items: Vec::new(), next: None },
            Some(fields::notice("bad", "That cannot be looked for", &problem.words)),
        ),
        Err(problem) => return Err(problem),
    };
    let book = ask.desk().book().await?;
    let at = |after: &str| {
        let text = |word: Option<&str>| word.unwrap_or_default().to_owned();
        let [a, b, c] = [text(channel), text(user), text(wanted)];
        query("/turns", &[("channel", &a), ("user", &b), ("outcome", &c), ("after", after)])
    };
    let mut choices = vec![choice("", "any outcome", wanted.is_none())];
    choices.extend(Outcome::ALL.map(|one| {
        choice(one.as_str(), &one.as_str().replace('_', " "), Some(one.as_str()) == wanted)
    }));
    let fields = vec![
        fields::text("channel", "Channel", channel.unwrap_or_default()).hint("By id or name."),
        fields::text("user", "User", user.unwrap_or_default()).hint("from.id, exactly."),
        fields::select("outcome", "Outcome", choices),
    ];
    let more = page.next.is_some();
    let table = Table {
        caption: "Turns".to_owned(),
        head: HEAD.to_vec(),
        rows: page.items.iter().map(|one| row(&book, one)).collect(),
        empty: if more {
            "Nothing like this among these; older ones may be."
        } else {
            "No turn is like this."
        }
        .to_owned(),
        filter: Some(Filter { action: "/turns".to_owned(), fields }),
        first: after.map(|_| at("")),
        next: page.next.as_deref().map(at),
    };
    let blocks = wrong.into_iter().chain([Block::Table(table)]).collect();
    Ok(Done::Page(Page {
        title: "Conversations".to_owned(),
        section: "turns",
        lead: "Messages and what became of them, newest first.".to_owned(),
        live: live(after.is_none()),
        blocks,
        ..Page::default()
    }))
}

/// A turn in a list, see [`HEAD`].
pub(super) fn row(book: &Book, one: &TurnView) -> Vec<Cell> {
    let user = one.user.clone().map_or(Cell::Nothing, Cell::Text);
    vec![
        Cell::time(one.accepted_at_ms),
        user,
        channel_cell(book, &one.channel_id),
        Cell::Badge(outcome(&one.outcome)),
        Cell::text(time::span(one.queued_ms)),
        Cell::text(time::span(one.bot_ms)),
        Cell::Strong(Link::new(path(&["turns", &one.turn_id]), "Timeline")),
    ]
}

/// A delivery in a list, see [`DELIVERY_HEAD`].
pub(super) fn delivery_row(book: &Book, one: &DeliveryView) -> Vec<Cell> {
    vec![
        Cell::Badge(standing(one)),
        one.user.clone().map_or(Cell::Nothing, Cell::Text),
        channel_cell(book, &one.channel_id),
        Cell::text(one.attempts.to_string()),
        Cell::time(one.settled_at_ms.unwrap_or(one.due_at_ms)),
        Cell::Strong(Link::new(path(&["turns", &one.turn_id]), "Timeline")),
    ]
}

pub(super) async fn deliveries<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let words = &ask.query;
    let (channel, after) = (words.given("channel"), words.given("after"));
    let state = words.given("state").unwrap_or("waiting");
    let of = DeliveriesOf { channel, state: Some(state), after, limit: LIMIT };
    let page = ask.desk().deliveries(&ask.actor, of).await?;
    let book = ask.desk().book().await?;
    let at = |after: &str| {
        let of = channel.unwrap_or_default();
        query("/deliveries", &[("channel", of), ("state", state), ("after", after)])
    };
    let operates = ask.may(Scope::Operate) && state != "waiting";
    let rows = page.items.iter().map(|one| {
        let mut row = delivery_row(&book, one);
        if operates {
            row.push(Cell::Link(again(one)));
        }
        if operates && state == "parked" {
            let form = path(&["channels", &one.channel_id, "redrive"]);
            row.push(one.user.as_ref().map_or(Cell::Nothing, |user| {
                Cell::Link(Link::new(query(&form, &[("user", user)]), "Redrive"))
            }));
        }
        row
    });
    let mut head = DELIVERY_HEAD.to_vec();
    if state == "waiting" {
        head[4] = "Due";
    }
    head.extend(operates.then_some("This one"));
    head.extend((operates && state == "parked").then_some("Conversation"));
    let choices = ["waiting", "delivered", "parked"].map(|one| choice(one, one, one == state));
    let fields = vec![
        fields::select("state", "State", choices.to_vec()),
        fields::text("channel", "Channel", channel.unwrap_or_default()).hint("By id or name."),
    ];
    let table = Table {
        caption: "Deliveries".to_owned(),
        head,
        rows: rows.collect(),
        empty: "None is like this.".to_owned(),
        filter: Some(Filter { action: "/deliveries".to_owned(), fields }),
        first: after.map(|_| at("")),
        next: page.next.as_deref().map(at),
    };
    let blocks = told(words.text("done")).into_iter().chain([Block::Table(table)]).collect();
    Ok(Done::Page(Page {
        title: "Deliveries".to_owned(),
        section: "deliveries",
        lead:
            "Answers of asynchronous channels on their way. Of those that wait, the first of each \
               conversation is shown: the others go behind it."
                .to_owned(),
        actions: replays(ask, channel, state),
        live: live(after.is_none()),
        blocks,
        ..Page::default()
    }))
}

/// Where one delivery is sent again.
pub(super) fn again(one: &DeliveryView) -> Link {
    Link::new(path(&["turns", &one.turn_id, &one.message.to_string(), "resend"]), "Send again")
}

/// What was sent again, and, for whoever may, the way to more of it.
fn replays<B, S: Store>(ask: &Ask<'_, B, S>, channel: Option<&str>, state: &str) -> Vec<Link> {
    let mut links = vec![Link::new("/replays", "Replays")];
    if ask.may(Scope::Operate) {
        let state = if state == "waiting" { "" } else { state };
        let of = [("channel", channel.unwrap_or_default()), ("state", state)];
        links.push(Link::new(query("/replays/new", &of), "Replay a range"));
    }
    links
}

/// Asks for the user that something is to be done about.
pub(super) fn ask_user<B: Broker, S: Store>(ask: &Ask<'_, B, S>, to: To) -> Done {
    let here = path(&["channels", ask.id()]);
    let (word, title, button, words) = if to == To::EraseForm {
        (
            "erase",
            "Erase a user's data",
            "Erase it for good",
            "What this user has said on this channel, what was answered, and what waits for delivery is \
             removed. It cannot be taken back.",
        )
    } else {
        (
            "redrive",
            "Redrive parked deliveries",
            "Put them back",
            "The parked deliveries of this conversation are put back, in their old order, at its end.",
        )
    };
    let user = fields::text("user", "User", ask.query.raw("user"));
    let form = Form {
        fields: vec![user.required().hint("from.id, exactly.")],
        danger: word == "erase",
        cancel: Some(cancel(here.as_str())),
        ..ask.form(format!("{here}/{word}"), button)
    };
    let card = Card { words: words.to_owned(), parts: vec![Block::Form(form)], ..Card::default() };
    Done::Page(Page {
        title: title.to_owned(),
        section: "channels",
        crumbs: vec![Link::new("/channels", "Channels")],
        blocks: vec![Block::Card(card)],
        ..Page::default()
    })
}

pub(super) async fn operate<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    to: To,
) -> Result<Done, Problem> {
    let (desk, user) = (ask.desk(), ask.form.raw("user"));
    if user.is_empty() {
        return Err(Problem::invalid("user: whose?"));
    }
    if to == To::Erase {
        desk.erase(&ask.actor, ask.id(), user).await?;
        return Ok(Done::Go(format!("{}?done=erased", path(&["channels", ask.id()]))));
    }
    desk.redrive(&ask.actor, ask.id(), user).await?;
    Ok(Done::Go(query("/deliveries", &[("channel", ask.id()), ("done", "redriven")])))
}

const _: () = assert!(LIMIT as usize == ROWS);

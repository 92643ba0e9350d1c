//! One turn: what happened to it, what was said, and who was told.

use shared::broker::Broker;
use shared::store::Store;

use super::ask::Ask;
use super::bubbles;
use super::fields;
use super::form::query;
use super::ledger::{again, channel_cell, outcome, standing};
use super::reply::Done;
use super::time;
use super::ui::{Block, Bubbles, Card, Cell, Code, Event, Facts, Link, Page, Timeline, live, path};
use crate::office::actor::Scope;
use crate::office::ledger::{ATTEMPTS, AttemptView, WholeTurnView};
use crate::office::problem::Problem;

/// All that happened, or, further on, more of the attempts.
pub(super) async fn page<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let (desk, after) = (ask.desk(), ask.query.given("after"));
    let whole = desk.turn(&ask.actor, ask.id()).await?;
    let tries = desk.attempts(&ask.actor, ask.id(), after, ATTEMPTS).await?;
    let book = desk.book().await?;
    let here = path(&["turns", &whole.turn.turn_id]);
    let more = tries.next.map(|next| query(&here, &[("after", &next)]));
    let more = more.map(|more| Link::new(more, "Later attempts"));
    if after.is_some() {
        let events = tries.items.iter().map(tried).map(|(.., event)| event).collect();
        return Ok(Done::Page(Page {
            title: "Later attempts".to_owned(),
            section: "turns",
            crumbs: vec![Link::new("/turns", "Conversations"), Link::new(here, "A turn")],
            actions: more.into_iter().collect(),
            blocks: vec![Block::Card(Card {
                parts: vec![Block::Timeline(Timeline(events))],
                ..Card::default()
            })],
            ..Page::default()
        }));
    }
    let one = &whole.turn;
    let facts = vec![
        ("Turn, and poll id", vec![Cell::Copy(one.turn_id.clone())]),
        ("User", vec![one.user.clone().map_or(Cell::Nothing, Cell::Text)]),
        ("Channel", vec![channel_cell(&book, &one.channel_id)]),
        (
            "Detail",
            vec![if one.detail.is_empty() { Cell::Nothing } else { Cell::text(&one.detail) }],
        ),
    ];
    let mut blocks = vec![Block::Card(Card {
        title: "The turn".to_owned(),
        parts: vec![Block::Facts(Facts(facts))],
        ..Card::default()
    })];
    blocks.push(Block::Card(Card {
        title: "What happened".to_owned(),
        parts: vec![Block::Timeline(Timeline(events(&whole, &tries.items)))],
        ..Card::default()
    }));
    blocks.push(Block::Card(said(&whole, ask.may(Scope::Operate))));
    let mut actions: Vec<_> = more.into_iter().collect();
    if let Some(user) = &one.user {
        let of = [("channel", one.channel_id.as_str()), ("user", user)];
        actions.push(Link::new(query("/turns", &of), "This conversation"));
        if ask.may(Scope::Operate) && whole.deliveries.iter().any(|one| one.state == "parked") {
            let form = path(&["channels", &one.channel_id, "redrive"]);
            actions.push(Link::primary(query(&form, &[("user", user)]), "Redrive"));
        }
    }
    Ok(Done::Page(Page {
        title: "A turn".to_owned(),
        section: "turns",
        badge: Some(outcome(&one.outcome)),
        crumbs: vec![Link::new("/turns", "Conversations")],
        actions,
        live: live(true),
        blocks,
        ..Page::default()
    }))
}

fn event(kind: &'static str, title: impl Into<String>, ms: u64, lines: Vec<String>) -> Event {
    let (iso, when) = (time::iso(ms), time::words(ms));
    Event { kind, title: title.into(), iso, when, lines }
}

fn events(whole: &WholeTurnView, tries: &[AttemptView]) -> Vec<Event> {
    let one = &whole.turn;
    let started = one.accepted_at_ms + one.queued_ms;
    let mut events = vec![
        event("", "Accepted and queued", one.accepted_at_ms, Vec::new()),
        event("", format!("Started, after {}", time::span(one.queued_ms)), started, Vec::new()),
    ];
    let kind = match one.outcome.as_str() {
        "answered" => "good",
        "merged" | "superseded" => "",
        _ => "bad",
    };
    let words = one.outcome.replace('_', " ");
    let title = format!("Committed: {words}; the bot took {}", time::span(one.bot_ms));
    events.push(event(kind, title, one.committed_at_ms, Vec::new()));
    let mut attempts: Vec<_> = tries.iter().map(tried).collect();
    for delivery in &whole.deliveries {
        let Some(at) = delivery.settled_at_ms else { continue };
        let number = delivery.message + 1;
        let (kind, words) = if delivery.state == "delivered" {
            ("good", format!("Message {number} is delivered"))
        } else {
            let reason = delivery.reason.as_deref().unwrap_or("parked");
            ("bad", format!("Message {number} is parked: {reason}"))
        };
        attempts.push((at, 1, event(kind, words, at, Vec::new())));
    }
    attempts.sort_by_key(|(at, order, _)| (*at, *order));
    events.extend(attempts.into_iter().map(|(_, _, event)| event));
    events
}

fn tried(one: &AttemptView) -> (u64, u8, Event) {
    let what = match (one.status, &one.error) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(error)) => error.clone(),
        (None, None) => "no response".to_owned(),
    };
    let good = one.status.is_some_and(|status| (200..300).contains(&status));
    let took = time::span(one.took_ms);
    let title =
        format!("Message {}, attempt {}: {what} after {took}", one.message + 1, one.attempt);
    let lines = if one.response.is_empty() {
        Vec::new()
    } else {
        vec![one.response.chars().take(2_000).collect()]
    };
    (one.at_ms, 0, event(if good { "good" } else { "bad" }, title, one.at_ms, lines))
}

/// The bot's words, and where each of its messages stands.
fn said(whole: &WholeTurnView, operates: bool) -> Card {
    let mut parts = Vec::new();
    if whole.deliveries.is_empty() {
        let spoken = bubbles::of_body(&whole.reply);
        if whole.reply.is_empty() {
            parts.push(fields::notice("info", "Nothing is kept of what was said", ""));
        } else {
            parts.push(Block::Chatter(Bubbles(spoken)));
            let (label, text) = ("As it was sent".to_owned(), whole.reply.clone());
            parts.push(Block::Code(Code { label, text, secret: false }));
        }
    }
    for one in &whole.deliveries {
        let mut cells = vec![
            Cell::text((one.message + 1).to_string()),
            Cell::Badge(standing(one)),
            Cell::text(if one.redriven { "redriven" } else { "" }),
        ];
        if operates && one.state != "waiting" {
            cells.push(Cell::Link(again(one)));
        }
        parts.push(Block::Facts(Facts(vec![("Message", cells)])));
        parts.push(Block::Chatter(Bubbles(bubbles::of_body(&one.body))));
    }
    Card { title: "What the bot said".to_owned(), parts, ..Card::default() }
}

//! Sending settled deliveries again: the question before it, and how far it is.

use shared::broker::Broker;
use shared::store::Store;

use super::ask::{Ask, cancel};
use super::fields::{self, choice, told};
use super::form::query;
use super::ledger::channel_cell;
use super::lists::ROWS;
use super::reply::Done;
use super::time;
use super::ui::{
    AskForm, Badge, Block, Card, Cell, Facts, Field, Filter, Form, Link, Page, Table, badge, live,
    path,
};
use crate::office::actor::Scope;
use crate::office::moment;
use crate::office::problem::{Kind, Problem};
use crate::office::replays::{ReplayAsk, ReplayView};

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

fn crumbs() -> Vec<Link> {
    vec![Link::new("/deliveries", "Deliveries"), Link::new("/replays", "Replays")]
}

fn state(replay: &ReplayView) -> Badge {
    match replay.state.as_str() {
        "done" => badge("good", "done"),
        "cancelled" => badge("warn", "cancelled"),
        state => badge("info", state),
    }
}

/// What is sent again.
fn chosen(replay: &ReplayView) -> String {
    if let Some(message) = replay.message {
        return format!("Message {} of one turn", message + 1);
    }
    let moment = |ms: Option<u64>| time::words(ms.unwrap_or(0));
    let what = replay.of_state.as_deref().unwrap_or("delivered or parked");
    format!("{what} from {} to {}", moment(replay.from_ms), moment(replay.to_ms))
}

fn progress(replay: &ReplayView) -> String {
    format!("{} of {}", replay.sent + replay.passed_over, replay.deliveries)
}

pub(super) async fn list<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let after = ask.query.given("after");
    let limit = u32::try_from(ROWS).unwrap_or(u32::MAX);
    let page = ask.desk().replays(&ask.actor, after, limit).await?;
    let book = ask.desk().book().await?;
    let rows = page.items.iter().map(|one| {
        vec![
            Cell::time(one.created_at_ms),
            channel_cell(&book, &one.channel_id),
            Cell::text(chosen(one)),
            Cell::Badge(state(one)),
            Cell::text(progress(one)),
            Cell::Strong(Link::new(path(&["replays", &one.replay_id]), "Progress")),
        ]
    });
    let table = Table {
        caption: "Replays".to_owned(),
        head: vec!["Asked for", "Channel", "What", "State", "Done", "Replay"],
        rows: rows.collect(),
        empty: "Nothing was sent again yet.".to_owned(),
        filter: None,
        first: after.map(|_| "/replays".to_owned()),
        next: page.next.as_deref().map(|next| query("/replays", &[("after", next)])),
    };
    let mut actions = Vec::new();
    if ask.may(Scope::Operate) {
        actions.push(Link::primary("/replays/new", "Replay a range"));
    }
    Ok(Done::Page(Page {
        title: "Replays".to_owned(),
        section: "deliveries",
        lead: "Settled deliveries that were sent again, or are being sent again.".to_owned(),
        crumbs: vec![Link::new("/deliveries", "Deliveries")],
        actions,
        live: live(after.is_none()),
        blocks: vec![Block::Table(table)],
        ..Page::default()
    }))
}

pub(super) async fn one<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let replay = ask.desk().replay(&ask.actor, ask.id()).await?;
    let book = ask.desk().book().await?;
    let here = path(&["replays", &replay.replay_id]);
    let mut facts = vec![
        ("Channel", vec![channel_cell(&book, &replay.channel_id)]),
        ("What", vec![Cell::text(chosen(&replay))]),
    ];
    if let Some(turn) = &replay.turn_id {
        facts.push(("Turn", vec![Cell::Link(Link::new(path(&["turns", turn]), "Timeline"))]));
    }
    facts.extend([
        ("Deliveries", vec![Cell::text(replay.deliveries.to_string())]),
        ("Put at the end again", vec![Cell::text(replay.sent.to_string())]),
        ("Passed over", vec![Cell::text(replay.passed_over.to_string())]),
        ("Asked for by", vec![Cell::text(&replay.actor)]),
        ("Asked for", vec![Cell::time(replay.created_at_ms)]),
        ("Ended", vec![replay.ended_at_ms.map_or(Cell::Nothing, Cell::time)]),
    ]);
    let mut parts = vec![Block::Facts(Facts(facts))];
    let runs = replay.state == "running";
    if runs && ask.may(Scope::Operate) {
        let form = ask.form(format!("{here}/cancel"), "Stop it");
        parts.push(Block::Form(Form { danger: true, inline: true, ..form }));
    }
    let card = Card { title: "Progress".to_owned(), parts, ..Card::default() };
    let mut actions = Vec::new();
    if runs {
        actions.push(Link::new(here, "Look again"));
    }
    let of = [("channel", replay.channel_id.as_str())];
    actions.push(Link::new(query("/deliveries", &of), "What waits on this channel"));
    let blocks = told(ask.query.text("done")).into_iter().chain([Block::Card(card)]).collect();
    Ok(Done::Page(Page {
        title: "A replay".to_owned(),
        section: "deliveries",
        badge: Some(state(&replay)),
        crumbs: crumbs(),
        actions,
        live: live(true),
        blocks,
        ..Page::default()
    }))
}

fn went(replay: &ReplayView) -> Done {
    Done::Go(path(&["replays", &replay.replay_id]))
}

pub(super) async fn cancel_it<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let replay = ask.desk().cancel_replay(&ask.actor, ask.id()).await?;
    let here = path(&["replays", &replay.replay_id]);
    let done = if replay.state == "cancelled" { "cancelled" } else { "" };
    Ok(Done::Go(query(&here, &[("done", done)])))
}

/// Asks before one delivery is sent again.
pub(super) async fn resend_form<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let (turn, message) = place(ask);
    let whole = ask.desk().turn(&ask.actor, turn).await?;
    let number = message.parse::<u32>().ok();
    let missing = || Problem::missing("delivery", &format!("{turn}/{message}"));
    let row =
        whole.deliveries.iter().find(|one| Some(one.message) == number).ok_or_else(missing)?;
    let timeline = path(&["turns", turn]);
    let words = format!(
        "Message {} of this turn is {}. It is put at the end of its conversation and sent again, with the same \
         webhook-id and marked as redriven. Whoever has it already can drop it.",
        row.message + 1,
        row.state
    );
    let form = Form {
        cancel: Some(cancel(timeline.as_str())),
        ..ask.form_once(path(&["turns", turn, message, "resend"]), "Send it again")
    };
    let card = Card { words, parts: vec![Block::Form(form)], ..Card::default() };
    Ok(Done::Page(Page {
        title: "Send this message again?".to_owned(),
        section: "deliveries",
        crumbs: vec![Link::new("/turns", "Conversations"), Link::new(timeline, "A turn")],
        blocks: vec![Block::Card(card)],
        ..Page::default()
    }))
}

/// The turn and the number of its message, as the address has them.
fn place<'a, B, S>(ask: &'a Ask<'_, B, S>) -> (&'a str, &'a str) {
    let part = |n: usize| ask.parts.get(n).map_or("", String::as_str);
    (part(0), part(1))
}

pub(super) async fn resend<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let (turn, message) = place(ask);
    let desk = ask.desk_once(&format!("resend {turn} {message}"));
    Ok(went(&desk.resend(&ask.actor, turn, message).await?))
}

/// The range as it was typed.
struct Typed<'a> {
    channel: &'a str,
    from: String,
    to: String,
    state: &'a str,
}

impl Typed<'_> {
    fn asked(&self) -> Result<ReplayAsk, Problem> {
        let moment = |name: &str, text: &str| {
            let wrong =
                || Problem::invalid(format!("{name}: a minute like 2026-11-24T10:30, in UTC"));
            moment::parse(text).ok_or_else(wrong)
        };
        Ok(ReplayAsk {
            channel: self.channel.to_owned(),
            from_ms: moment("From", &self.from)?,
            to_ms: moment("To", &self.to)?,
            state: Some(self.state.to_owned()).filter(|state| !state.is_empty()),
        })
    }

    fn fields(&self) -> Vec<Field> {
        let choices =
            [("", "delivered and parked"), ("delivered", "delivered"), ("parked", "parked")];
        let choices = choices.map(|(value, text)| choice(value, text, value == self.state));
        vec![
            fields::text("channel", "Channel", self.channel).required().hint("By id or name."),
            fields::moment("from", "From (UTC)", &self.from).hint("When they were settled."),
            fields::moment("to", "To (UTC)", &self.to).hint("This minute is not included."),
            fields::select("state", "Those that are", choices.to_vec()),
        ]
    }
}

/// First which range; then how many that are, and whether they are meant.
pub(super) async fn form<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let words = &ask.query;
    let now = ask.desk().clock.unix_ms();
    let minute = |ms: u64| time::iso(ms)[..16].to_owned();
    let or = |word: &str, ms: u64| words.given(word).map_or_else(|| minute(ms), str::to_owned);
    let typed = Typed {
        channel: words.text("channel"),
        from: or("from", now.saturating_sub(HOUR_MS)),
        to: or("to", now + MINUTE_MS),
        state: words.text("state"),
    };
    let is_asked = words.given("from").is_some();
    let mut blocks = Vec::new();
    if is_asked {
        match counted(ask, &typed).await {
            Ok(block) => blocks.push(block),
            Err(problem) if problem.kind != Kind::Away => {
                let title = "This range cannot be sent again";
                blocks.push(fields::notice("bad", title, &problem.words));
            }
            Err(problem) => return Err(problem),
        }
    }
    let filter = Filter { action: "/replays/new".to_owned(), fields: typed.fields() };
    let asked = AskForm { filter, submit: "Count them", cancel: "/replays".to_owned() };
    blocks.push(Block::Card(Card {
        title: if is_asked { "Another range" } else { "Which deliveries" }.to_owned(),
        parts: vec![Block::Ask(asked)],
        ..Card::default()
    }));
    Ok(Done::Page(Page {
        title: "Replay a range".to_owned(),
        section: "deliveries",
        lead: "Settled deliveries of a channel are put at the end of their conversations, in their old order, and \
               sent again with the same webhook-id."
            .to_owned(),
        crumbs: crumbs(),
        blocks,
        ..Page::default()
    }))
}

/// The count, and the button that means it.
async fn counted<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    typed: &Typed<'_>,
) -> Result<Block, Problem> {
    let asked = typed.asked()?;
    let count = ask.desk().count_deliveries(&ask.actor, &asked).await?;
    if count == 0 {
        return Ok(fields::notice("info", "No settled delivery is in this range", ""));
    }
    let deliveries = if count == 1 { "delivery" } else { "deliveries" };
    let what = asked.state.as_deref().unwrap_or("delivered or parked");
    let words = format!(
        "{count} {deliveries}, {what} from {} to {}. It goes on by itself and can be stopped.",
        time::words(asked.from_ms),
        time::words(asked.to_ms)
    );
    let form = Form {
        fields: vec![
            fields::hidden("channel", typed.channel),
            fields::hidden("from", &typed.from),
            fields::hidden("to", &typed.to),
            fields::hidden("state", typed.state),
        ],
        cancel: Some(cancel("/replays")),
        ..ask.form_once("/replays/new", &format!("Send {count} again"))
    };
    let title = format!("Send {count} {deliveries} again?");
    Ok(Block::Card(Card { title, words, parts: vec![Block::Form(form)], ..Card::default() }))
}

pub(super) async fn add<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let words = &ask.form;
    let typed = Typed {
        channel: words.text("channel"),
        from: words.text("from").to_owned(),
        to: words.text("to").to_owned(),
        state: words.text("state"),
    };
    let asked = typed.asked()?;
    Ok(went(&ask.desk_once("replay").add_replay(&ask.actor, &asked).await?))
}

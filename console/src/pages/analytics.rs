//! A channel's figures over time, as charts and as tables.

use shared::broker::Broker;
use shared::domain::outcome::Outcome;
use shared::store::Store;

use super::ask::Ask;
use super::fields::{self, choice};
use super::reply::Done;
use super::time;
use super::ui::chart::{Chart, Charts, Series, lines, stacked};
use super::ui::{AskForm, Block, Card, Cell, Facts, Field, Filter, Link, Page, path};
use crate::office::analytics::{AnalyticsView, FiguresView, Span};
use crate::office::book::Book;
use crate::office::find;
use crate::office::problem::{Kind, Problem};

/// More channels than this are not listed, but named.
const LISTED: usize = 200;
const DAY_MS: u64 = 86_400_000;
/// Seconds until the figures are counted again for whoever looks at them.
const LIVE: u32 = 60;

const BY_OUTCOME: [Series; 2] =
    [Series { kind: "plain", name: "answered" }, Series { kind: "bad", name: "otherwise" }];
const USERS: [Series; 1] = [Series { kind: "plain", name: "users" }];
const LATENCY: [Series; 3] = [
    Series { kind: "p50", name: "half" },
    Series { kind: "p95", name: "95 of 100" },
    Series { kind: "p99", name: "99 of 100" },
];
const DELIVERIES: [Series; 2] =
    [Series { kind: "plain", name: "delivered" }, Series { kind: "bad", name: "parked" }];

pub(super) async fn page<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let channels = listed(&book);
    let wanted = ask.query.given("channel").map(str::to_owned);
    let first = channels.first().map(|(id, _)| id.clone());
    let range = ask.query.given("range").filter(|text| Span::parse(text).is_some());
    let mut blocks = Vec::new();
    let mut actions = Vec::new();
    let mut shown = wanted.clone().unwrap_or_default();
    if let Some(channel) = wanted.or(first) {
        match desk.analytics(&ask.actor, &channel, range).await {
            Ok(view) => {
                shown.clone_from(&view.channel_id);
                actions = links(&view);
                blocks = figures(&view);
            }
            Err(problem) if problem.kind != Kind::Away => {
                blocks.push(fields::notice("bad", "That cannot be shown", &problem.words));
            }
            Err(problem) => return Err(problem),
        }
    } else {
        blocks.push(fields::notice("info", "There is no channel yet", ""));
    }
    let spans = Span::ALL.map(|span| {
        let chosen = range.map_or(span == Span::Day, |range| span.as_str() == range);
        choice(span.as_str(), span.words(), chosen)
    });
    let asked = vec![which(&channels, &shown), fields::select("range", "Time", spans.to_vec())];
    let filter = Filter { action: "/analytics".to_owned(), fields: asked };
    let form = AskForm { filter, submit: "Show", cancel: "/channels".to_owned() };
    blocks.insert(0, Block::Card(Card { parts: vec![Block::Ask(form)], ..Card::default() }));
    Ok(Done::Page(Page {
        title: "Analytics".to_owned(),
        section: "analytics",
        lead: "What came over a channel and what became of it. Times are in UTC.".to_owned(),
        actions,
        live: LIVE,
        blocks,
        ..Page::default()
    }))
}

fn links(view: &AnalyticsView) -> Vec<Link> {
    let of = [("channel", view.channel_id.as_str())];
    vec![
        Link::new(path(&["channels", &view.channel_id]), "The channel"),
        Link::new(super::form::query("/turns", &of), "Its conversations"),
    ]
}

/// Ids and names, by name. Where two have one name, the bot's stands with it.
fn listed(book: &Book) -> Vec<(String, String)> {
    let channels = book.registry.channels.values();
    if channels.len() > LISTED {
        return Vec::new();
    }
    let named = |channel: &shared::registry::Channel| {
        let name = super::shown::named(&channel.name);
        if find::channel(&book.registry, &channel.name).is_ok() {
            return name;
        }
        let bot = book.registry.bots.get(&channel.bot);
        bot.map_or_else(|| name.clone(), |bot| format!("{name}, {}", bot.name))
    };
    let mut all: Vec<_> = channels.map(|one| (one.id.to_string(), named(one))).collect();
    all.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    all
}

fn which(channels: &[(String, String)], shown: &str) -> Field {
    if channels.is_empty() {
        return fields::text("channel", "Channel", shown).hint("By id or name.");
    }
    let choices = channels.iter().map(|(id, name)| choice(id, name, id == shown));
    fields::select("channel", "Channel", choices.collect())
}

fn figures(view: &AnalyticsView) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (cut, what) in [(view.messages_cut, "messages"), (view.deliveries_cut, "deliveries")] {
        if cut {
            let title = format!("Only the newest 10,000 {what} are counted");
            blocks.push(fields::notice("warn", &title, "There were more in this time."));
        }
    }
    let whole = &view.whole;
    let facts = vec![
        ("Messages", vec![Cell::text(whole.messages.to_string())]),
        ("Users", vec![Cell::text(whole.users.to_string())]),
        ("Answered", vec![Cell::text(share(whole.answered(), whole.messages))]),
        ("Outcomes", vec![Cell::text(outcomes(whole))]),
        ("Latency", vec![Cell::text(latency(whole))]),
        ("Deliveries", vec![Cell::text(delivered(whole))]),
    ];
    blocks.push(Block::Card(Card {
        title: view.channel.clone(),
        parts: vec![Block::Facts(Facts(facts))],
        ..Card::default()
    }));
    blocks.push(Block::Charts(Charts(vec![messages(view), users(view), times(view), sent(view)])));
    blocks
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let permille = part.saturating_mul(1_000) / whole;
    format!("{}.{} %", permille / 10, permille % 10)
}

fn outcomes(figures: &FiguresView) -> String {
    let told = Outcome::ALL.into_iter().filter_map(|outcome| {
        let count = figures.outcomes.get(outcome.as_str()).filter(|count| **count > 0)?;
        Some(format!("{count} {}", outcome.as_str().replace('_', " ")))
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { "–".to_owned() } else { told.join(", ") }
}

fn latency(figures: &FiguresView) -> String {
    if figures.messages == 0 {
        return "–".to_owned();
    }
    let [half, most, nearly] =
        [figures.latency_ms.p50, figures.latency_ms.p95, figures.latency_ms.p99].map(time::span);
    format!("half within {half}, 95 of 100 within {most}, 99 of 100 within {nearly}")
}

fn delivered(figures: &FiguresView) -> String {
    let of = &figures.deliveries;
    let settled = of.delivered + of.parked;
    if settled == 0 {
        return "–".to_owned();
    }
    format!(
        "{} of {settled} arrived ({}), {} parked, {} attempts",
        of.delivered,
        share(of.delivered, settled),
        of.parked,
        of.attempts
    )
}

/// The time of a step, short.
fn when(view: &AnalyticsView, at_ms: u64) -> String {
    let iso = time::iso(at_ms);
    if view.step_ms >= DAY_MS {
        iso[..10].to_owned()
    } else {
        format!("{} {}", &iso[..10], &iso[11..16])
    }
}

struct Drawing<'a> {
    title: &'a str,
    words: String,
    head: Vec<&'static str>,
    /// The parts of a step that are drawn.
    parts: fn(&FiguresView) -> Vec<u64>,
    cells: fn(&FiguresView) -> Vec<Cell>,
}

fn draw(view: &AnalyticsView, series: &[Series], as_lines: bool, of: Drawing<'_>) -> Chart {
    let values: Vec<_> =
        view.steps.iter().map(|step| (when(view, step.at_ms), (of.parts)(&step.figures))).collect();
    let (columns, drawn, top) = if as_lines {
        let (drawn, top) = lines(series, &values);
        (Vec::new(), drawn, time::span(top))
    } else {
        let (columns, top) = stacked(series, &values);
        (columns, Vec::new(), top.to_string())
    };
    let rows = view.steps.iter().map(|step| {
        let mut row = vec![Cell::text(when(view, step.at_ms))];
        row.extend((of.cells)(&step.figures));
        row
    });
    Chart {
        title: of.title.to_owned(),
        words: of.words,
        series: series.to_vec(),
        first: values.first().map(|(when, _)| when.clone()).unwrap_or_default(),
        last: values.last().map(|(when, _)| when.clone()).unwrap_or_default(),
        top,
        columns,
        lines: drawn,
        head: of.head,
        rows: rows.collect(),
    }
}

fn number(value: u64) -> Cell {
    Cell::text(value.to_string())
}

fn messages(view: &AnalyticsView) -> Chart {
    draw(
        view,
        &BY_OUTCOME,
        false,
        Drawing {
            title: "Messages",
            words: format!("{} in all, {} answered", view.whole.messages, view.whole.answered()),
            head: vec!["From", "Messages", "Answered", "Otherwise", "Outcomes"],
            parts: |one| vec![one.answered(), one.messages - one.answered().min(one.messages)],
            cells: |one| {
                vec![
                    number(one.messages),
                    number(one.answered()),
                    number(one.messages - one.answered().min(one.messages)),
                    Cell::text(outcomes(one)),
                ]
            },
        },
    )
}

fn users(view: &AnalyticsView) -> Chart {
    draw(
        view,
        &USERS,
        false,
        Drawing {
            title: "Users",
            words: format!("{} different ones in all", view.whole.users),
            head: vec!["From", "Users"],
            parts: |one| vec![one.users],
            cells: |one| vec![number(one.users)],
        },
    )
}

fn times(view: &AnalyticsView) -> Chart {
    draw(
        view,
        &LATENCY,
        true,
        Drawing {
            title: "Latency",
            words: latency(&view.whole),
            head: vec!["From", "Half within", "95 of 100", "99 of 100"],
            parts: |one| vec![one.latency_ms.p50, one.latency_ms.p95, one.latency_ms.p99],
            cells: |one| {
                let of = one.latency_ms;
                [of.p50, of.p95, of.p99]
                    .map(
                        |ms| {
                            if one.messages == 0 {
                                Cell::Nothing
                            } else {
                                Cell::text(time::span(ms))
                            }
                        },
                    )
                    .to_vec()
            },
        },
    )
}

fn sent(view: &AnalyticsView) -> Chart {
    draw(
        view,
        &DELIVERIES,
        false,
        Drawing {
            title: "Deliveries",
            words: delivered(&view.whole),
            head: vec!["From", "Delivered", "Parked", "Arrived", "Attempts"],
            parts: |one| vec![one.deliveries.delivered, one.deliveries.parked],
            cells: |one| {
                let of = one.deliveries;
                vec![
                    number(of.delivered),
                    number(of.parked),
                    Cell::text(share(of.delivered, of.delivered + of.parked)),
                    number(of.attempts),
                ]
            },
        },
    )
}

//! How things look, wherever they are shown.

use super::ui::{Badge, Cell, Link, badge, path};
use crate::office::views::{BotView, ChannelView};

pub(super) fn state(state: &str) -> Badge {
    let kind = match state {
        "live" => "good",
        "awaiting approval" => "warn",
        "rejected" | "suspended" => "bad",
        "disabled" => "calm",
        _ => "info",
    };
    badge(kind, state)
}

pub(super) fn mode(mode: &str) -> &'static str {
    if mode == "async" { "asynchronous" } else { "synchronous" }
}

pub(super) fn bot(id: &str, name: &str) -> Cell {
    Cell::Link(Link::new(path(&["bots", id]), name))
}

pub(super) fn app(id: &str, name: &str) -> Cell {
    Cell::Link(Link::new(path(&["apps", id]), name))
}

pub(super) fn logic(bot: &BotView) -> String {
    match (&bot.url, &bot.script) {
        (Some(url), _) => format!("HTTP: {url}"),
        (_, Some(script)) => format!("script: {script}"),
        _ => "echo".to_owned(),
    }
}

/// A channel's badges: where it stands, and whether an edit waits.
pub(super) fn badges(channel: &ChannelView) -> Vec<Cell> {
    let mut cells = vec![Cell::Badge(state(&channel.state))];
    if channel.unpublished {
        cells.push(Cell::Badge(badge("info", "unpublished edit")));
    }
    if channel.endpoint.as_ref().is_some_and(|endpoint| endpoint.disabled) {
        cells.push(Cell::Badge(badge("bad", "endpoint said 410")));
    }
    cells
}

/// "Web (webhook)": as lists of channels of all kinds name them.
pub(super) fn named(name: &str) -> String {
    format!("{name} (webhook)")
}

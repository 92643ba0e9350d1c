//! Fields of forms, and notices above them.

use super::reply;
use super::ui::{Block, Choice, Field, Kind, Notice};
use crate::office::problem::{self, Problem};

pub(super) fn text(name: &'static str, label: &str, value: &str) -> Field {
    Field { name, label: label.to_owned(), value: value.to_owned(), ..Field::default() }
}

pub(super) fn area(name: &'static str, label: &str, value: &str) -> Field {
    Field { kind: Kind::Area, ..text(name, label, value) }
}

pub(super) fn code(name: &'static str, label: &str, value: &str) -> Field {
    Field { kind: Kind::Code, ..text(name, label, value) }
}

/// A minute, in UTC.
pub(super) fn moment(name: &'static str, label: &str, value: &str) -> Field {
    Field { kind: Kind::Moment, required: true, ..text(name, label, value) }
}

pub(super) fn hidden(name: &'static str, value: &str) -> Field {
    Field { kind: Kind::Hidden, ..text(name, "", value) }
}

/// What is typed here is never shown again.
pub(super) fn password(name: &'static str, label: &str, complete: &'static str) -> Field {
    Field { kind: Kind::Password, complete, ..text(name, label, "") }
}

pub(super) fn check(name: &'static str, label: &str, is_checked: bool) -> Field {
    Field { kind: Kind::Check, ..text(name, label, if is_checked { "yes" } else { "" }) }
}

pub(super) fn select(name: &'static str, label: &str, choices: Vec<Choice>) -> Field {
    Field { kind: Kind::Select, choices, ..text(name, label, "") }
}

pub(super) fn radio(name: &'static str, label: &str, choices: Vec<Choice>) -> Field {
    Field { kind: Kind::Radio, choices, required: true, ..text(name, label, "") }
}

pub(super) fn checks(name: &'static str, label: &str, choices: Vec<Choice>) -> Field {
    Field { kind: Kind::Checks, choices, ..text(name, label, "") }
}

pub(super) fn choice(value: &str, text: &str, is_chosen: bool) -> Choice {
    let (value, text, hint) = (value.to_owned(), text.to_owned(), String::new());
    Choice { value, text, hint, chosen: is_chosen }
}

impl Field {
    pub(super) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Shown only when the form says so.
    pub(super) fn when(self, when: &'static str) -> Self {
        Self { when, ..self }
    }
}

impl Choice {
    pub(super) fn hint(self, hint: &str) -> Self {
        Self { hint: hint.to_owned(), ..self }
    }
}

pub(super) fn notice(kind: &'static str, title: &str, words: &str) -> Block {
    let lines = if words.is_empty() { Vec::new() } else { vec![words.to_owned()] };
    Block::Notice(Notice { kind, title: title.to_owned(), lines })
}

/// Why a form was not taken.
pub(super) fn wrong(why: &Problem) -> Block {
    let title = match why.kind {
        problem::Kind::Stale => "It has changed since this form was opened",
        _ => "It was not saved",
    };
    let lines = reply::words(why).lines().map(str::to_owned).collect();
    Block::Notice(Notice { kind: "bad", title: title.to_owned(), lines })
}

/// What has just been done, by the closed word that the address carries.
pub(super) fn told(word: &str) -> Option<Block> {
    let words = match word {
        "saved" => "Saved.",
        "removed" => "It is gone.",
        "associated" => "The channel has its app now. Publish its bot to let it go live.",
        "requested" => "The request is with the admins. Nothing changes until it is approved.",
        "approved" => "Approved. It runs now.",
        "rejected" => "Rejected.",
        "withdrawn" => "The request was taken back.",
        "suspended" => "Suspended. It refuses messages from now on.",
        "erased" => "What was known of this user is gone.",
        "redriven" => "They were put back, in order, at the end.",
        "cancelled" => "It was stopped. What it had sent stays sent.",
        "inherits" => "The channels of the parent that are live are here now, as drafts.",
        "signed-out" => "You are signed out.",
        "edited" => "Saved beside what runs. Publish the bot to let it run.",
        _ => return None,
    };
    Some(notice("good", words, ""))
}

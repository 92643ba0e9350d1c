//! Pages of lists that are at hand: searched by name and id, sorted by name, from a cursor on.

use std::cmp::Ordering;

use super::fields;
use super::form::{Words, query};
use super::ui::{Field, Filter, Kind};

/// Rows on a page.
pub(super) const ROWS: usize = 25;

/// A page of things.
pub(super) struct Found<'t, T> {
    pub(super) things: Vec<&'t T>,
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
}

/// Of `all`, those whose name or id holds what is searched for. `more` are words of the query that stay.
pub(super) fn page<'t, T: 't>(
    all: impl Iterator<Item = &'t T>,
    key: impl Fn(&T) -> (String, String),
    asked: &Words,
    at: &str,
    more: &[(&str, &str)],
) -> Found<'t, T> {
    let wanted = asked.text("q").to_lowercase();
    let after = asked.raw("after").split_once('\u{1f}').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let mut found: Vec<((String, String), &T)> = all
        .map(|one| {
            let (name, id) = key(one);
            ((name.to_lowercase(), id), one)
        })
        .filter(|((name, id), _)| name.contains(&wanted) || id.to_lowercase().contains(&wanted))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key.cmp(after) == Ordering::Greater))
        .collect();
    if found.len() > ROWS + 1 {
        found.select_nth_unstable_by(ROWS, |a, b| a.0.cmp(&b.0));
        found.truncate(ROWS + 1);
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let last = (found.len() > ROWS).then(|| {
        let (name, id) = &found[ROWS - 1].0;
        format!("{name}\u{1f}{id}")
    });
    found.truncate(ROWS);
    let words = |after: &str| {
        let all = [&[("q", asked.text("q")), ("after", after)], more].concat();
        query(at, &all)
    };
    Found {
        things: found.into_iter().map(|(_, one)| one).collect(),
        first: after.map(|_| words("")),
        next: last.map(|last| words(&last)),
    }
}

/// The search of a list.
pub(super) fn filter(at: &str, asked: &Words, more: Vec<Field>) -> Filter {
    let search = Field { kind: Kind::Search, ..fields::text("q", "Name or id", asked.text("q")) };
    let fields = [vec![search], more].concat();
    Filter { action: at.to_owned(), fields }
}

//! Pages of lists: by id, from a cursor on.

use serde::Serialize;
use serde_json::{Value, json};

use super::call::{Call, after};
use crate::office::ledger::Paged;
use crate::office::problem::Problem;

/// Of things that are all at hand: sorts ids, makes only what is shown.
pub(super) fn of<'t, T: 't, V: Serialize>(
    call: &Call,
    all: impl Iterator<Item = &'t T>,
    id: impl Fn(&'t T) -> &'t str,
    view: impl Fn(&T) -> Result<V, Problem>,
) -> Result<Value, Problem> {
    let (limit, cursor) = (call.limit()?, call.cursor()?);
    let cursor = cursor.as_deref();
    let mut found: Vec<(&str, &T)> = all
        .map(|one| (id(one), one))
        .filter(|(id, _)| cursor.is_none_or(|cursor| *id > cursor))
        .collect();
    // One more than is shown tells whether there is more.
    if found.len() > limit + 1 {
        found.select_nth_unstable_by(limit, |a, b| a.0.cmp(b.0));
        found.truncate(limit + 1);
    }
    found.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let next = (found.len() > limit).then(|| after(found[limit - 1].0));
    found.truncate(limit);
    let items = found.iter().map(|(_, one)| view(one)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "items": items, "next_cursor": next }))
}

/// A page that the office has made.
pub(super) fn ready<V: Serialize>(page: &Paged<V>) -> Value {
    let next = page.next.as_deref().map(after);
    json!({ "items": page.items, "next_cursor": next })
}

/// Of things that were read up to one more than the limit, in order.
pub(super) fn read<V: Serialize>(
    call: &Call,
    mut items: Vec<V>,
    id: impl Fn(&V) -> String,
) -> Result<Value, Problem> {
    let limit = call.limit()?;
    let next = (items.len() > limit).then(|| after(&id(&items[limit - 1])));
    items.truncate(limit);
    Ok(json!({ "items": items, "next_cursor": next }))
}

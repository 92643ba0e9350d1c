//! A request as it is shown: what it would change of what runs.

use serde_json::{Map, Value};
use shared::domain::channel::ChannelState;
use shared::domain::ids::{BotId, ChannelId};

use super::super::back;
use super::super::book::Book;
use super::super::copies::{self, BOT_SECRETS, CHANNEL_SECRETS};
use super::super::diff::{Difference, diff};
use super::super::problem::Problem;
use super::{Asked, RequestView, given, left_out};

pub(super) fn view(
    book: &Book,
    id: &str,
    asked: &Asked,
    sealed: &Map<String, Value>,
) -> Result<RequestView, Problem> {
    let differences = match &asked.decision {
        Some(decision) => decision.differences.clone(),
        None => differences(book, asked, sealed)?,
    };
    Ok(RequestView {
        request_id: id.to_owned(),
        bot_id: asked.bot.clone(),
        requested_by: asked.by.clone(),
        comment: asked.comment.clone(),
        requested_at_ms: asked.at_ms,
        channels: asked.channels.keys().cloned().collect(),
        differences,
        decision: asked.decision.clone(),
    })
}

/// What runs now against what would run.
fn differences(
    book: &Book,
    asked: &Asked,
    sealed: &Map<String, Value>,
) -> Result<Vec<Difference>, Problem> {
    let mut all = Vec::new();
    let secrets = |id: &str| given(sealed, id).keys().cloned().collect::<Vec<_>>();
    if let Some(row) = book.registry.bots.get(&BotId::from(asked.bot.as_str())) {
        let now = copies::plain(&back::bot(row), BOT_SECRETS)?;
        let edit = asked.edit.as_ref().map(|edit| copies::plain(edit, BOT_SECRETS)).transpose()?;
        if book.channels(&row.id).iter().any(|channel| channel.state.is_published()) {
            let after = edit.as_ref().unwrap_or(&now);
            all.extend(diff(&asked.bot, Some(&now), after, &secrets(&asked.bot)));
        } else {
            // Nothing of it has ever run: all of it is new to whoever approves it.
            all.extend(diff(&asked.bot, None, &edit.unwrap_or(now), &secrets(&asked.bot)));
        }
    }
    for (id, draft) in &asked.channels {
        let row = book.registry.channels.get(&ChannelId::from(id.as_str()));
        let published = row.filter(|row| row.state.is_published());
        let before =
            published.map(|row| copies::plain(&back::channel(row), CHANNEL_SECRETS)).transpose()?;
        let after = copies::plain(draft, CHANNEL_SECRETS)?;
        all.extend(diff(id, before.as_ref(), &after, &secrets(id)));
        if row.is_some_and(|row| row.state == ChannelState::Disabled) {
            all.push(Difference::state(id, ChannelState::Disabled, ChannelState::Live));
        }
    }
    for row in left_out(book, asked) {
        all.push(Difference::state(row.id.as_str(), ChannelState::Live, ChannelState::Disabled));
    }
    Ok(all)
}

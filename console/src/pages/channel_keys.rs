//! A channel's tokens and secrets: minted, shown once, never kept here.

use serde_json::json;
use shared::broker::Broker;
use shared::store::Store;

use super::ask::Ask;
use super::channels::crumb;
use super::fields;
use super::reply::Done;
use super::shown;
use super::ui::{Block, Card, Code, Field, Form, Kind, Link, Page, path};
use crate::office::actor::Scope;
use crate::office::decide::Log;
use crate::office::problem::Problem;
use crate::office::views::ChannelView;
use crate::office::{find, token};

/// A command that can be pasted, and a token for it.
pub(super) fn try_it<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    view: &ChannelView,
    token: Option<&str>,
) -> Card {
    let shown = token.unwrap_or("TOKEN");
    let text = format!(
        "curl -sS -X POST '{}' \\\n  -H 'Authorization: bearer {shown}' \\\n  -H 'Content-Type: application/json' \\\n  \
         -d '{{\"session\":{{\"new\":false}},\"message\":{{\"text\":\"hello\"}},\"from\":{{\"id\":\"user-1\"}}}}'",
        view.url
    );
    let mut parts = Vec::new();
    if let Some(token) = token {
        let words = "It is good for an hour, and it is not kept here.";
        parts.push(fields::notice("good", "A test token", words));
        let (label, text) = ("Token".to_owned(), token.to_owned());
        parts.push(Block::Code(Code { label, text, secret: true }));
    }
    parts.push(Block::Code(Code { label: "With curl".to_owned(), text, secret: false }));
    if ask.may(Scope::Configure) {
        let here = path(&["channels", &view.webhook_id, "token"]);
        let form = Form { inline: true, ..ask.form(here, "Mint a test token") };
        parts.push(Block::Form(form));
    }
    Card { title: "Try it".to_owned(), parts, ..Card::default() }
}

/// Mints a token as a client would, for an hour.
pub(super) async fn mint<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.actor.need(Scope::Configure)?;
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::channel(&book.registry, ask.id())?;
    let view = desk.channel_view(&book, &row)?;
    let app = find::app(&book.registry, row.client.as_str())?;
    let minted = token::mint(&app, "console-test", Some(3_600_000), desk.clock.unix_ms())?;
    let detail = json!({"app": minted.client_id, "expires": minted.expires});
    desk.note(&ask.actor, Log::new("token.mint", row.id.as_str(), detail)).await?;
    Ok(Done::Page(Page {
        title: shown::named(&view.name),
        section: "channels",
        crumbs: vec![crumb(), Link::new(path(&["channels", &view.webhook_id]), &view.name)],
        blocks: vec![Block::Card(try_it(ask, &view, Some(&minted.token)))],
        ..Page::default()
    }))
}

pub(super) async fn signing_form<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
) -> Result<Done, Problem> {
    let view = ask.desk().channel(ask.id()).await?;
    let words =
        "The receiver cannot check signatures until it has the new secret. It is shown once.";
    Ok(super::confirm(
        ask,
        super::Confirm {
            title: "A new signing secret?".to_owned(),
            words: words.to_owned(),
            at: path(&["channels", &view.webhook_id]),
            word: "rotate-signing",
            button: "Make a new secret now",
            section: "channels",
            fields: vec![Field {
                name: "once",
                kind: Kind::Hidden,
                value: ask.desk().entropy.hex(16),
                ..Field::default()
            }],
        },
    ))
}

pub(super) async fn rotate_signing<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
) -> Result<Done, Problem> {
    let view = ask.desk_once("signing").rotate_signing(&ask.actor, ask.id()).await?;
    let here = path(&["channels", &view.webhook_id]);
    Ok(Done::Page(Page {
        title: "The signing secret is new".to_owned(),
        section: "channels",
        crumbs: vec![crumb(), Link::new(here.as_str(), &view.name)],
        actions: vec![Link::primary(here, "Done")],
        blocks: vec![Block::Card(Card { parts: signing_secret(&view), ..Card::default() })],
        ..Page::default()
    }))
}

/// The endpoint's secret, where it was made just now.
pub(super) fn signing_secret(view: &ChannelView) -> Vec<Block> {
    let secret = view.endpoint.as_ref().and_then(|endpoint| endpoint.signing_secret.clone());
    let Some(text) = secret else { return Vec::new() };
    let warn = "For the receiver, to check signatures. Copy it now: it is shown this once.";
    let label = "Signing secret".to_owned();
    vec![
        fields::notice("warn", "The signing secret", warn),
        Block::Code(Code { label, text, secret: true }),
    ]
}

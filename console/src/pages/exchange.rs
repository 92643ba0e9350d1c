//! Import, export, and placeholders that get their app.

use shared::broker::Broker;
use shared::store::Store;

use super::apps;
use super::ask::{Ask, can_be_mended, cancel};
use super::bots::crumb;
use super::channel_edit::card;
use super::fields::{self, wrong};
use super::reply::Done;
use super::ui::{Block, Page, path};
use crate::office::exchange::{Association, Document};
use crate::office::problem::Problem;

pub(super) async fn export<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let document = ask.desk().export(ask.id()).await?;
    let text = serde_json::to_string_pretty(&document);
    let text = text.map_err(|error| Problem::conflict(error.to_string()))?;
    Ok(Done::File { name: "bot.json", text })
}

pub(super) fn form<B: Broker, S: Store>(ask: &Ask<'_, B, S>, why: Option<&Problem>) -> Done {
    let mut form = ask.form_once("/bots/import", "Import the bot");
    form.fields = vec![
        fields::text("name", "Another name", ask.form.text("name"))
            .hint("Where the document's own name is taken."),
        fields::code("document", "The exported bot", ask.form.raw("document"))
            .required()
            .hint("JSON, as it was exported. Its channels become placeholders."),
    ];
    form.cancel = Some(cancel("/bots"));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    let title = "Import a bot".to_owned();
    let page = Page { title, section: "bots", crumbs: vec![crumb()], blocks, ..Page::default() };
    if why.is_some() { Done::Again(page) } else { Done::Page(page) }
}

pub(super) async fn import<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let document = Document::read(ask.form.raw("document"));
    let imported = match document {
        Ok(document) => {
            let desk = ask.desk_once("import");
            desk.import(&ask.actor, &document, ask.form.given("name")).await
        }
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let words = format!("the document is no exported bot (line {line}, column {column})");
            Err(Problem::invalid(words))
        }
    };
    match imported {
        Ok(made) => Ok(Done::Go(format!("{}?done=saved", path(&["bots", &made.bot.bot_id])))),
        Err(problem) if can_be_mended(&problem) => Ok(form(ask, Some(&problem))),
        Err(problem) => Err(problem),
    }
}

pub(super) async fn associate_form<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let book = ask.desk().book().await?;
    let all = ask.desk().placeholders(None).await?;
    let one = all.into_iter().find(|one| one.placeholder_id == ask.id());
    let one = one.ok_or_else(|| Problem::missing("placeholder", ask.id()))?;
    let here = path(&["placeholders", &one.placeholder_id, "associate"]);
    let mut form = ask.form(here, "Give it this app");
    form.fields = vec![apps::picker(&book, ask.form.text("app"))];
    if one.mode == "async" {
        let token = fields::password("access_token", "Access token of its receiver", "off");
        form.fields.push(token.hint("Where the receiver wants one."));
    }
    form.cancel = Some(cancel(path(&["bots", &one.bot_id])));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    let page = Page {
        title: format!("An app for {}", super::shown::named(&one.name)),
        section: "bots",
        crumbs: vec![crumb()],
        lead: "It becomes a draft of a channel, with a URL.".to_owned(),
        blocks,
        ..Page::default()
    };
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

pub(super) async fn associate<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let with = Association {
        app: ask.form.text("app").to_owned(),
        access_token: ask.form.given("access_token").map(str::to_owned),
    };
    match ask.desk().associate(&ask.actor, ask.id(), &with).await {
        Ok(made) => {
            let here = path(&["channels", &made.webhook_id]);
            let secret = super::channels::signing_secret(&made);
            if secret.is_empty() {
                return Ok(Done::Go(format!("{here}?done=associated")));
            }
            let card = super::ui::Card { parts: secret, ..super::ui::Card::default() };
            Ok(Done::Page(Page {
                title: "The channel has its app".to_owned(),
                section: "channels",
                actions: vec![super::ui::Link::primary(here, "To the channel")],
                blocks: vec![Block::Card(card)],
                ..Page::default()
            }))
        }
        Err(problem) if can_be_mended(&problem) => associate_form(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(super) fn delete<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Done {
    super::confirm(
        ask,
        super::Confirm {
            title: "Delete this placeholder?".to_owned(),
            words: "What was imported of this channel is gone.".to_owned(),
            at: path(&["placeholders", ask.id()]),
            word: "delete",
            button: "Delete the placeholder",
            section: "bots",
            fields: Vec::new(),
        },
    )
}

pub(super) async fn remove<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.desk().remove_placeholder(&ask.actor, ask.id()).await?;
    Ok(Done::Go("/bots?done=removed".to_owned()))
}

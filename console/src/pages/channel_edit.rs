//! A channel's edit.

use serde_json::{Map, Value};
use shared::broker::Broker;
use shared::store::Store;

use super::ask::{Ask, can_be_mended, cancel, seen};
use super::channels::{crumb, signing_secret};
use super::fields::{self, choice, wrong};
use super::form::query;
use super::reply::Done;
use super::shown;
use super::time::setting;
use super::ui::{Block, Card, Field, Form, Kind, Link, Page, path};
use crate::office::drafts::ChannelDraft;
use crate::office::problem::Problem;
use crate::office::{back, copies, etag, find};

/// Modes as pages name them.
pub(super) fn modes(chosen: &str) -> Field {
    let choices = vec![
        choice("sync", "Synchronous", chosen != "async")
            .hint("The answer comes in the response to the message."),
        choice("async", "Asynchronous", chosen == "async")
            .hint("A message is answered with 200 at once; answers are POSTed to a URL."),
    ];
    fields::radio("mode", "How it answers", choices)
}

/// What an endpoint is made of.
pub(super) fn endpoint(post_url: &str, token_header: &str) -> Vec<Field> {
    vec![
        Field { kind: Kind::Url, ..fields::text("post_url", "POST_URL", post_url) }
            .hint("Where answers are sent by POST.")
            .when("when-async"),
        fields::password("access_token", "Access token", "off")
            .hint("Sent with each POST, as a bearer token. Kept sealed and never shown.")
            .when("when-async"),
        fields::text("token_header", "Header of the token", token_header)
            .hint("Empty: authorization.")
            .when("when-async"),
    ]
}

pub(super) async fn edit<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::channel(&book.registry, ask.id())?;
    let view = desk.channel_view(&book, &row)?;
    let draft = back::channel(&copies::channel(&book, &row, &desk.entropy)?.value);
    let here = path(&["channels", &view.webhook_id]);
    let mut form = ask.form(format!("{here}/edit"), "Save");
    form.fields = inputs(ask, &book, &draft, why.is_some());
    form.fields.push(seen(etag::of(&view)));
    form.cancel = Some(cancel(here.as_str()));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() }));
    let page = Page {
        title: format!("Edit {}", shown::named(&view.name)),
        section: "channels",
        crumbs: vec![crumb(), Link::new(here, &view.name)],
        lead: "What runs stays as it is until its bot is published and approved.".to_owned(),
        blocks,
        ..Page::default()
    };
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

fn inputs<B, S: Store>(
    ask: &Ask<'_, B, S>,
    book: &crate::office::book::Book,
    draft: &ChannelDraft,
    is_again: bool,
) -> Vec<Field> {
    let value = |word: &str, known: Option<&String>| {
        if is_again {
            ask.form.text(word).to_owned()
        } else {
            setting(known.map_or("", String::as_str))
        }
    };
    let number = |known: Option<u32>| known.map(|number| number.to_string());
    let mode = if draft.post_url.is_some() { "async" } else { "sync" }.to_owned();
    let mut fields = vec![
        fields::text("name", "Name", &value("name", Some(&draft.name))).required(),
        super::apps::picker(book, &value("app", Some(&draft.app))),
        modes(&value("mode", Some(&mode))),
    ];
    fields.extend(endpoint(
        &value("post_url", draft.post_url.as_ref()),
        &value("token_header", draft.token_header.as_ref()),
    ));
    if draft.post_url.is_some() {
        let drop = fields::check("drop_token", "Send no access token any more", false);
        fields.push(drop.when("when-async"));
    }
    fields.extend([
        fields::text("retry", "Waits between attempts", &value("retry", draft.retry.as_ref()))
            .hint("Like 5s,30s,2min, or exponential:INITIAL,FACTOR,MAX,ATTEMPTS.")
            .when("when-async"),
        fields::text(
            "post_deadline",
            "Deadline of one POST",
            &value("post_deadline", draft.post_deadline.as_ref()),
        )
        .when("when-async"),
        fields::text(
            "deadline",
            "A synchronous caller waits",
            &value("deadline", draft.deadline.as_ref()),
        ),
        fields::text(
            "rate",
            "Messages a second of one conversation",
            &value("rate", number(draft.rate).as_ref()),
        ),
        fields::text(
            "burst",
            "Messages at once of one conversation",
            &value("burst", number(draft.burst).as_ref()),
        ),
        busy(&value("while_busy", draft.while_busy.as_ref())),
        escaping(ask, draft, is_again),
        overrides(ask, draft, is_again),
    ]);
    fields
}

fn busy(chosen: &str) -> Field {
    let mut words = vec![
        ("queue", "each is answered, in order"),
        ("latest", "of those that wait, only the newest is answered"),
        ("reject", "they are refused until the answer is there"),
        ("merge:500ms", "those within half a second of each other are answered as one"),
        ("merge:1000ms", "those within a second of each other are answered as one"),
        ("merge:3000ms", "those within three seconds of each other are answered as one"),
    ];
    // What a command has set stays possible.
    if !chosen.is_empty() && words.iter().all(|(word, _)| *word != chosen) {
        words.push((chosen, chosen));
    }
    let choices = words.into_iter().map(|(word, words)| choice(word, words, word == chosen));
    fields::select("while_busy", "Messages that come before the answer", choices.collect())
}

fn escaping<B, S: Store>(ask: &Ask<'_, B, S>, draft: &ChannelDraft, is_again: bool) -> Field {
    let known = draft.escape_templates.unwrap_or(true);
    let value = if is_again { ask.form.is_checked("escape_templates") } else { known };
    fields::check("escape_templates", "Write the quotes of templates as &quot;", value)
        .hint("As the platform's own channel does.")
}

fn overrides<B, S: Store>(ask: &Ask<'_, B, S>, draft: &ChannelDraft, is_again: bool) -> Field {
    let known = || draft.overrides.as_ref().map(serde_json::to_string_pretty);
    let value = if is_again {
        ask.form.raw("overrides").to_owned()
    } else {
        known().and_then(Result::ok).unwrap_or_default()
    };
    fields::area("overrides", "Messages of its own", &value).hint(
        "JSON: {\"error\": \"Please call us.\"} is said here instead of the bot's error message. Other keys \
         are those that the bot gives its messages; an object is a template.",
    )
}

/// All of them, as a merge patch of those that there were: what is not given goes.
fn own_messages(text: &str, before: &ChannelDraft) -> Result<Value, Problem> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let given: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let words = format!("overrides: no JSON object, at line {line} column {column}");
        Problem::invalid(words)
    })?;
    let gone = before.overrides.iter().flatten().map(|(key, _)| (key.clone(), Value::Null));
    let mut patch: Map<String, Value> = gone.collect();
    patch.extend(given);
    Ok(Value::Object(patch))
}

/// What the form says, as a merge patch.
fn said<B, S: Store>(
    ask: &Ask<'_, B, S>,
    before: &ChannelDraft,
) -> Result<Map<String, Value>, Problem> {
    let form = &ask.form;
    let mut patch = Map::new();
    patch.insert("name".to_owned(), form.text("name").into());
    if let Some(app) = form.given("app") {
        patch.insert("app".to_owned(), app.into());
    }
    let is_async = form.text("mode") == "async";
    if is_async {
        patch.insert("post_url".to_owned(), form.text("post_url").into());
        for word in ["token_header", "retry", "post_deadline"] {
            let value = form.given(word).map_or(Value::Null, Value::from);
            patch.insert(word.to_owned(), value);
        }
        if form.is_checked("drop_token") {
            patch.insert("access_token".to_owned(), "".into());
        } else if let Some(token) = form.given("access_token") {
            patch.insert("access_token".to_owned(), token.into());
        }
    } else {
        patch.insert("post_url".to_owned(), Value::Null);
    }
    patch.insert("deadline".to_owned(), form.given("deadline").map_or(Value::Null, Value::from));
    patch
        .insert("while_busy".to_owned(), form.given("while_busy").map_or(Value::Null, Value::from));
    for word in ["rate", "burst"] {
        let number = match form.given(word) {
            None => Value::Null,
            Some(text) => {
                let number = text.parse::<u32>();
                number.map_err(|_| Problem::invalid(format!("{word}: a whole number")))?.into()
            }
        };
        patch.insert(word.to_owned(), number);
    }
    patch.insert("escape_templates".to_owned(), form.is_checked("escape_templates").into());
    patch.insert("overrides".to_owned(), own_messages(form.raw("overrides"), before)?);
    Ok(patch)
}

pub(super) async fn change<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::channel(&book.registry, ask.id())?;
    let before = back::channel(&copies::channel(&book, &row, &desk.entropy)?.value);
    let changed = match said(ask, &before) {
        Ok(patch) => ask.desk().change_channel(&ask.actor, ask.id(), &patch, ask.seen()).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(view) => {
            let here = path(&["channels", &view.webhook_id]);
            let secret = signing_secret(&view);
            if secret.is_empty() {
                let done = if view.unpublished { "edited" } else { "saved" };
                return Ok(Done::Go(query(&here, &[("done", done)])));
            }
            Ok(Done::Page(Page {
                title: "Saved".to_owned(),
                section: "channels",
                crumbs: vec![crumb(), Link::new(here.as_str(), &view.name)],
                actions: vec![Link::primary(here, "Done")],
                blocks: vec![Block::Card(Card { parts: secret, ..Card::default() })],
                ..Page::default()
            }))
        }
        Err(problem) if can_be_mended(&problem) => edit(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

/// A form of one channel's.
pub(super) fn card(form: Form) -> Block {
    Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() })
}

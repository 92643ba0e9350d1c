//! Apps: the list, one, its rules, its keys.

use std::collections::HashMap;

use shared::broker::Broker;
use shared::domain::ids::ClientId;
use shared::registry::App;
use shared::store::Store;

use super::ask::{Ask, can_be_mended, cancel, seen};
use super::fields::{self, choice, told, wrong};
use super::lists;
use super::reply::Done;
use super::shown;
use super::time;
use super::ui::{Block, Card, Cell, Code, Facts, Field, Form, Link, Page, Table, badge, path};
use crate::office::actor::Scope;
use crate::office::apps::{AppPatch, Rotation};
use crate::office::drafts::{AppDraft, RulesDraft};
use crate::office::problem::Problem;
use crate::office::views::AppView;
use crate::office::{etag, find};

pub(super) const ALGORITHMS: [(&str, &str); 4] = [
    ("HS256", "HS256 – a shared secret"),
    ("HS512", "HS512 – a shared secret"),
    ("RS256", "RS256 – your public key"),
    ("RS512", "RS512 – your public key"),
];

fn crumb() -> Link {
    Link::new("/apps", "Apps")
}

pub(super) async fn list<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let book = ask.desk().book().await?;
    let apps = book.registry.apps.values().map(AsRef::as_ref);
    let key = |app: &App| (app.name.clone(), app.client_id.to_string());
    let found = lists::page(apps, key, &ask.query, "/apps", &[]);
    let mut counts: HashMap<&ClientId, usize> =
        found.things.iter().map(|app| (&app.client_id, 0)).collect();
    for channel in book.registry.channels.values() {
        if let Some(used) = counts.get_mut(&channel.client) {
            *used += 1;
        }
    }
    let rows = found.things.into_iter().map(|app| {
        let view = AppView::of(app, false);
        let used = counts.get(&app.client_id).copied().unwrap_or_default();
        vec![
            Cell::Strong(Link::new(path(&["apps", &view.client_id]), &view.name)),
            Cell::text(&view.algorithm),
            Cell::text(used.to_string()),
            overlap(ask, &view),
            Cell::Code(view.client_id),
        ]
    });
    let table = Table {
        caption: "Apps".to_owned(),
        head: vec!["Name", "Algorithm", "Channels", "Key", "Client id"],
        rows: rows.collect(),
        empty: "No app is named so.".to_owned(),
        filter: Some(lists::filter("/apps", &ask.query, Vec::new())),
        first: found.first,
        next: found.next,
    };
    let add = ask.may(Scope::Configure).then(|| Link::primary("/apps/new", "Add an app"));
    let blocks: Vec<Block> =
        told(ask.query.text("done")).into_iter().chain([Block::Table(table)]).collect();
    Ok(Done::Page(Page {
        title: "Apps".to_owned(),
        section: "apps",
        lead: "The credentials of clients: their tokens are signed with an app's key.".to_owned(),
        actions: add.into_iter().collect(),
        blocks,
        ..Page::default()
    }))
}

fn overlap<B, S: Store>(ask: &Ask<'_, B, S>, view: &AppView) -> Cell {
    let now = ask.desk().clock.unix_ms();
    match view.previous_until_ms.filter(|until| *until > now) {
        Some(_) => Cell::Badge(badge("warn", "two keys are good")),
        None => Cell::Nothing,
    }
}

pub(super) async fn one<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let book = ask.desk().book().await?;
    let app = find::app(&book.registry, ask.id())?;
    let view = AppView::of(&app, false);
    let mut blocks: Vec<Block> = told(ask.query.text("done")).into_iter().collect();
    let here = |word: &str| path(&["apps", &view.client_id, word]);
    let mut actions = Vec::new();
    if ask.may(Scope::Configure) {
        actions = vec![
            Link::new(here("edit"), "Edit"),
            Link::new(here("rotate"), "Rotate the key"),
            Link::danger(here("delete"), "Delete"),
        ];
    }
    let mut parts = vec![Block::Facts(Facts(facts(ask, &view)))];
    if let Some(text) = &view.public_key {
        let (label, text) = ("Public key".to_owned(), text.clone());
        parts.push(Block::Code(Code { label, text, secret: false }));
    }
    blocks.push(Block::Card(Card {
        title: "The app".to_owned(),
        actions,
        parts,
        ..Card::default()
    }));
    let mut used: Vec<_> =
        book.registry.channels.values().filter(|c| c.client == app.client_id).collect();
    used.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let mut rows = Vec::new();
    for row in used.into_iter().take(100) {
        rows.push(super::channels::row(&book, &ask.desk().channel_view(&book, row)?, true));
    }
    let table = Table {
        caption: "Channels of this app".to_owned(),
        head: super::channels::head(true),
        rows,
        empty: "No channel takes its tokens yet.".to_owned(),
        ..Table::default()
    };
    let title = "Channels that take its tokens".to_owned();
    blocks.push(Block::Card(Card { title, parts: vec![Block::Table(table)], ..Card::default() }));
    let (title, crumbs) = (view.name, vec![crumb()]);
    Ok(Done::Page(Page { title, section: "apps", crumbs, blocks, ..Page::default() }))
}

fn facts<B, S: Store>(ask: &Ask<'_, B, S>, view: &AppView) -> Vec<(&'static str, Vec<Cell>)> {
    let rules = &view.rules;
    let or_any = |text: String| if text.is_empty() { Cell::text("any") } else { Cell::Text(text) };
    let age = rules.age_max.clone().map(|age| {
        let ms = age.trim_end_matches("ms").parse().map_or(age.clone(), time::span);
        format!("at most {ms} old")
    });
    let now = ask.desk().clock.unix_ms();
    let until = view.previous_until_ms.filter(|until| *until > now);
    vec![
        ("Client id", vec![Cell::Copy(view.client_id.clone())]),
        ("Algorithm", vec![Cell::text(&view.algorithm)]),
        ("The key before is good until", vec![until.map_or(Cell::Nothing, Cell::time)]),
        ("Age of tokens", vec![or_any(age.unwrap_or_default())]),
        ("Networks", vec![or_any(rules.networks.join(", "))]),
        (
            "A token is taken",
            vec![Cell::text(if rules.single_use { "once" } else { "until it expires" })],
        ),
    ]
}

pub(super) fn form<B: Broker, S: Store>(ask: &Ask<'_, B, S>, why: Option<&Problem>) -> Done {
    let typed = &ask.form;
    let mut form = ask.form_once("/apps/new", "Add the app");
    form.fields = vec![fields::text("name", "Name", typed.text("name")).required()];
    form.fields.extend(key(typed.text("algorithm"), typed.raw("public_key")));
    form.fields.extend(rules(&said_rules(ask)));
    form.cancel = Some(cancel("/apps"));
    let page = page("Add an app", vec![crumb()], form, why);
    if why.is_some() { Done::Again(page) } else { Done::Page(page) }
}

fn page(title: &str, crumbs: Vec<Link>, form: Form, why: Option<&Problem>) -> Page {
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(Block::Card(Card { parts: vec![Block::Form(form)], ..Card::default() }));
    Page { title: title.to_owned(), section: "apps", crumbs, blocks, ..Page::default() }
}

fn key(algorithm: &str, public_key: &str) -> Vec<Field> {
    let choices = ALGORITHMS.map(|(word, words)| choice(word, words, word == algorithm));
    vec![
        fields::select("algorithm", "How tokens are signed", choices.to_vec()),
        fields::area("public_key", "Public key", public_key)
            .hint("For RS256 and RS512: RSA, at least 2048 bits, in PEM.")
            .when("when-rsa"),
    ]
}

fn rules(rules: &RulesDraft) -> Vec<Field> {
    vec![
        fields::text("age_max", "Oldest token", rules.age_max.as_deref().unwrap_or_default())
            .hint("By its iat, like 5min. Empty: any."),
        fields::text("networks", "Networks", &rules.networks.join(", "))
            .hint("That requests come from, like 203.0.113.0/24, comma separated. Empty: any."),
        fields::check("single_use", "Take a message's token once", rules.single_use)
            .hint("It must then carry jti, and an exp at most an hour ahead."),
    ]
}

fn said_rules<B, S: Store>(ask: &Ask<'_, B, S>) -> RulesDraft {
    let networks = ask.form.text("networks").split([',', ' ', '\n']).map(str::trim);
    RulesDraft {
        age_max: ask.form.given("age_max").map(str::to_owned),
        networks: networks.filter(|text| !text.is_empty()).map(str::to_owned).collect(),
        single_use: ask.form.is_checked("single_use"),
    }
}

/// An app of what the form says.
pub(super) fn draft<B, S: Store>(ask: &Ask<'_, B, S>, name: &str) -> AppDraft {
    let given = |word: &str| ask.form.given(word).map(str::to_owned);
    let algorithm = given("algorithm");
    let rsa = algorithm.as_deref().is_some_and(|word| word.starts_with("RS"));
    AppDraft {
        name: name.to_owned(),
        id: None,
        public_key: given("public_key").filter(|_| rsa),
        algorithm,
        secret: None,
        rules: said_rules(ask),
    }
}

pub(super) async fn add<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let draft = draft(ask, ask.form.text("name"));
    match ask.desk_once("app").add_app(&ask.actor, &draft).await {
        Ok(view) => Ok(Done::Page(made(&view, "The app is there"))),
        Err(problem) if can_be_mended(&problem) => Ok(form(ask, Some(&problem))),
        Err(problem) => Err(problem),
    }
}

/// The key, this once.
pub(super) fn secret(view: &AppView) -> Vec<Block> {
    let mut parts = vec![Block::Code(Code {
        label: "Client id".to_owned(),
        text: view.client_id.clone(),
        secret: false,
    })];
    if let Some(text) = &view.client_secret {
        let warn = "Copy it now: it is shown this once and never again.";
        parts.push(fields::notice("warn", "The client secret", warn));
        let label = "Client secret".to_owned();
        parts.push(Block::Code(Code { label, text: text.clone(), secret: true }));
    }
    parts
}

fn made(view: &AppView, title: &str) -> Page {
    let here = path(&["apps", &view.client_id]);
    Page {
        title: title.to_owned(),
        section: "apps",
        crumbs: vec![crumb(), Link::new(here.as_str(), &view.name)],
        actions: vec![Link::primary(here, "Done")],
        blocks: vec![Block::Card(Card { parts: secret(view), ..Card::default() })],
        ..Page::default()
    }
}

pub(super) async fn edit<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let view = ask.desk().app(ask.id()).await?;
    let here = path(&["apps", &view.client_id]);
    let mut form = ask.form(format!("{here}/edit"), "Save");
    let name = if why.is_some() { ask.form.text("name") } else { &view.name };
    form.fields = vec![fields::text("name", "Name", name).required()];
    form.fields.extend(rules(&if why.is_some() { said_rules(ask) } else { view.rules.clone() }));
    form.fields.push(seen(etag::of(&view)));
    form.cancel = Some(cancel(here.as_str()));
    let crumbs = vec![crumb(), Link::new(here, &view.name)];
    let page = page(&format!("Edit {}", view.name), crumbs, form, why);
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

pub(super) async fn change<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let name = Some(ask.form.text("name").to_owned());
    let patch = AppPatch { name, rules: Some(said_rules(ask)) };
    match ask.desk().change_app(&ask.actor, ask.id(), &patch, ask.seen()).await {
        Ok(view) => Ok(Done::Go(format!("{}?done=saved", path(&["apps", &view.client_id])))),
        Err(problem) if can_be_mended(&problem) => edit(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(super) async fn rotate_form<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    let view = ask.desk().app(ask.id()).await?;
    let here = path(&["apps", &view.client_id]);
    let mut form = ask.form_once(format!("{here}/rotate"), "Give it a new key");
    let overlap = if why.is_some() { ask.form.text("overlap") } else { "24h" };
    form.fields = vec![
        fields::text("overlap", "The present key stays good for", overlap)
            .required()
            .hint("Like 24h; 0s ends it now."),
    ];
    if view.public_key.is_some() {
        let typed = ask.form.raw("public_key");
        form.fields.push(fields::area("public_key", "The new public key", typed).required());
    }
    form.danger = true;
    form.cancel = Some(cancel(here.as_str()));
    let crumbs = vec![crumb(), Link::new(here, &view.name)];
    let page = page(&format!("Rotate the key of {}", view.name), crumbs, form, why);
    Ok(if why.is_some() { Done::Again(page) } else { Done::Page(page) })
}

pub(super) async fn rotate<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let given = |word: &str| ask.form.given(word).map(str::to_owned);
    let rotation = Rotation {
        overlap: given("overlap"),
        public_key: given("public_key"),
        ..Rotation::default()
    };
    match ask.desk_once("rotate").rotate(&ask.actor, ask.id(), &rotation).await {
        Ok(view) => Ok(Done::Page(made(&view, "The key is new"))),
        Err(problem) if can_be_mended(&problem) => rotate_form(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(super) async fn delete<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let view = ask.desk().app(ask.id()).await?;
    let words =
        "Its tokens are refused from then on. An app that a channel uses cannot be deleted.";
    Ok(super::confirm(
        ask,
        super::Confirm {
            title: format!("Delete {}?", view.name),
            words: words.to_owned(),
            at: path(&["apps", &view.client_id]),
            word: "delete",
            button: "Delete the app",
            section: "apps",
            fields: vec![seen(etag::of(&view))],
        },
    ))
}

pub(super) async fn remove<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.desk().remove_app(&ask.actor, ask.id(), ask.seen()).await?;
    Ok(Done::Go("/apps?done=removed".to_owned()))
}

/// A select of apps, by name.
pub(super) fn picker(book: &crate::office::book::Book, chosen: &str) -> Field {
    let mut apps: Vec<_> = book.registry.apps.values().collect();
    apps.sort_by(|a, b| (&a.name, &a.client_id).cmp(&(&b.name, &b.client_id)));
    let choices = apps.into_iter().take(1_000).map(|app| {
        let id = app.client_id.as_str();
        choice(id, &format!("{} ({id})", app.name), id == chosen || app.name == chosen)
    });
    fields::select("app", "App", choices.collect())
}

pub(super) fn cell(book: &crate::office::book::Book, id: &str) -> Cell {
    let known = book.registry.apps.get(&id.into());
    shown::app(id, known.map_or(id, |app| &app.name))
}

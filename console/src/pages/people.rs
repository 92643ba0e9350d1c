//! Operators, API tokens, the audit log.

use shared::broker::Broker;
use shared::store::Store;

use super::ask::{Ask, can_be_mended, cancel};
use super::channel_edit::card;
use super::fields::{self, choice, notice, told, wrong};
use super::form::query;
use super::lists::ROWS;
use super::reply::Done;
use super::ui::{Block, Card, Cell, Code, Field, Link, Page, Table, badge, path};
use crate::office::actor::{Role, Scope};
use crate::office::operators::{ApiTokenDraft, OperatorDraft, OperatorPatch, OperatorView};
use crate::office::problem::Problem;

fn crumb() -> Link {
    Link::new("/operators", "Operators")
}

fn page(title: &str, section: &'static str, crumbs: Vec<Link>, blocks: Vec<Block>) -> Page {
    Page { title: title.to_owned(), section, crumbs, blocks, ..Page::default() }
}

fn again(page: Page, why: Option<&Problem>) -> Done {
    if why.is_some() { Done::Again(page) } else { Done::Page(page) }
}

pub(super) async fn list<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.actor.need(Scope::Administer)?;
    let rows = ask.desk().operators().await?.into_iter().map(|one| {
        let state = if one.disabled { badge("bad", "locked out") } else { badge("good", "active") };
        vec![
            Cell::Strong(Link::new(path(&["operators", &one.name]), &one.name)),
            Cell::text(one.role.as_str()),
            Cell::Badge(state),
        ]
    });
    let table = Table {
        caption: "Operators".to_owned(),
        head: vec!["Name", "Role", "State"],
        rows: rows.collect(),
        empty: "There are none.".to_owned(),
        ..Table::default()
    };
    let mut blocks: Vec<Block> = told(ask.query.text("done")).into_iter().collect();
    blocks.push(Block::Table(table));
    let mut page = page("Operators", "people", Vec::new(), blocks);
    "Developers make and change, and ask for approval. Admins decide.".clone_into(&mut page.lead);
    page.actions = vec![Link::primary("/operators/new", "Add an operator")];
    Ok(Done::Page(page))
}

fn roles(chosen: Role) -> Field {
    let choices = Role::ALL.map(|role| choice(role.as_str(), role.as_str(), role == chosen));
    fields::select("role", "Role", choices.to_vec())
}

pub(super) fn form<B: Broker, S: Store>(ask: &Ask<'_, B, S>, why: Option<&Problem>) -> Done {
    let mut form = ask.form_once("/operators/new", "Add the operator");
    let role = Role::parse(ask.form.text("role")).unwrap_or(Role::Developer);
    form.fields = vec![
        fields::text("name", "Name", ask.form.text("name")).required(),
        roles(role),
        fields::password("password", "Password", "new-password")
            .hint("At least 12 characters. Empty: one is made and shown once."),
    ];
    form.cancel = Some(cancel("/operators"));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    again(page("Add an operator", "people", vec![crumb()], blocks), why)
}

pub(super) async fn add<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let role = Role::parse(ask.form.text("role"));
    let draft = OperatorDraft {
        name: ask.form.text("name").to_owned(),
        role: role.unwrap_or(Role::Developer),
        password: Some(ask.form.raw("password").to_owned()).filter(|text| !text.is_empty()),
    };
    match ask.desk_once("operator").add_operator(&ask.actor, &draft).await {
        Ok(OperatorView { password: Some(text), name, .. }) => {
            let warn = "Copy it now: it is shown this once.";
            let label = format!("The password of {name}");
            let parts = vec![
                notice("warn", "The password", warn),
                Block::Code(Code { label, text, secret: true }),
            ];
            let blocks = vec![Block::Card(Card { parts, ..Card::default() })];
            let mut page = page("The operator is there", "people", vec![crumb()], blocks);
            page.actions = vec![Link::primary("/operators", "Done")];
            Ok(Done::Page(page))
        }
        Ok(_) => Ok(Done::Go("/operators?done=saved".to_owned())),
        Err(problem) if can_be_mended(&problem) => Ok(form(ask, Some(&problem))),
        Err(problem) => Err(problem),
    }
}

pub(super) async fn edit<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    why: Option<&Problem>,
) -> Result<Done, Problem> {
    ask.actor.need(Scope::Administer)?;
    let all = ask.desk().operators().await?;
    let one = all.into_iter().find(|one| one.name == ask.id());
    let one = one.ok_or_else(|| Problem::missing("operator", ask.id()))?;
    let here = path(&["operators", &one.name]);
    let mut form = ask.form(here.as_str(), "Save");
    form.fields = vec![
        roles(one.role),
        fields::password("password", "New password", "new-password")
            .hint("Empty: as it is. A new one ends their sessions."),
        fields::check("disabled", "Locked out", one.disabled)
            .hint("They cannot sign in, and their tokens are refused."),
    ];
    form.cancel = Some(cancel("/operators"));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    let mut page = page(&one.name, "people", vec![crumb()], blocks);
    page.actions = vec![Link::danger(format!("{here}/delete"), "Delete")];
    Ok(again(page, why))
}

pub(super) async fn change<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let patch = OperatorPatch {
        role: Role::parse(ask.form.text("role")),
        password: Some(ask.form.raw("password").to_owned()).filter(|text| !text.is_empty()),
        disabled: Some(ask.form.is_checked("disabled")),
    };
    match ask.desk().change_operator(&ask.actor, ask.id(), &patch).await {
        Ok(_) => Ok(Done::Go("/operators?done=saved".to_owned())),
        Err(problem) if can_be_mended(&problem) => edit(ask, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

pub(super) fn delete<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Done {
    super::confirm(
        ask,
        super::Confirm {
            title: format!("Delete {}?", ask.id()),
            words: "Their sessions and their tokens end at once.".to_owned(),
            at: path(&["operators", ask.id()]),
            word: "delete",
            button: "Delete the operator",
            section: "people",
            fields: Vec::new(),
        },
    )
}

pub(super) async fn remove<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    ask.desk().remove_operator(&ask.actor, ask.id()).await?;
    Ok(Done::Go("/operators?done=removed".to_owned()))
}

pub(super) async fn tokens<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let rows = ask.desk().api_tokens(&ask.actor).await?.into_iter().map(|one| {
        let scopes: Vec<_> = one.scopes.iter().map(|scope| scope.as_str()).collect();
        let delete = path(&["tokens", &one.token_id, "delete"]);
        vec![
            Cell::text(&one.name),
            Cell::text(&one.operator),
            Cell::text(scopes.join(", ")),
            one.expires_at_ms.map_or(Cell::text("never"), Cell::time),
            Cell::Link(Link::new(delete, "Delete")),
        ]
    });
    let table = Table {
        caption: "API tokens".to_owned(),
        head: vec!["For", "Operator", "May", "Expires", "Else"],
        rows: rows.collect(),
        empty: "There are none.".to_owned(),
        ..Table::default()
    };
    let mut blocks: Vec<Block> = told(ask.query.text("done")).into_iter().collect();
    blocks.push(Block::Table(table));
    let mut page = page("API tokens", "tokens", Vec::new(), blocks);
    "For scripts and pipelines that use the admin API.".clone_into(&mut page.lead);
    page.actions = vec![Link::primary("/tokens/new", "Add a token")];
    Ok(Done::Page(page))
}

pub(super) fn token_form<B: Broker, S: Store>(ask: &Ask<'_, B, S>, why: Option<&Problem>) -> Done {
    let mut form = ask.form_once("/tokens/new", "Add the token");
    let typed = ask.form.all("scopes");
    let mine = Scope::ALL.into_iter().filter(|scope| ask.may(*scope));
    let choices = mine.map(|scope| {
        choice(scope.as_str(), scope.as_str(), typed.iter().any(|one| one == scope.as_str()))
    });
    let life = if why.is_some() { ask.form.text("life") } else { "720h" };
    form.fields = vec![
        fields::text("name", "What it is for", ask.form.text("name")).required(),
        fields::checks("scopes", "What it may", choices.collect()),
        fields::text("life", "It lives for", life).hint("Like 720h. Empty: until it is deleted."),
    ];
    form.cancel = Some(cancel("/tokens"));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    let crumbs = vec![Link::new("/tokens", "API tokens")];
    again(page("Add a token", "tokens", crumbs, blocks), why)
}

pub(super) async fn add_token<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let draft = ApiTokenDraft {
        name: ask.form.text("name").to_owned(),
        operator: None,
        scopes: ask.form.all("scopes").iter().filter_map(|word| Scope::parse(word)).collect(),
        life: ask.form.given("life").map(str::to_owned),
    };
    match ask.desk_once("token").add_api_token(&ask.actor, &draft).await {
        Ok(made) => {
            let warn = "Copy it now: it is shown this once.";
            let (label, text) = ("Token".to_owned(), made.token.unwrap_or_default());
            let parts = vec![
                notice("warn", "The token", warn),
                Block::Code(Code { label, text, secret: true }),
            ];
            let blocks = vec![Block::Card(Card { parts, ..Card::default() })];
            let crumbs = vec![Link::new("/tokens", "API tokens")];
            let mut page = page("The token is there", "tokens", crumbs, blocks);
            page.actions = vec![Link::primary("/tokens", "Done")];
            Ok(Done::Page(page))
        }
        Err(problem) if can_be_mended(&problem) => Ok(token_form(ask, Some(&problem))),
        Err(problem) => Err(problem),
    }
}

pub(super) fn token_delete<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Done {
    let mut done = super::confirm(
        ask,
        super::Confirm {
            title: "Delete this token?".to_owned(),
            words: "It is refused at once.".to_owned(),
            at: path(&["tokens", ask.id()]),
            word: "delete",
            button: "Delete the token",
            section: "tokens",
            fields: Vec::new(),
        },
    );
    // A token has no page of its own to go back to.
    if let Done::Page(page) = &mut done
        && let Some(Block::Card(card)) = page.blocks.first_mut()
        && let Some(Block::Form(form)) = card.parts.first_mut()
    {
        form.cancel = Some(cancel("/tokens"));
    }
    done
}

pub(super) async fn remove_token<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
) -> Result<Done, Problem> {
    ask.desk().remove_api_token(&ask.actor, ask.id()).await?;
    Ok(Done::Go("/tokens?done=removed".to_owned()))
}

pub(super) async fn audit<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let (subject, before) = (ask.query.given("subject"), ask.query.given("before"));
    let limit = u32::try_from(ROWS + 1).unwrap_or(u32::MAX);
    let mut entries = ask.desk().audit(&ask.actor, subject, before, limit).await?;
    let more = entries.len() > ROWS;
    entries.truncate(ROWS);
    let words = |before: &str| {
        query("/audit", &[("subject", subject.unwrap_or_default()), ("before", before)])
    };
    let next = entries.last().filter(|_| more).map(|last| words(&last.entry_id));
    let rows = entries.into_iter().map(|one| {
        let detail = match &one.detail {
            serde_json::Value::Object(fields) if fields.is_empty() => String::new(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        let short: String = detail.chars().take(160).collect();
        let short = if short.len() < detail.len() { format!("{short}…") } else { short };
        vec![
            Cell::time(one.at_ms),
            Cell::text(one.actor),
            Cell::text(one.action),
            Cell::Code(one.subject),
            if short.is_empty() { Cell::Nothing } else { Cell::Code(short) },
        ]
    });
    let field = fields::text("subject", "Id of what was changed", subject.unwrap_or_default());
    let field = Field { kind: super::ui::Kind::Search, ..field };
    let table = Table {
        caption: "Audit log".to_owned(),
        head: vec!["When", "Who", "What", "Of", "Detail"],
        rows: rows.collect(),
        empty: "Nothing was changed.".to_owned(),
        filter: Some(super::ui::Filter { action: "/audit".to_owned(), fields: vec![field] }),
        first: before.map(|_| words("")),
        next,
    };
    let mut page = page("Audit log", "audit", Vec::new(), vec![Block::Table(table)]);
    "Who changed what, newest first. Entries are kept for two years.".clone_into(&mut page.lead);
    Ok(Done::Page(page))
}

//! A bot's forms.

use serde_json::{Map, Value, json};
use shared::broker::Broker;
use shared::store::Store;

use super::ask::{Ask, can_be_mended, cancel, seen};
use super::bots::crumb;
use super::channel_edit::card;
use super::fields::{self, choice, wrong};
use super::form::{Words, query};
use super::reply::Done;
use super::time::setting;
use super::ui::{Block, Field, Form, Kind, Link, Page, path};
use crate::office::drafts::BotDraft;
use crate::office::problem::Problem;
use crate::office::views::BotView;
use crate::office::{back, copies, etag, find};

const LOGICS: [(&str, &str, &str); 4] = [
    ("echo", "Echo", "Says what it hears. For trying things out."),
    ("http", "HTTP bot", "Each turn is a POST to a URL of yours."),
    ("script", "Script", "JavaScript that runs here, jailed."),
    ("connector", "Connector", "A bot of another platform."),
];
const CONNECTORS: [&str; 7] =
    ["rasa", "rasa-actions", "bot-framework", "openai", "openai-responses", "botkit", "dify"];

const RESTART: &str =
    "When the script changes, begin open dialogs anew instead of ending them with the old one";

/// What stands in the form.
#[derive(Default)]
struct Shown {
    name: String,
    logic: String,
    http: String,
    source: String,
    restart_dialogs: bool,
    connector: [String; 3],
    error_message: String,
    session_timeout: String,
}

impl Shown {
    fn typed(form: &Words) -> Self {
        let text = |word: &str| form.text(word).to_owned();
        let logic = if form.text("logic").is_empty() { "echo".to_owned() } else { text("logic") };
        Self {
            name: text("name"),
            logic,
            http: text("http"),
            source: form.raw("source").to_owned(),
            restart_dialogs: form.is_checked("restart_dialogs"),
            connector: ["connector_kind", "connector_url", "connector_more"].map(text),
            error_message: text("error_message"),
            session_timeout: text("session_timeout"),
        }
    }

    fn of(draft: &BotDraft) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let logic = match (&draft.http, &draft.source, &draft.connector) {
            (Some(_), ..) => "http",
            (_, Some(_), _) => "script",
            (.., Some(_)) => "connector",
            _ => "echo",
        };
        let mut more = draft.connector.as_ref().map_or(Value::Null, |connector| json!(connector));
        let mut take = |word: &str| {
            let taken = more.as_object_mut().and_then(|fields| fields.shift_remove(word));
            taken.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let (kind, url) = (take("kind"), take("url"));
        let more = if more.as_object().is_none_or(Map::is_empty) {
            String::new()
        } else {
            serde_json::to_string_pretty(&more).unwrap_or_default()
        };
        Self {
            name: draft.name.clone(),
            logic: logic.to_owned(),
            http: text(&draft.http),
            source: text(&draft.source),
            restart_dialogs: draft.restart_dialogs,
            connector: [kind, url, more],
            error_message: text(&draft.error_message),
            session_timeout: setting(&text(&draft.session_timeout)),
        }
    }

    fn inputs(&self) -> Vec<Field> {
        let choices =
            LOGICS.map(|(word, words, hint)| choice(word, words, word == self.logic).hint(hint));
        let [kind, url, more] = &self.connector;
        let kinds = CONNECTORS.map(|one| choice(one, one, one == kind));
        let address = |name, label: &str, value: &str| Field {
            kind: Kind::Url,
            ..fields::text(name, label, value)
        };
        vec![
            fields::text("name", "Name", &self.name).required(),
            fields::radio("logic", "What answers", choices.to_vec()),
            address("http", "URL of the HTTP bot", &self.http).when("when-http"),
            fields::select("connector_kind", "Platform", kinds.to_vec()).when("when-connector"),
            address("connector_url", "Where it is", url)
                .hint("The base of its API; for bot-framework its messaging endpoint.")
                .when("when-connector"),
            fields::area("connector_more", "More settings", more)
                .hint("JSON, like {\"model\": \"…\"}: the words of docs/connectors.md.")
                .when("when-connector"),
            fields::password("authorization", "Authorization of the calls", "off")
                .hint("Kept sealed and never shown. Empty: as it is.")
                .when("when-called"),
            fields::code("source", "Script", &self.source).when("when-script"),
            fields::check("restart_dialogs", RESTART, self.restart_dialogs).when("when-script"),
            fields::text("error_message", "When it fails, the user reads", &self.error_message),
            fields::text("session_timeout", "A session ends after", &self.session_timeout)
                .hint("Inactivity, like 15min."),
        ]
    }
}

/// What the form says, as a merge patch. `before` is the logic that it had, and `had` the words of its
/// connector; what is emptied goes.
fn said(form: &Words, before: Option<&str>, had: &[String]) -> Result<Map<String, Value>, Problem> {
    let logic = form.text("logic");
    let mut patch = Map::new();
    let mut put = |word: &str, value: Option<&str>, had: bool| {
        if let Some(value) = value {
            patch.insert(word.to_owned(), value.into());
        } else if had {
            patch.insert(word.to_owned(), Value::Null);
        }
    };
    put("name", Some(form.text("name")), false);
    put("http", form.given("http").filter(|_| logic == "http"), before == Some("http"));
    let source = Some(form.raw("source")).filter(|source| logic == "script" && !source.is_empty());
    put("source", source, before == Some("script"));
    let new_script = before != Some("script");
    put("source_name", source.filter(|_| new_script).map(|_| "script.js"), false);
    put("error_message", form.given("error_message"), before.is_some());
    put("session_timeout", form.given("session_timeout"), before.is_some());
    let called = ["http", "connector"].contains(&logic);
    put("authorization", form.given("authorization").filter(|_| called), false);
    if logic == "script" {
        patch.insert("restart_dialogs".to_owned(), form.is_checked("restart_dialogs").into());
    }
    if logic == "connector" {
        let mut fields = connector(form)?;
        for word in had {
            fields.entry(word).or_insert(Value::Null);
        }
        patch.insert("connector".to_owned(), Value::Object(fields));
    } else if before.is_some_and(|before| CONNECTORS.contains(&before)) {
        patch.insert("connector".to_owned(), Value::Null);
    }
    Ok(patch)
}

fn connector(form: &Words) -> Result<Map<String, Value>, Problem> {
    let more = form.given("connector_more").unwrap_or("{}");
    let wrong = |_| Problem::invalid("connector: its more settings are no JSON object");
    let mut fields: Map<String, Value> = serde_json::from_str(more).map_err(wrong)?;
    for (word, field) in [("kind", "connector_kind"), ("url", "connector_url")] {
        fields.insert(word.to_owned(), form.text(field).into());
    }
    Ok(fields)
}

pub(super) fn form<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Done {
    Done::Page(add_page(ask, None))
}

fn add_page<B: Broker, S: Store>(ask: &Ask<'_, B, S>, why: Option<&Problem>) -> Page {
    let mut form = ask.form_once("/bots/new", "Add the bot");
    form.fields = Shown::typed(&ask.form).inputs();
    form.cancel = Some(cancel("/bots"));
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    let title = "Add a bot".to_owned();
    Page { title, section: "bots", crumbs: vec![crumb()], blocks, ..Page::default() }
}

pub(super) async fn add<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let draft = said(&ask.form, None, &[]).and_then(copies::read::<BotDraft>);
    let made = match draft {
        Ok(draft) => ask.desk_once("bot").add_bot(&ask.actor, &draft).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(view) => Ok(Done::Go(format!("{}?done=saved", path(&["bots", &view.bot_id])))),
        Err(problem) if can_be_mended(&problem) => Ok(Done::Again(add_page(ask, Some(&problem)))),
        Err(problem) => Err(problem),
    }
}

pub(super) async fn edit<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let desk = ask.desk();
    let book = desk.book().await?;
    let row = find::bot(&book.registry, ask.id())?;
    let view = desk.bot_view(&book, &row)?;
    let shown = Shown::of(&back::bot(&copies::bot(&book, &row, &desk.entropy)?.value));
    Ok(Done::Page(edit_page(ask, &view, &shown, None)))
}

fn edit_page<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    view: &BotView,
    shown: &Shown,
    why: Option<&Problem>,
) -> Page {
    let here = path(&["bots", &view.bot_id]);
    let mut fields = shown.inputs();
    fields.push(seen(etag::of(view)));
    let form = ask.form(format!("{here}/edit"), "Save");
    let form = Form { fields, cancel: Some(cancel(here.as_str())), ..form };
    let mut blocks: Vec<Block> = why.map(wrong).into_iter().collect();
    blocks.push(card(form));
    Page {
        title: format!("Edit {}", view.name),
        section: "bots",
        crumbs: vec![crumb(), Link::new(here, &view.name)],
        lead: "What runs stays as it is until the bot is published and approved.".to_owned(),
        blocks,
        ..Page::default()
    }
}

pub(super) async fn change<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let (desk, id) = (ask.desk(), ask.id());
    let book = desk.book().await?;
    let row = find::bot(&book.registry, id)?;
    let before = desk.bot_view(&book, &row)?;
    let edited = back::bot(&copies::bot(&book, &row, &desk.entropy)?.value);
    let had = edited.connector.map_or(Value::Null, |connector| json!(connector));
    let had: Vec<String> =
        had.as_object().into_iter().flat_map(Map::keys).map(ToOwned::to_owned).collect();
    let changed = match said(&ask.form, Some(&before.logic), &had) {
        Ok(patch) => desk.change_bot(&ask.actor, id, &patch, ask.seen()).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(view) => {
            let done = if view.unpublished { "edited" } else { "saved" };
            Ok(Done::Go(query(&path(&["bots", &view.bot_id]), &[("done", done)])))
        }
        Err(problem) if can_be_mended(&problem) => {
            let shown = Shown::typed(&ask.form);
            Ok(Done::Again(edit_page(ask, &before, &shown, Some(&problem))))
        }
        Err(problem) => Err(problem),
    }
}

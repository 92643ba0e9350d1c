//! Bots: made, changed, related, removed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::ids::BotId;
use shared::registry::Bot;
use shared::registry::control::{Kind, Record, Write};
use shared::store::Store;

use super::actor::{Actor, Scope};
use super::book::{self, Book};
use super::copies::{self, BOT_SECRETS};
use super::decide::{Log, Plan};
use super::drafts::BotDraft;
use super::execute::Desk;
use super::problem::Problem;
use super::views::BotView;
use super::{back, beside, etag, find, inherit, validate};

/// Which bot a bot inherits from.
#[derive(Serialize, Deserialize)]
pub(super) struct Parent {
    pub(super) parent: String,
}

impl<S: Store> Desk<S> {
    pub async fn add_bot(&self, actor: &Actor, draft: &BotDraft) -> Result<BotView, Problem> {
        actor.need(Scope::Configure)?;
        let bot = validate::bot(draft, &self.entropy)?;
        self.decide(actor, |book| {
            let mut bot = bot.clone();
            beside::resolve(&mut bot, &book.registry)?;
            free(book, &bot)?;
            if book.registry.bots.contains_key(&bot.id) {
                return Err(Problem::conflict(format!("there is a bot {} already", bot.id)));
            }
            let log = Log::new("bot.add", bot.id.as_str(), json!({"after": back::bot(&bot)}));
            let writes = vec![Write::Bot(Box::new(bot.clone()))];
            Ok(Plan { writes, log: vec![log], answer: BotView::of(&bot) })
        })
        .await
    }

    /// Changes what is edited; what runs stays until that is published.
    pub async fn change_bot(
        &self,
        actor: &Actor,
        name: &str,
        patch: &Map<String, Value>,
        expected: Option<&str>,
    ) -> Result<BotView, Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let row = find::bot(&book.registry, name)?;
            let edited = copies::bot(book, &row, &self.entropy)?;
            etag::check(expected, &self.bot_view(book, &row)?)?;
            let mut plain = copies::plain(&back::bot(&edited.value), BOT_SECRETS)?;
            let before = plain.clone();
            let mut given = edited.given.clone();
            fixed(patch, &["id", "script"])?;
            // What belongs to the kind of logic that goes, goes with it.
            for (word, also) in [
                ("http", &["http_deadline", "http_attempts"][..]),
                ("source", &["source_name", "restart_dialogs"]),
                ("connector", &[]),
            ] {
                if patch.get(word) == Some(&Value::Null) {
                    plain.retain(|name, _| !also.contains(&name.as_str()));
                    given.clear();
                }
            }
            copies::merge(&mut plain, &mut given, patch, BOT_SECRETS);
            let draft = copies::with(plain.clone(), &given)?;
            let mut bot = copies::revive_bot(&row, draft, &self.entropy)?;
            // Nor does one go elsewhere that was given with an edit before this.
            if !patch.contains_key("authorization") && given.contains_key("authorization") {
                copies::may_keep(&edited.value.logic, &bot.logic)?;
            }
            beside::resolve(&mut bot, &book.registry)?;
            free(book, &bot)?;
            let detail = json!({"before": before, "after": plain, "secrets": secrets_of(patch, BOT_SECRETS)});
            let log = vec![Log::new("bot.change", row.id.as_str(), detail)];
            let waits = is_published(book, &row.id);
            let write = if waits {
                let record = copies::edit(row.id.as_str(), &back::bot(&bot), BOT_SECRETS, &given)?;
                Write::Record { record, expires: None }
            } else {
                Write::Bot(Box::new(bot.clone()))
            };
            let mut answer = BotView::of(&bot);
            answer.unpublished = waits;
            answer.parent_id = parent(book, &row.id)?;
            Ok(Plan { writes: vec![write], log, answer })
        })
        .await
    }

    /// A bot as it is edited.
    pub fn bot_view(&self, book: &Book, row: &Bot) -> Result<BotView, Problem> {
        let edited = copies::bot(book, row, &self.entropy)?;
        let mut view = BotView::of(&edited.value);
        view.unpublished = edited.differs;
        view.parent_id = parent(book, &row.id)?;
        Ok(view)
    }

    /// Lets a bot inherit the channels that another publishes: those that are live now, and each new one.
    pub async fn set_parent(
        &self,
        actor: &Actor,
        name: &str,
        of: Option<&str>,
    ) -> Result<BotView, Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let child = find::bot(&book.registry, name)?;
            let id = child.id.to_string();
            let mut answer = self.bot_view(book, &child)?;
            let Some(of) = of else {
                let log = vec![Log::new("bot.parent", id.as_str(), json!({"after": null}))];
                answer.parent_id = None;
                let writes = vec![Write::RemoveRecord(Kind::Parent, id)];
                return Ok(Plan { writes, log, answer });
            };
            let elder = find::bot(&book.registry, of)?;
            if elder.id == child.id || parent(book, &elder.id)?.is_some() {
                let words = "a bot inherits from one that does not inherit itself";
                return Err(Problem::conflict(words));
            }
            if inherit::children(book, &child.id)?.next().is_some() {
                return Err(Problem::conflict("it has children: it cannot inherit itself"));
            }
            let parent = elder.id.to_string();
            let log = vec![Log::new("bot.parent", id.as_str(), json!({"after": parent}))];
            answer.parent_id = Some(parent.clone());
            let body = json!({ "parent": parent }).to_string();
            let record = Record { kind: Kind::Parent, id, body, sealed: None };
            let mut writes = vec![Write::Record { record, expires: None }];
            writes.extend(inherit::live(book, &elder.id, &child.id, &self.entropy)?);
            Ok(Plan { writes, log, answer })
        })
        .await
    }

    /// Removes a bot that has no channels.
    pub async fn remove_bot(
        &self,
        actor: &Actor,
        name: &str,
        expected: Option<&str>,
    ) -> Result<(), Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let bot = find::bot(&book.registry, name)?;
            etag::check(expected, &self.bot_view(book, &bot)?)?;
            if book.registry.channels.values().any(|channel| channel.bot == bot.id) {
                return Err(Problem::conflict("it has channels: delete them first"));
            }
            if inherit::children(book, &bot.id)?.next().is_some() {
                return Err(Problem::conflict("other bots inherit from it"));
            }
            if let Some(other) = beside::user(&book.registry, &bot.id) {
                return Err(Problem::conflict(format!("it stands beside {other:?}")));
            }
            let id = bot.id.to_string();
            let log = vec![Log::new("bot.remove", id.as_str(), json!({"before": back::bot(&bot)}))];
            let writes = vec![
                Write::RemoveRecord(Kind::Edit, id.clone()),
                Write::RemoveRecord(Kind::Parent, id),
                Write::RemoveBot(bot.id.clone()),
            ];
            Ok(Plan { writes, log, answer: () })
        })
        .await
    }
}

/// Whether any of its channels was ever published: what runs is then not edited.
pub(super) fn is_published(book: &Book, bot: &BotId) -> bool {
    book.channels(bot).iter().any(|channel| copies::edits_wait(channel.state))
}

fn parent(book: &Book, bot: &BotId) -> Result<Option<String>, Problem> {
    let record = book.record(Kind::Parent, bot.as_str());
    Ok(record.map(book::body::<Parent>).transpose()?.map(|body| body.parent))
}

fn free(book: &Book, bot: &Bot) -> Result<(), Problem> {
    let mut others = book.registry.bots.values();
    let mut unreadable = book.registry.unreadable.values();
    if others.any(|other| other.name == bot.name && other.id != bot.id)
        || unreadable.any(|other| other.name == bot.name)
    {
        return Err(Problem::conflict(format!("a bot is named {:?} already", bot.name)));
    }
    Ok(())
}

/// What a patch may not touch.
pub(super) fn fixed(patch: &Map<String, Value>, keys: &[&str]) -> Result<(), Problem> {
    match keys.iter().find(|key| patch.contains_key(**key)) {
        Some(key) => Err(Problem::invalid(format!("{key}: it cannot be changed"))),
        None => Ok(()),
    }
}

/// The names of the secrets that a patch touches.
pub(super) fn secrets_of(
    patch: &Map<String, Value>,
    secrets: &[&'static str],
) -> Vec<&'static str> {
    secrets.iter().copied().filter(|secret| patch.contains_key(*secret)).collect()
}

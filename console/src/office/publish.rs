//! Publishing: a request shows what is to run, an approval makes exactly that run.

mod shown;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::domain::ids::{BotId, ChannelId};
use shared::registry::Channel;
use shared::registry::control::{Kind, Record, Write};
use shared::store::Store;

use super::actor::{Actor, Scope};
use super::book::{self, Book};
use super::copies::{self, BOT_SECRETS, CHANNEL_SECRETS};
use super::decide::{Log, Plan};
use super::diff::Difference;
use super::drafts::{BotDraft, ChannelDraft};
use super::execute::Desk;
use super::problem::Problem;
use super::{back, find, inherit};
use shown::view;

/// What is asked for.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishDraft {
    /// The bot's channels that are to run, by id or name. Those that run and are not among them stop.
    pub channels: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// A request as it is kept: what would run, as it was when it was asked for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) bot: String,
    pub(super) by: String,
    /// Whom the question counts for.
    pub(super) person: String,
    pub(super) comment: String,
    pub(super) at_ms: u64,
    /// The bot's edit, when there was one.
    pub(super) edit: Option<BotDraft>,
    pub(super) channels: BTreeMap<String, ChannelDraft>,
    #[serde(default)]
    pub(super) decision: Option<Decision>,
}

/// What was decided.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// `approved`, `rejected` or `withdrawn`.
    pub outcome: String,
    pub by: String,
    pub why: String,
    pub at_ms: u64,
    /// What it changed, or would have.
    pub differences: Vec<Difference>,
}

/// A request as it is shown.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct RequestView {
    pub request_id: String,
    pub bot_id: String,
    pub requested_by: String,
    pub comment: String,
    pub requested_at_ms: u64,
    /// The channels that run once it is approved.
    pub channels: Vec<String>,
    /// What it changes of what runs now; for a decided one, what it changed then.
    pub differences: Vec<Difference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// How a request ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    Reject,
    Withdraw,
}

impl Verdict {
    const fn outcome(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Withdraw => "withdrawn",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "publish.approve",
            Self::Reject => "publish.reject",
            Self::Withdraw => "publish.withdraw",
        }
    }
}

impl<S: Store> Desk<S> {
    /// Asks the admins to let a bot run as it is edited, with these channels.
    pub async fn publish(
        &self,
        actor: &Actor,
        bot: &str,
        draft: &PublishDraft,
    ) -> Result<RequestView, Problem> {
        actor.need(Scope::Configure)?;
        if draft.comment.len() > 4_096 {
            return Err(Problem::invalid("comment: at most 4096 bytes"));
        }
        let now = self.clock.unix_ms();
        let id = self.entropy.uuid_v7(now).simple().to_string();
        self.decide(actor, |book| {
            let bot = find::bot(&book.registry, bot)?;
            if let Some(open) = open_of(book, bot.id.as_str())? {
                let words = format!("the request {open} is open: withdraw it first");
                return Err(Problem::conflict(words));
            }
            let (mut channels, mut sealed) = (BTreeMap::new(), Map::new());
            let mut writes = Vec::new();
            for name in &draft.channels {
                let row = find::channel_of(&book.registry, &bot.id, name)?;
                let edited = copies::channel(book, &row, &self.entropy)?;
                channels.insert(row.id.to_string(), back::channel(&edited.value));
                if !edited.given.is_empty() {
                    sealed.insert(row.id.to_string(), Value::Object(edited.given));
                }
                if let Ok(state) = row.state.after(ChannelAction::Submit) {
                    let channel = Box::new(Channel { state, ..row.as_ref().clone() });
                    writes.push(Write::Channel { channel, enable: false });
                }
            }
            let edited = copies::bot(book, &bot, &self.entropy)?;
            if edited.differs && !edited.given.is_empty() {
                sealed.insert(bot.id.to_string(), Value::Object(edited.given));
            }
            let asked = Asked {
                bot: bot.id.to_string(),
                by: actor.name.clone(),
                person: actor.person.clone(),
                comment: draft.comment.clone(),
                at_ms: now,
                edit: edited.differs.then(|| back::bot(&edited.value)),
                channels,
                decision: None,
            };
            let answer = view(book, &id, &asked, &sealed)?;
            let detail = json!({"bot": asked.bot, "channels": answer.channels});
            let log = vec![Log::new("publish.request", id.as_str(), detail)];
            let sealed = SecretString::from(Value::Object(sealed).to_string());
            let record = record(Kind::Request, &id, &asked, Some(sealed))?;
            writes.push(Write::Record { record, expires: None });
            Ok(Plan { writes, log, answer })
        })
        .await
    }

    /// Ends a request. Approving makes run what it shows.
    pub async fn judge(
        &self,
        actor: &Actor,
        id: &str,
        verdict: Verdict,
        why: &str,
    ) -> Result<RequestView, Problem> {
        actor.need(match verdict {
            Verdict::Withdraw => Scope::Configure,
            Verdict::Approve | Verdict::Reject => Scope::Approve,
        })?;
        if verdict == Verdict::Reject && why.trim().is_empty() {
            return Err(Problem::invalid("why: a rejection needs a reason"));
        }
        if why.len() > 4_096 {
            return Err(Problem::invalid("why: at most 4096 bytes"));
        }
        let now = self.clock.unix_ms();
        self.decide(actor, |book| {
            let kept = book.record(Kind::Request, id);
            let kept = kept.ok_or_else(|| Problem::missing("open request", id))?;
            let (mut asked, sealed) = (book::body::<Asked>(kept)?, book::sealed(kept)?);
            let alone = asked.person == actor.person && !actor.is_local();
            if verdict == Verdict::Approve && self.two_person && alone {
                return Err(Problem::forbidden("two people are needed: another approves it"));
            }
            let mut answer = view(book, id, &asked, &sealed)?;
            let mut writes = match verdict {
                Verdict::Approve => self.put_live(book, &asked, &sealed)?,
                Verdict::Reject => answered(book, &asked, ChannelAction::Reject),
                Verdict::Withdraw => answered(book, &asked, ChannelAction::Withdraw),
            };
            let decision = Decision {
                outcome: verdict.outcome().to_owned(),
                by: actor.name.clone(),
                why: why.to_owned(),
                at_ms: now,
                differences: answer.differences.clone(),
            };
            asked.decision = Some(decision.clone());
            answer.decision = Some(decision);
            let record = record(Kind::Decided, id, &asked, None)?;
            writes.push(Write::Record { record, expires: None });
            writes.push(Write::RemoveRecord(Kind::Request, id.to_owned()));
            let detail = json!({"bot": asked.bot, "why": why, "differences": answer.differences});
            Ok(Plan { writes, log: vec![Log::new(verdict.word(), id, detail)], answer })
        })
        .await
    }

    /// What is written when a request is approved.
    fn put_live(
        &self,
        book: &Book,
        asked: &Asked,
        sealed: &Map<String, Value>,
    ) -> Result<Vec<Write>, Problem> {
        let bot_id = BotId::from(asked.bot.as_str());
        let bot = find::bot(&book.registry, &asked.bot)?;
        let mut writes = Vec::new();
        if let Some(edit) = &asked.edit {
            let draft =
                copies::with(copies::plain(edit, BOT_SECRETS)?, &given(sealed, &asked.bot))?;
            let published = copies::revive_bot(&bot, draft, &self.entropy)?;
            writes.push(Write::Bot(Box::new(published)));
            writes.extend(settled(book, &asked.bot, edit, BOT_SECRETS)?);
        }
        for (id, draft) in &asked.channels {
            let Some(row) = book.registry.channels.get(&ChannelId::from(id.as_str())) else {
                continue;
            };
            let plain = copies::plain(draft, CHANNEL_SECRETS)?;
            let draft_with = copies::with(plain, &given(sealed, id))?;
            let mut channel = copies::revive_channel(row, draft_with, &self.entropy)?;
            channel.state = match row.state {
                // An admin's stop is lifted by an admin, by name.
                ChannelState::Suspended => ChannelState::Suspended,
                ChannelState::Draft
                | ChannelState::AwaitingApproval
                | ChannelState::Rejected
                | ChannelState::Live
                | ChannelState::Disabled => ChannelState::Live,
            };
            super::channels::free(book, &channel)?;
            for child in inherit::children(book, &bot_id)? {
                writes.extend(inherit::one(book, &channel, &child, &self.entropy)?);
            }
            writes.push(Write::Channel { channel: Box::new(channel), enable: true });
            writes.extend(settled(book, id, draft, CHANNEL_SECRETS)?);
        }
        for row in left_out(book, asked) {
            let channel = Box::new(Channel { state: ChannelState::Disabled, ..row.clone() });
            writes.push(Write::Channel { channel, enable: false });
        }
        Ok(writes)
    }

    /// A request that is open.
    pub async fn request(&self, id: &str) -> Result<RequestView, Problem> {
        let book = self.book().await?;
        if let Some(kept) = book.record(Kind::Request, id) {
            return view(&book, id, &book::body(kept)?, &book::sealed(kept)?);
        }
        let kept = self.store.record(Kind::Decided, id).await?;
        let kept = kept.ok_or_else(|| Problem::missing("request", id))?;
        view(&book, id, &book::body(&kept)?, &Map::new())
    }

    /// Requests that are open, oldest first.
    pub async fn open_requests(&self) -> Result<Vec<RequestView>, Problem> {
        let book = self.book().await?;
        book.all(Kind::Request).map(|kept| open_view(&book, kept)).collect()
    }

    /// Requests that were decided, newest first, those below `before`.
    pub async fn decided_requests(
        &self,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RequestView>, Problem> {
        let book = self.book().await?;
        let kept = self.store.records(Kind::Decided, before, limit).await?;
        kept.iter().map(|kept| view(&book, &kept.id, &book::body(kept)?, &Map::new())).collect()
    }
}

fn record(
    kind: Kind,
    id: &str,
    asked: &Asked,
    sealed: Option<SecretString>,
) -> Result<Record, Problem> {
    let body = serde_json::to_string(asked).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(Record { kind, id: id.to_owned(), body, sealed })
}

fn open_of(book: &Book, bot: &str) -> Result<Option<String>, Problem> {
    for kept in book.all(Kind::Request) {
        if book::body::<Asked>(kept)?.bot == bot {
            return Ok(Some(kept.id.clone()));
        }
    }
    Ok(None)
}

/// An open request as it is shown.
pub fn open_view(book: &Book, kept: &Record) -> Result<RequestView, Problem> {
    view(book, &kept.id, &book::body(kept)?, &book::sealed(kept)?)
}

/// The ids of the channels that an open request asks for.
pub fn asked_for(book: &Book) -> Result<BTreeSet<String>, Problem> {
    let mut all = BTreeSet::new();
    for kept in book.all(Kind::Request) {
        all.extend(book::body::<Asked>(kept)?.channels.into_keys());
    }
    Ok(all)
}

fn given(sealed: &Map<String, Value>, id: &str) -> Map<String, Value> {
    sealed.get(id).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The channels that run now and are not to run any more.
fn left_out<'b>(book: &'b Book, asked: &'b Asked) -> impl Iterator<Item = &'b Channel> {
    let of_bot = book.channels(&BotId::from(asked.bot.as_str()));
    of_bot.iter().map(AsRef::as_ref).filter(|channel| {
        channel.state == ChannelState::Live && !asked.channels.contains_key(channel.id.as_str())
    })
}

/// The channels that waited for this answer.
fn answered(book: &Book, asked: &Asked, action: ChannelAction) -> Vec<Write> {
    let rows = asked.channels.keys().filter_map(|id| {
        let row = book.registry.channels.get(&ChannelId::from(id.as_str()))?;
        let state = row.state.after(action).ok()?;
        let channel = Box::new(Channel { state, ..row.as_ref().clone() });
        Some(Write::Channel { channel, enable: false })
    });
    rows.collect()
}

/// An edit goes when it is what was published, and stays when somebody went on editing.
fn settled(
    book: &Book,
    id: &str,
    published: &impl Serialize,
    secrets: &[&str],
) -> Result<Option<Write>, Problem> {
    let Some(edit) = book.record(Kind::Edit, id) else { return Ok(None) };
    let same = book::body::<Map<String, Value>>(edit)? == copies::plain(published, secrets)?;
    Ok(same.then(|| Write::RemoveRecord(Kind::Edit, id.to_owned())))
}

//! Channels: made, changed, acted on, removed.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::registry::Channel;
use shared::registry::control::{Kind, Write};
use shared::store::Store;

use super::actor::{Actor, Scope};
use super::book::{self, Book};
use super::bots::{fixed, secrets_of};
use super::copies::{self, CHANNEL_SECRETS};
use super::decide::{Log, Plan};
use super::drafts::ChannelDraft;
use super::execute::Desk;
use super::problem::Problem;
use super::publish::Asked;
use super::views::ChannelView;
use super::{back, etag, find, validate};
use crate::ids;

impl<S: Store> Desk<S> {
    /// Adds a channel in the state that it is given: a draft, or awaiting approval. `approve` in the draft
    /// lets it go live at once.
    pub async fn add_channel(
        &self,
        actor: &Actor,
        draft: &ChannelDraft,
        state: ChannelState,
    ) -> Result<ChannelView, Problem> {
        actor.need(if draft.approve { Scope::Approve } else { Scope::Configure })?;
        if draft.approve && self.two_person && !actor.is_local() {
            return Err(Problem::forbidden("two people are needed: another approves it"));
        }
        let made = draft.signing_secret.is_none();
        // Made once, so that what is decided anew is the same channel.
        let id = draft.id.clone().unwrap_or_else(|| ids::channel(&self.entropy).to_string());
        let draft = ChannelDraft { id: Some(id.clone()), ..draft.clone() };
        let added = self
            .decide(actor, |book| {
                let bot = find::bot(&book.registry, &draft.bot)?.id.clone();
                let client = find::app(&book.registry, &draft.app)?.client_id.clone();
                let mut channel = validate::channel(&draft, bot, client, &self.entropy)?;
                if !draft.approve {
                    channel.state = state;
                }
                if book.registry.channels.contains_key(&channel.id) {
                    return Err(Problem::conflict(format!("there is a channel {id} already")));
                }
                free(book, &channel)?;
                let log = Log::new("channel.add", id.as_str(), told(&channel)?);
                let writes = vec![Write::AddChannel(Box::new(channel.clone()))];
                let secrets = ChannelView::of(&channel, &self.host_url, made);
                Ok(Plan { writes, log: vec![log], answer: secrets })
            })
            .await?;
        self.located(added).await
    }

    /// The store gave a new channel its ordinal, and with it the URL.
    pub(super) async fn located(&self, view: ChannelView) -> Result<ChannelView, Problem> {
        let book = self.book().await?;
        let Ok(row) = find::channel(&book.registry, &view.webhook_id) else { return Ok(view) };
        let now = ChannelView::of(&row, &self.host_url, false);
        Ok(ChannelView { ordinal: now.ordinal, url: now.url, ..view })
    }

    /// Changes what is edited; what runs stays until that is approved.
    pub async fn change_channel(
        &self,
        actor: &Actor,
        name: &str,
        patch: &Map<String, Value>,
        expected: Option<&str>,
    ) -> Result<ChannelView, Problem> {
        actor.need(Scope::Configure)?;
        fixed(patch, &["id", "bot", "approve"])?;
        self.decide(actor, |book| {
            let row = find::channel(&book.registry, name)?;
            etag::check(expected, &self.channel_view(book, &row)?)?;
            let edited = copies::channel(book, &row, &self.entropy)?;
            let mut plain = copies::plain(&back::channel(&edited.value), CHANNEL_SECRETS)?;
            let before = plain.clone();
            let mut given = edited.given.clone();
            if patch.get("post_url") == Some(&Value::Null) {
                // Back to synchronous: everything of the endpoint goes.
                for word in ["token_header", "retry", "jitter", "post_deadline", "post_permits"] {
                    plain.shift_remove(word);
                }
                given.clear();
            }
            copies::merge(&mut plain, &mut given, patch, CHANNEL_SECRETS);
            let new_endpoint = row.endpoint.is_none() && !given.contains_key("signing_secret");
            if plain.contains_key("post_url") && new_endpoint {
                let secret = ids::signing_secret(&self.entropy);
                given.insert("signing_secret".to_owned(), secret.expose_secret().into());
            }
            let mut draft: ChannelDraft = copies::with(plain.clone(), &given)?;
            draft.app = find::app(&book.registry, &draft.app)?.client_id.to_string();
            let channel = copies::revive_channel(&row, draft, &self.entropy)?;
            free(book, &channel)?;
            let waits = copies::edits_wait(row.state);
            let write = if waits {
                let draft = back::channel(&channel);
                let record = copies::edit(row.id.as_str(), &draft, CHANNEL_SECRETS, &given)?;
                Write::Record { record, expires: None }
            } else {
                Write::Channel { channel: Box::new(channel.clone()), enable: false }
            };
            let secrets = secrets_of(patch, CHANNEL_SECRETS);
            let detail = json!({"before": before, "after": plain, "secrets": secrets});
            let log = vec![Log::new("channel.change", row.id.as_str(), detail)];
            let shown = new_endpoint && !patch.contains_key("signing_secret");
            let mut answer = ChannelView::of(&channel, &self.host_url, shown);
            answer.unpublished = waits;
            Ok(Plan { writes: vec![write], log, answer })
        })
        .await
    }

    /// A channel as it is edited.
    pub fn channel_view(&self, book: &Book, row: &Channel) -> Result<ChannelView, Problem> {
        let edited = copies::channel(book, row, &self.entropy)?;
        let mut view = ChannelView::of(&edited.value, &self.host_url, false);
        view.unpublished = edited.differs;
        Ok(view)
    }

    /// Approves, rejects or suspends one channel by itself.
    pub async fn act(
        &self,
        actor: &Actor,
        name: &str,
        action: ChannelAction,
    ) -> Result<ChannelView, Problem> {
        let own = matches!(action, ChannelAction::Submit | ChannelAction::Withdraw);
        actor.need(if own { Scope::Configure } else { Scope::Approve })?;
        if action == ChannelAction::Approve && self.two_person && !actor.is_local() {
            let words = "two people are needed: publish its bot, and let another approve that";
            return Err(Problem::forbidden(words));
        }
        self.decide(actor, |book| {
            let row = find::channel(&book.registry, name)?;
            let refused = |refusal: shared::domain::channel::NotAllowed| {
                Problem::conflict(refusal.to_string())
            };
            let state = row.state.after(action).map_err(refused)?;
            nothing_beside(book, &row, action)?;
            let channel = Channel { state, ..row.as_ref().clone() };
            let detail = json!({"before": row.state.as_str(), "after": state.as_str()});
            let log = vec![Log::new(word(action), row.id.as_str(), detail)];
            // An approval clears what a 410 has set.
            let enable = action == ChannelAction::Approve;
            let mut shown = channel.clone();
            if let Some(endpoint) = &mut shown.endpoint {
                endpoint.disabled &= !enable;
            }
            let answer = ChannelView::of(&shown, &self.host_url, false);
            let writes = vec![Write::Channel { channel: Box::new(channel), enable }];
            Ok(Plan { writes, log, answer })
        })
        .await
    }

    /// Gives the endpoint a new signing secret, at once. It is shown this once.
    pub async fn rotate_signing(&self, actor: &Actor, name: &str) -> Result<ChannelView, Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let row = find::channel(&book.registry, name)?;
            let mut channel = row.as_ref().clone();
            let Some(endpoint) = &mut channel.endpoint else {
                return Err(Problem::conflict("a synchronous channel has no signing secret"));
            };
            endpoint.signing_secret = ids::signing_secret(&self.entropy);
            let log = vec![Log::new("channel.rotate_signing", row.id.as_str(), Value::Null)];
            let answer = ChannelView::of(&channel, &self.host_url, true);
            let writes = vec![Write::Channel { channel: Box::new(channel), enable: false }];
            Ok(Plan { writes, log, answer })
        })
        .await
    }

    /// Removes a channel for good. One that was ever published needs who may approve.
    pub async fn remove_channel(
        &self,
        actor: &Actor,
        name: &str,
        expected: Option<&str>,
    ) -> Result<(), Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            let row = find::channel(&book.registry, name)?;
            if row.state.is_published() {
                actor.need(Scope::Approve)?;
            }
            etag::check(expected, &self.channel_view(book, &row)?)?;
            let id = row.id.to_string();
            let log = vec![Log::new("channel.remove", id.as_str(), told(&row)?)];
            let writes = vec![
                Write::RemoveRecord(Kind::Edit, id.clone()),
                Write::RemoveRecord(Kind::Inherited, id),
                Write::RemoveChannel(row.id.clone()),
            ];
            Ok(Plan { writes, log, answer: () })
        })
        .await
    }
}

const fn word(action: ChannelAction) -> &'static str {
    match action {
        ChannelAction::Submit => "channel.submit",
        ChannelAction::Withdraw => "channel.withdraw",
        ChannelAction::Approve => "channel.approve",
        ChannelAction::Reject => "channel.reject",
        ChannelAction::Suspend => "channel.suspend",
        ChannelAction::Disable => "channel.disable",
    }
}

/// For the audit log.
fn told(channel: &Channel) -> Result<Value, Problem> {
    let plain = copies::plain(&back::channel(channel), CHANNEL_SECRETS)?;
    Ok(json!({"channel": plain, "state": channel.state.as_str()}))
}

pub(super) fn free(book: &Book, channel: &Channel) -> Result<(), Problem> {
    let mut others = book.registry.channels.values();
    let taken = others.any(|other| {
        other.bot == channel.bot && other.name == channel.name && other.id != channel.id
    });
    if taken {
        let (bot, name) = (&channel.bot, &channel.name);
        return Err(Problem::conflict(format!(
            "the bot {bot} has a channel named {name:?} already"
        )));
    }
    Ok(())
}

/// What is decided of one channel by itself must be what is shown of it: not what waits beside it, and not a
/// part of what a request asks for, which would stay open over something else. One that was approved before
/// comes back as it was, whatever is edited beside it: ending an emergency must not wait for a draft.
fn nothing_beside(book: &Book, row: &Channel, action: ChannelAction) -> Result<(), Problem> {
    if action == ChannelAction::Approve && !row.state.is_published() {
        let edited = |id| book.record(Kind::Edit, id).is_some();
        if edited(row.id.as_str()) || edited(row.bot.as_str()) {
            let words = "an edit waits beside it: publish its bot, and approve that";
            return Err(Problem::conflict(words));
        }
    }
    if action == ChannelAction::Reject {
        for record in book.all(Kind::Request) {
            let asked: Asked = book::body(record)?;
            if asked.decision.is_none() && asked.channels.contains_key(row.id.as_str()) {
                let words = format!("request {} asks for it: reject that", record.id);
                return Err(Problem::conflict(words));
            }
        }
    }
    Ok(())
}

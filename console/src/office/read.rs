//! What is looked at.

use shared::domain::ids::{ConversationKey, UserId};
use shared::registry::control::Audited;
use shared::store::Store;

use super::actor::{Actor, Scope};
use super::execute::Desk;
use super::problem::Problem;
use super::views::{AppView, AuditView, BotView, ChannelView, Wire};
use super::{Request, Response, find, token};

/// How long the token of a conversation by hand is valid.
const HAND_MS: u64 = 3_600_000;
/// Requests that the command line lists.
const DECIDED: u32 = 100;

impl<S: Store> Desk<S> {
    /// Apps, by name.
    pub async fn apps(&self) -> Result<Vec<AppView>, Problem> {
        let book = self.book().await?;
        let apps = book.registry.apps.values();
        let mut apps: Vec<_> = apps.map(|app| AppView::of(app, false)).collect();
        apps.sort_by(|a, b| (&a.name, &a.client_id).cmp(&(&b.name, &b.client_id)));
        Ok(apps)
    }

    pub async fn app(&self, name: &str) -> Result<AppView, Problem> {
        let book = self.book().await?;
        Ok(AppView::of(find::app(&book.registry, name)?.as_ref(), false))
    }

    /// Bots as they are edited, by name.
    pub async fn bots(&self) -> Result<Vec<BotView>, Problem> {
        let book = self.book().await?;
        let bots = book.registry.bots.values();
        let mut bots: Vec<_> =
            bots.map(|bot| self.bot_view(&book, bot)).collect::<Result<_, _>>()?;
        bots.sort_by(|a, b| (&a.name, &a.bot_id).cmp(&(&b.name, &b.bot_id)));
        Ok(bots)
    }

    pub async fn bot(&self, name: &str) -> Result<BotView, Problem> {
        let book = self.book().await?;
        self.bot_view(&book, find::bot(&book.registry, name)?.as_ref())
    }

    /// Channels as they are edited, by bot and ordinal.
    pub async fn channels(&self, bot: Option<&str>) -> Result<Vec<ChannelView>, Problem> {
        let book = self.book().await?;
        let bot = bot.map(|name| find::bot(&book.registry, name)).transpose()?;
        let channels = book.registry.channels.values();
        let mut channels: Vec<_> = channels
            .filter(|channel| bot.as_ref().is_none_or(|bot| bot.id == channel.bot))
            .map(|channel| self.channel_view(&book, channel))
            .collect::<Result<_, _>>()?;
        channels.sort_by(|a, b| (&a.bot_id, a.ordinal).cmp(&(&b.bot_id, b.ordinal)));
        Ok(channels)
    }

    pub async fn channel(&self, name: &str) -> Result<ChannelView, Problem> {
        let book = self.book().await?;
        self.channel_view(&book, find::channel(&book.registry, name)?.as_ref())
    }

    /// The audit log, newest first, those below `before`.
    pub async fn audit(
        &self,
        actor: &Actor,
        subject: Option<&str>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditView>, Problem> {
        actor.need(Scope::Administer)?;
        let entries = self.store.audit(subject, before, limit).await?;
        Ok(entries.into_iter().map(told).collect())
    }

    /// One user on one channel.
    pub(super) async fn conversation(
        &self,
        channel: &str,
        user: &str,
    ) -> Result<ConversationKey, Problem> {
        let book = self.book().await?;
        let channel = find::channel(&book.registry, channel)?.id.clone();
        Ok(ConversationKey::new(channel, UserId::from(user)))
    }

    pub(super) async fn read(&self, actor: &Actor, request: Request) -> Result<Response, Problem> {
        Ok(match request {
            Request::Apps => Response::Apps(self.apps().await?),
            Request::App { name } => Response::App(self.app(&name).await?),
            Request::Bots => Response::Bots(self.bots().await?),
            Request::Bot { name } => Response::Bot(self.bot(&name).await?),
            Request::Channels { bot } => Response::Channels(self.channels(bot.as_deref()).await?),
            Request::Channel { name } => Response::Channel(self.channel(&name).await?),
            Request::Placeholders { bot } => {
                Response::Placeholders(self.placeholders(bot.as_deref()).await?)
            }
            Request::Requests { decided: false } => Response::Requests(self.open_requests().await?),
            Request::Requests { decided: true } => {
                Response::Requests(self.decided_requests(None, DECIDED).await?)
            }
            Request::ShowRequest { id } => Response::Request(self.request(&id).await?),
            Request::Operators => Response::Operators(self.operators().await?),
            Request::ApiTokens => Response::ApiTokens(self.api_tokens(actor).await?),
            Request::Audit { subject, limit } => Response::Audit(
                self.audit(actor, subject.as_deref(), None, limit.min(1_000)).await?,
            ),
            Request::Token { ask } => {
                let book = self.book().await?;
                Response::Token(token::token(&book.registry, &ask, self.clock.unix_ms())?)
            }
            Request::Wire { channel } => Response::Wire(self.wire(&channel).await?),
            _ => return Err(Problem::invalid("this operation is not known here")),
        })
    }

    async fn wire(&self, name: &str) -> Result<Wire, Problem> {
        let book = self.book().await?;
        let channel = find::channel(&book.registry, name)?;
        let app = find::app(&book.registry, channel.client.as_str())?;
        let now = self.clock.unix_ms();
        let token = token::mint(&app, "switchhook-send", Some(HAND_MS), now)?.token;
        Ok(Wire {
            host_url: self.host_url.clone(),
            path: channel.path(),
            bot_id: channel.bot.to_string(),
            is_async: channel.endpoint.is_some(),
            token,
        })
    }
}

fn told(Audited { entry, at_ms }: Audited) -> AuditView {
    AuditView {
        entry_id: entry.id,
        at_ms,
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: serde_json::from_str(&entry.detail).unwrap_or_default(),
    }
}

//! Carries requests out on a store.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use shared::clock::Clock;
use shared::domain::channel::ChannelAction;
use shared::domain::ids::{ChannelId, ConversationKey, UserId};
use shared::entropy::Entropy;
use shared::store::Store;

use super::actor::Actor;
use super::decide::Copy;
use super::problem::Problem;
use super::views::{AppView, BotView, ChannelView, Wire};
use super::{Request, Response, apply, find, token, validate};

/// How long the token of a conversation by hand is valid.
const HAND_MS: u64 = 3_600_000;

/// Who carries them out.
#[derive(Clone)]
pub struct Desk<S> {
    pub store: S,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Where clients reach ingress, without a slash at its end.
    pub host_url: String,
    pub(super) copy: Arc<ArcSwapOption<Copy>>,
}

impl<S> Desk<S> {
    pub fn new(store: S, clock: Clock, entropy: Entropy, host_url: String) -> Self {
        Self { store, clock, entropy, host_url, copy: Arc::default() }
    }
}

impl Request {
    /// Whether every process has to read the registry again afterwards.
    pub const fn changes_registry(&self) -> bool {
        matches!(
            self,
            Self::AddApp { .. }
                | Self::ChangeApp { .. }
                | Self::Rotate { .. }
                | Self::RemoveApp { .. }
                | Self::AddBot { .. }
                | Self::AddChannel { .. }
                | Self::Approve { .. }
                | Self::Suspend { .. }
                | Self::Apply { .. }
        )
    }
}

impl<S: Store> Desk<S> {
    pub async fn execute(&self, request: Request) -> Response {
        match self.done(request).await {
            Ok(response) => response,
            Err(problem) => Response::Refused(problem.words),
        }
    }

    async fn done(&self, request: Request) -> Result<Response, Problem> {
        let actor = &Actor::command_line();
        Ok(match request {
            Request::AddApp { draft } => Response::App(self.add_app(actor, &draft).await?),
            Request::ChangeApp { name, patch } => {
                Response::App(self.change_app(actor, &name, &patch, None).await?)
            }
            Request::Rotate { name, rotation } => {
                Response::App(self.rotate(actor, &name, &rotation).await?)
            }
            Request::RemoveApp { name } => {
                self.remove_app(actor, &name, None).await?;
                Response::Done
            }
            Request::AddBot { draft } => {
                let bot = validate::bot(&draft, &self.entropy)?;
                let registry = self.store.registry().await?;
                if registry.bots.values().any(|other| other.name == bot.name) {
                    return Err(format!("a bot is named {:?} already", bot.name).into());
                }
                self.store.add_bot(&bot).await?;
                Response::Bot(BotView::of(&bot))
            }
            Request::AddChannel { draft } => {
                let registry = self.store.registry().await?;
                let bot = find::bot(&registry, &draft.bot)?.id.clone();
                let client = find::app(&registry, &draft.app)?.client_id.clone();
                let mut channel = validate::channel(&draft, bot, client, &self.entropy)?;
                channel.ordinal = self.store.add_channel(&channel).await?;
                let made_secret = draft.signing_secret.is_none();
                Response::Channel(ChannelView::of(&channel, &self.host_url, made_secret))
            }
            Request::Approve { name } => self.act(&name, ChannelAction::Approve).await?,
            Request::Suspend { name } => self.act(&name, ChannelAction::Suspend).await?,
            Request::Apply { file } => {
                Response::Applied(apply::apply(&self.store, &file, &self.entropy).await?)
            }
            Request::Erase { channel, user } => {
                let (channel, user) = self.whom(&channel, &user).await?;
                Response::Rows(self.store.erase(&channel, &user).await?)
            }
            Request::Redrive { channel, user } => {
                let (channel, user) = self.whom(&channel, &user).await?;
                let conversation = ConversationKey::new(channel, user).id();
                Response::Rows(self.store.redrive(conversation).await?)
            }
            reading => self.read(reading).await?,
        })
    }

    async fn read(&self, request: Request) -> Result<Response, Problem> {
        let registry = self.store.registry().await?;
        Ok(match request {
            Request::Apps => {
                let mut apps: Vec<_> =
                    registry.apps.values().map(|app| AppView::of(app, false)).collect();
                apps.sort_by(|a, b| a.name.cmp(&b.name));
                Response::Apps(apps)
            }
            Request::App { name } => {
                Response::App(AppView::of(find::app(&registry, &name)?.as_ref(), false))
            }
            Request::Bots => {
                let mut bots: Vec<_> = registry.bots.values().map(|bot| BotView::of(bot)).collect();
                bots.sort_by(|a, b| a.name.cmp(&b.name));
                Response::Bots(bots)
            }
            Request::Bot { name } => {
                Response::Bot(BotView::of(find::bot(&registry, &name)?.as_ref()))
            }
            Request::Channels { bot } => {
                let bot = bot.map(|name| find::bot(&registry, &name)).transpose()?;
                let of_bot = |channel: &shared::registry::Channel| {
                    bot.as_ref().is_none_or(|bot| bot.id == channel.bot)
                };
                let mut channels: Vec<_> = registry
                    .channels
                    .values()
                    .filter(|channel| of_bot(channel))
                    .map(|channel| ChannelView::of(channel, &self.host_url, false))
                    .collect();
                channels.sort_by(|a, b| (&a.bot_id, a.ordinal).cmp(&(&b.bot_id, b.ordinal)));
                Response::Channels(channels)
            }
            Request::Channel { name } => {
                let channel = find::channel(&registry, &name)?;
                Response::Channel(ChannelView::of(&channel, &self.host_url, false))
            }
            Request::Token { ask } => {
                Response::Token(token::token(&registry, &ask, self.clock.unix_ms())?)
            }
            Request::Wire { channel } => {
                let channel = find::channel(&registry, &channel)?;
                let app = find::app(&registry, channel.client.as_str())?;
                let now = self.clock.unix_ms();
                let token = token::mint(&app, "switchhook-send", Some(HAND_MS), now)?.token;
                Response::Wire(Wire {
                    host_url: self.host_url.clone(),
                    path: channel.path(),
                    bot_id: channel.bot.to_string(),
                    is_async: channel.endpoint.is_some(),
                    token,
                })
            }
            _ => return Err("this operation is not known here".to_owned().into()),
        })
    }

    async fn act(&self, name: &str, action: ChannelAction) -> Result<Response, Problem> {
        let registry = self.store.registry().await?;
        let id = find::channel(&registry, name)?.id.clone();
        self.store.act(&id, action).await?;
        let registry = self.store.registry().await?;
        let channel = find::channel(&registry, id.as_str())?;
        Ok(Response::Channel(ChannelView::of(&channel, &self.host_url, false)))
    }

    async fn whom(&self, channel: &str, user: &str) -> Result<(ChannelId, UserId), Problem> {
        let registry = self.store.registry().await?;
        Ok((find::channel(&registry, channel)?.id.clone(), user.into()))
    }
}

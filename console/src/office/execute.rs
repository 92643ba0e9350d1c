//! The desk: who carries requests out, on a store; and what the command line asks for, one by one.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use shared::clock::Clock;
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::entropy::Entropy;
use shared::registry::control::Resealed;
use shared::store::Store;
use tokio::sync::Mutex;

use super::actor::{Actor, Scope};
use super::decide::{Copy, Log, Once};
use super::problem::Problem;
use super::views::ResealedView;
use super::{Request, Response};

/// Replays that the command line lists.
const REPLAYS: u32 = 100;

/// Who carries them out.
#[derive(Clone)]
pub struct Desk<S> {
    pub store: S,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Where clients reach ingress, without a slash at its end.
    pub host_url: String,
    /// Whether who asks for something may not be who approves it.
    pub two_person: bool,
    /// What makes a repeat of this one request the same request.
    pub once: Option<Once>,
    pub(super) copy: Arc<ArcSwapOption<Copy>>,
    /// Held by who reads everything.
    pub(super) reading: Arc<Mutex<()>>,
}

impl<S> Desk<S> {
    pub fn new(store: S, clock: Clock, entropy: Entropy, host_url: String) -> Self {
        Self {
            store,
            clock,
            entropy,
            host_url,
            two_person: false,
            once: None,
            copy: Arc::default(),
            reading: Arc::default(),
        }
    }

    #[must_use]
    pub fn with_two_people(self, two_person: bool) -> Self {
        Self { two_person, ..self }
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
                | Self::ChangeBot { .. }
                | Self::Parent { .. }
                | Self::RemoveBot { .. }
                | Self::Import { .. }
                | Self::Associate { .. }
                | Self::AddChannel { .. }
                | Self::ChangeChannel { .. }
                | Self::Approve { .. }
                | Self::Suspend { .. }
                | Self::RotateSigning { .. }
                | Self::RemoveChannel { .. }
                | Self::Judge { .. }
                | Self::Publish { .. }
                | Self::Apply { .. }
        )
    }
}

impl<S: Store> Desk<S> {
    /// Carries out what the command line asks for.
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
            Request::RemoveApp { name } => done(self.remove_app(actor, &name, None).await)?,
            Request::AddBot { draft } => Response::Bot(self.add_bot(actor, &draft).await?),
            Request::ChangeBot { name, patch } => {
                Response::Bot(self.change_bot(actor, &name, &patch, None).await?)
            }
            Request::Parent { name, of } => {
                Response::Bot(self.set_parent(actor, &name, of.as_deref()).await?)
            }
            Request::RemoveBot { name } => done(self.remove_bot(actor, &name, None).await)?,
            Request::Export { name } => Response::Document(self.export(&name).await?),
            Request::Import { document, name } => {
                Response::Imported(self.import(actor, &document, name.as_deref()).await?)
            }
            Request::Associate { id, with } => {
                Response::Channel(self.associate(actor, &id, &with).await?)
            }
            Request::Apply { file, rehearse } => {
                Response::Applied(self.apply(actor, &file, rehearse).await?)
            }
            request => self.done_to_channels(actor, request).await?,
        })
    }

    async fn done_to_channels(&self, actor: &Actor, request: Request) -> Result<Response, Problem> {
        Ok(match request {
            Request::AddChannel { draft } => {
                // On the command line one step: to add a channel is to ask for its approval.
                let state = ChannelState::AwaitingApproval;
                Response::Channel(self.add_channel(actor, &draft, state).await?)
            }
            Request::ChangeChannel { name, patch } => {
                Response::Channel(self.change_channel(actor, &name, &patch, None).await?)
            }
            Request::Approve { name } => {
                Response::Channel(self.act(actor, &name, ChannelAction::Approve).await?)
            }
            Request::Suspend { name } => {
                Response::Channel(self.act(actor, &name, ChannelAction::Suspend).await?)
            }
            Request::RotateSigning { name } => {
                Response::Channel(self.rotate_signing(actor, &name).await?)
            }
            Request::RemoveChannel { name } => done(self.remove_channel(actor, &name, None).await)?,
            Request::Publish { bot, draft } => {
                Response::Request(self.publish(actor, &bot, &draft).await?)
            }
            Request::Judge { id, verdict, why } => {
                Response::Request(self.judge(actor, &id, verdict, &why).await?)
            }
            Request::Erase { channel, user } => {
                Response::Rows(self.erase(actor, &channel, &user).await?)
            }
            Request::Redrive { channel, user } => {
                Response::Rows(self.redrive(actor, &channel, &user).await?)
            }
            request => self.done_to_deliveries(actor, request).await?,
        })
    }

    async fn done_to_deliveries(
        &self,
        actor: &Actor,
        request: Request,
    ) -> Result<Response, Problem> {
        Ok(match request {
            Request::Resend { turn, message } => {
                Response::Replay(self.resend(actor, &turn, &message.to_string()).await?)
            }
            Request::Replay { ask } => Response::Replay(self.add_replay(actor, &ask).await?),
            Request::Count { ask } => Response::Rows(self.count_deliveries(actor, &ask).await?),
            Request::Replays => Response::Replays(self.replays(actor, None, REPLAYS).await?.items),
            Request::ReplayProgress { id } => Response::Replay(self.replay(actor, &id).await?),
            Request::CancelReplay { id } => Response::Replay(self.cancel_replay(actor, &id).await?),
            request => self.done_to_operators(actor, request).await?,
        })
    }

    async fn done_to_operators(
        &self,
        actor: &Actor,
        request: Request,
    ) -> Result<Response, Problem> {
        Ok(match request {
            Request::AddOperator { draft } => {
                Response::Operator(self.add_operator(actor, &draft).await?)
            }
            Request::ChangeOperator { name, patch } => {
                Response::Operator(self.change_operator(actor, &name, &patch).await?)
            }
            Request::RemoveOperator { name } => done(self.remove_operator(actor, &name).await)?,
            Request::AddApiToken { draft } => {
                Response::ApiToken(self.add_api_token(actor, &draft).await?)
            }
            Request::Reseal => Response::Resealed(self.reseal(actor).await?),
            Request::RemoveApiToken { id } => done(self.remove_api_token(actor, &id).await)?,
            reading => self.read(actor, reading).await?,
        })
    }

    /// Removes what is known of a user on a channel. The audit log does not say of whom.
    pub async fn erase(&self, actor: &Actor, channel: &str, user: &str) -> Result<u64, Problem> {
        actor.need(Scope::Operate)?;
        let conversation = self.conversation(channel, user).await?;
        let rows = self.store.erase(&conversation.channel, &conversation.user).await?;
        let subject = conversation.id().uuid().simple().to_string();
        self.note(actor, Log::new("user.erase", subject, serde_json::json!({"rows": rows})))
            .await?;
        Ok(rows)
    }

    /// Seals every secret with the vault's current key, so that earlier ones can be given up.
    pub async fn reseal(&self, actor: &Actor) -> Result<ResealedView, Problem> {
        actor.need(Scope::Administer)?;
        let Resealed { secrets, resealed } = self.store.reseal().await?;
        let view = ResealedView { secrets, resealed };
        self.note(actor, Log::new("vault.reseal", "vault", serde_json::json!(view))).await?;
        Ok(view)
    }

    /// Puts the parked deliveries of a conversation back, in their old order, at its end.
    pub async fn redrive(&self, actor: &Actor, channel: &str, user: &str) -> Result<u64, Problem> {
        actor.need(Scope::Operate)?;
        let conversation = self.conversation(channel, user).await?.id();
        let rows = self.store.redrive(conversation).await?;
        let subject = conversation.uuid().simple().to_string();
        let log = Log::new("delivery.redrive", subject, serde_json::json!({"rows": rows}));
        self.note(actor, log).await?;
        Ok(rows)
    }
}

fn done(result: Result<(), Problem>) -> Result<Response, Problem> {
    result.map(|()| Response::Done)
}

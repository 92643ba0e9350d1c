//! Operations on an installation: what the command line asks for, whoever carries it out.
//!
//! The same [`Request`] is carried out in this process, on engines that it opens itself, or by a
//! running `up` that holds them, through the socket in its data folder.

pub mod actor;
pub mod analytics;
pub mod apply;
pub mod apps;
pub mod back;
mod beside;
pub mod book;
pub mod bots;
pub mod channels;
mod connectors;
pub mod copies;
pub mod decide;
pub mod diff;
pub mod drafts;
pub mod etag;
pub mod exchange;
pub mod execute;
pub mod find;
pub mod first;
pub(crate) mod inherit;
pub mod ledger;
pub mod moment;
mod objects;
pub mod operators;
mod overrides;
pub mod ping;
pub mod problem;
pub mod publish;
pub mod read;
pub mod replays;
mod rsa;
mod schedule;
pub mod scripts;
pub mod sessions;
pub mod token;
pub mod validate;
pub mod views;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use apply::{Line, RegistryFile};
use apps::{AppPatch, Rotation};
use drafts::{AppDraft, BotDraft, ChannelDraft};
use exchange::{Association, Document, Imported, PlaceholderView};
use operators::{ApiTokenDraft, ApiTokenView, OperatorDraft, OperatorPatch, OperatorView};
use publish::{PublishDraft, RequestView, Verdict};
use replays::{ReplayAsk, ReplayView};
use views::{AppView, AuditView, BotView, ChannelView, ResealedView, TokenView, Wire};

/// What is asked for.
#[derive(Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Request {
    AddApp {
        draft: AppDraft,
    },
    Apps,
    App {
        name: String,
    },
    ChangeApp {
        name: String,
        patch: AppPatch,
    },
    Rotate {
        name: String,
        rotation: Rotation,
    },
    RemoveApp {
        name: String,
    },
    AddBot {
        draft: Box<BotDraft>,
    },
    Bots,
    Bot {
        name: String,
    },
    AddChannel {
        draft: ChannelDraft,
    },
    Channels {
        bot: Option<String>,
    },
    Channel {
        name: String,
    },
    ChangeBot {
        name: String,
        patch: Map<String, Value>,
    },
    Parent {
        name: String,
        of: Option<String>,
    },
    RemoveBot {
        name: String,
    },
    Export {
        name: String,
    },
    Import {
        document: Document,
        name: Option<String>,
    },
    Placeholders {
        bot: Option<String>,
    },
    Associate {
        id: String,
        with: Association,
    },
    ChangeChannel {
        name: String,
        patch: Map<String, Value>,
    },
    Approve {
        name: String,
    },
    Suspend {
        name: String,
    },
    RotateSigning {
        name: String,
    },
    RemoveChannel {
        name: String,
    },
    Publish {
        bot: String,
        draft: PublishDraft,
    },
    Requests {
        decided: bool,
    },
    ShowRequest {
        id: String,
    },
    Judge {
        id: String,
        verdict: Verdict,
        why: String,
    },
    AddOperator {
        draft: OperatorDraft,
    },
    ChangeOperator {
        name: String,
        patch: OperatorPatch,
    },
    RemoveOperator {
        name: String,
    },
    Operators,
    AddApiToken {
        draft: ApiTokenDraft,
    },
    ApiTokens,
    RemoveApiToken {
        id: String,
    },
    Audit {
        subject: Option<String>,
        limit: u32,
    },
    Apply {
        file: RegistryFile,
        /// Tell what would be done, and do nothing.
        #[serde(default)]
        rehearse: bool,
    },
    Token {
        ask: token::Ask,
    },
    /// What `send` needs to talk to a channel.
    Wire {
        channel: String,
    },
    /// Seals every secret with the vault's current key.
    Reseal,
    Erase {
        channel: String,
        user: String,
    },
    Redrive {
        channel: String,
        user: String,
    },
    Resend {
        turn: String,
        message: u16,
    },
    Replay {
        ask: ReplayAsk,
    },
    /// How many deliveries a replay would send again.
    Count {
        ask: ReplayAsk,
    },
    Replays,
    ReplayProgress {
        id: String,
    },
    CancelReplay {
        id: String,
    },
}

/// What came of it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Response {
    App(AppView),
    Apps(Vec<AppView>),
    Bot(BotView),
    Bots(Vec<BotView>),
    Channel(ChannelView),
    Channels(Vec<ChannelView>),
    Applied(Vec<Line>),
    Token(TokenView),
    Wire(Wire),
    Resealed(ResealedView),
    /// Rows that were touched.
    Rows(u64),
    /// Done, and nothing to tell.
    Done,
    Document(Document),
    Imported(Imported),
    Placeholders(Vec<PlaceholderView>),
    Request(RequestView),
    Requests(Vec<RequestView>),
    Operator(OperatorView),
    Operators(Vec<OperatorView>),
    ApiToken(ApiTokenView),
    ApiTokens(Vec<ApiTokenView>),
    Audit(Vec<AuditView>),
    Replay(ReplayView),
    Replays(Vec<ReplayView>),
    /// It was not done, and why, in words for a person.
    Refused(String),
}

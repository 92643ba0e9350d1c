//! Operations on an installation: what the command line asks for, whoever carries it out.
//!
//! The same [`Request`] is carried out in this process, on engines that it opens itself, or by a
//! running `up` that holds them, through the socket in its data folder.

pub mod actor;
pub mod apply;
pub mod apps;
pub mod decide;
pub mod drafts;
pub mod etag;
pub mod execute;
pub mod find;
pub mod problem;
mod rsa;
pub mod scripts;
pub mod token;
pub mod validate;
pub mod views;

use serde::{Deserialize, Serialize};

use apply::{Line, RegistryFile};
use apps::{AppPatch, Rotation};
use drafts::{AppDraft, BotDraft, ChannelDraft};
use views::{AppView, BotView, ChannelView, TokenView, Wire};

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
        draft: BotDraft,
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
    Approve {
        name: String,
    },
    Suspend {
        name: String,
    },
    Apply {
        file: RegistryFile,
    },
    Token {
        ask: token::Ask,
    },
    /// What `send` needs to talk to a channel.
    Wire {
        channel: String,
    },
    Erase {
        channel: String,
        user: String,
    },
    Redrive {
        channel: String,
        user: String,
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
    /// Rows that were touched.
    Rows(u64),
    /// Done, and nothing to tell.
    Done,
    /// It was not done, and why, in words for a person.
    Refused(String),
}

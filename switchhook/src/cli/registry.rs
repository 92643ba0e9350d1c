//! Apps, bots, channels, and operations on what users left.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::office::{Publish, Set};
use crate::office::drafts::{AppDraft, BotDraft, ChannelDraft, ConnectorDraft, RulesDraft};

#[derive(Subcommand)]
pub(crate) enum App {
    /// Add an app; its secret is shown once.
    Add {
        #[command(flatten)]
        draft: AppDraft,
        /// Read the secret from a file (`-` for standard input) instead of making one.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Read the RSA public key (PEM) of an RS256 or RS512 app from a file.
        #[arg(long, value_name = "FILE")]
        public_key_file: Option<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
    /// List all apps.
    List(Json),
    /// Show one app.
    Show(Named),
    /// Give an app a new secret, shown once; the present one stays good for the overlap.
    Rotate(Rotate),
    /// Change what an app asks of its tokens: what is not given is asked no more.
    Rules {
        /// Its client id or name.
        name: String,
        #[command(flatten)]
        rules: RulesDraft,
        #[command(flatten)]
        json: Json,
    },
    /// Remove an app that no channel uses.
    Remove(Named),
}

/// `app rotate`.
#[derive(Args)]
pub(crate) struct Rotate {
    /// Its client id or name.
    pub(crate) name: String,
    /// How long the present key stays good beside the new one [default: 24h].
    #[arg(long, value_name = "TIME")]
    pub(crate) overlap: Option<String>,
    /// Another algorithm; the present key then ends at once.
    #[arg(long)]
    pub(crate) algorithm: Option<String>,
    /// Read the new secret from a file (`-` for standard input) instead of making one.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Read the new RSA public key (PEM) from a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Subcommand)]
pub(crate) enum Bot {
    /// Add a bot.
    Add {
        #[command(flatten)]
        draft: Box<BotDraft>,
        /// File of a script (`-` for standard input).
        #[arg(long, value_name = "FILE")]
        script: Option<PathBuf>,
        /// JSON file with what the script finds in `env`: an object of texts.
        #[arg(long, value_name = "FILE", requires = "script")]
        env_file: Option<PathBuf>,
        /// Read the value of the `Authorization` header, or a connector's key, from a file (`-` for standard
        /// input).
        #[arg(long, value_name = "FILE")]
        authorization_file: Option<PathBuf>,
        /// JSON file with the tools that a connector's model may call: a list.
        #[arg(long, value_name = "FILE", requires = "kind")]
        tools_file: Option<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
    /// Hold conversations of files with a bot, and compare its answers.
    Test(Box<TestBot>),
    /// List all bots.
    List(Json),
    /// Show one bot.
    Show(Named),
    /// Change a bot; what runs stays until it is published and approved.
    Set(Set),
    /// Ask for approval to let a bot run as it is edited, with some of its channels.
    Publish(Publish),
    /// Let a bot inherit the channels that another publishes.
    Parent {
        /// The child, by id or name.
        name: String,
        /// The parent, by id or name; without it the bot inherits no more.
        parent: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Write a bot with its channels as JSON, without secrets.
    Export {
        /// Its id or name.
        #[arg(required_unless_present = "schema")]
        name: Option<String>,
        /// Write the JSON Schema of exported bots instead.
        #[arg(long, conflicts_with = "name")]
        schema: bool,
    },
    /// Make a new bot of an exported one; its channels are placeholders until they get an app.
    Import {
        /// The file.
        file: PathBuf,
        /// Another name.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Remove a bot that has no channels.
    Remove(Named),
}

/// `bot test`.
#[derive(Args)]
pub(crate) struct TestBot {
    /// File of a script.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["http", "kind"])]
    pub(crate) script: Option<PathBuf>,
    /// URL of an HTTP bot.
    #[arg(long, value_name = "URL", conflicts_with = "script")]
    pub(crate) http: Option<String>,
    /// JSON file with what the script finds in `env`: an object of texts.
    #[arg(long, value_name = "FILE", requires = "script")]
    pub(crate) env_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connector: Option<ConnectorDraft>,
    /// Read the value of the `Authorization` header, or a connector's key, from a file (`-` for standard
    /// input).
    #[arg(long, value_name = "FILE")]
    pub(crate) authorization_file: Option<PathBuf>,
    /// JSON file with the tools that a connector's model may call: a list.
    #[arg(long, value_name = "FILE", requires = "kind")]
    pub(crate) tools_file: Option<PathBuf>,
    /// Conversation files (YAML, see docs/scripts.md).
    #[arg(required = true, value_name = "CONVERSATION")]
    pub(crate) conversations: Vec<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Channel {
    /// Add a channel; it awaits approval unless --approve is given.
    Add(Box<AddChannel>),
    /// List all channels.
    List {
        /// Only those of this bot, by id or name.
        #[arg(long)]
        bot: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Show one channel.
    Show(Named),
    /// Let a channel go live, or go live again.
    Approve(Named),
    /// Stop a live channel.
    Suspend(Named),
    /// Change a channel; what runs stays until it is published and approved.
    Set(Set),
    /// Give its endpoint a new signing secret, at once; it is shown this once.
    RotateSigning(Named),
    /// Remove a channel for good.
    Remove(Named),
}

/// `channel add`.
#[derive(Args)]
pub(crate) struct AddChannel {
    #[command(flatten)]
    pub(crate) draft: ChannelDraft,
    /// Read the access token from a file (`-` for standard input).
    #[arg(long, value_name = "FILE")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// JSON file with what is said here instead of the bot's messages, by their keys.
    #[arg(long, value_name = "FILE")]
    pub(crate) overrides_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `apply`.
#[derive(Args)]
pub(crate) struct Apply {
    /// The file, or a folder: all of its files that end in `.toml` (see docs/registry-file.md).
    #[arg(short, long, value_name = "PATH")]
    pub(crate) file: PathBuf,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum Vault {
    /// Encrypt every secret with the first key of keys.vault, so that the others can be given up.
    Reseal(Json),
}

#[derive(Subcommand)]
pub(crate) enum User {
    /// Remove what is known of a user on a channel.
    Erase {
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Subcommand)]
pub(crate) enum Delivery {
    /// Put the parked deliveries of a conversation back, in their old order, at its end.
    Redrive {
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        json: Json,
    },
    /// Send one settled delivery again, at the end of its conversation.
    Resend {
        /// The turn's id.
        turn: String,
        /// Which message of the turn, from 0.
        #[arg(long, default_value_t = 0)]
        message: u16,
        #[command(flatten)]
        json: Json,
    },
    /// Send the deliveries of a channel that were settled in a range of time again, in their old order at the
    /// end of their conversations.
    Replay(Replay),
    /// List replays, newest first.
    Replays(Json),
    /// Show how far a replay is.
    Progress(Named),
    /// Stop a replay; what it has sent stays sent.
    Cancel(Named),
}

/// `delivery replay`.
#[derive(Args)]
pub(crate) struct Replay {
    /// The channel, by id or name.
    #[arg(long)]
    pub(crate) channel: String,
    /// Settled from this moment on: `2026-11-24T10:30`, in UTC.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) from: String,
    /// Settled before this moment, in UTC.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: String,
    /// Only those that are `delivered` or `parked`.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only say how many they are.
    #[arg(long)]
    pub(crate) count: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// One user on one channel: a conversation.
#[derive(Args)]
pub(crate) struct Whom {
    /// The channel, by id or name.
    #[arg(long)]
    pub(crate) channel: String,
    /// The user: `from.id`, exactly.
    #[arg(long)]
    pub(crate) user: String,
}

/// One thing.
#[derive(Args)]
pub(crate) struct Named {
    /// Its id or name; a channel's name may be written BOT/CHANNEL.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// How to print.
#[derive(Args, Clone, Copy)]
pub(crate) struct Json {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

//! Publishing, people and tokens, the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::registry::{Json, Named};

/// `bot publish`.
#[derive(Args)]
pub(crate) struct Publish {
    /// The bot, by id or name.
    pub(crate) bot: String,
    /// Its channels that are to run, comma separated; those that run and are not named stop.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) channels: Vec<String>,
    /// What the approver should know.
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `bot set`, `channel set`.
#[derive(Args)]
pub(crate) struct Set {
    /// Its id or name.
    pub(crate) name: String,
    /// What to change, with the words of a registry file: `deadline=10s`, `connector.model=NAME`; `post_url=`
    /// takes a word out.
    #[arg(required_unless_present = "secret_file", value_name = "WORD=VALUE")]
    pub(crate) words: Vec<String>,
    /// Read a secret of it from a file (`-` for standard input): `access_token=FILE`, `authorization=FILE`.
    #[arg(long, value_name = "WORD=FILE")]
    pub(crate) secret_file: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Subcommand)]
pub(crate) enum Request {
    /// List the requests that await a decision.
    List {
        /// Those that were decided instead, newest first.
        #[arg(long)]
        decided: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Show one, with what it changes of what runs.
    Show(Named),
    /// Let run what it shows.
    Approve(Judged),
    /// Say no.
    Reject(Judged),
    /// Take it back.
    Withdraw(Judged),
}

/// A decision.
#[derive(Args)]
pub(crate) struct Judged {
    /// The request's id.
    pub(crate) id: String,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
    #[command(flatten)]
    pub(crate) json: Json,
}

#[derive(Subcommand)]
pub(crate) enum Placeholder {
    /// List imported channels that have no app yet.
    List(Json),
    /// Give one its app: it becomes a draft of a channel.
    Associate {
        /// Its id.
        id: String,
        /// The app, by client id or name.
        #[arg(long)]
        app: String,
        /// Read the access token from a file (`-` for standard input).
        #[arg(long, value_name = "FILE")]
        access_token_file: Option<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Subcommand)]
pub(crate) enum Operator {
    /// Add an operator; a password that is made is shown once.
    Add {
        /// How they sign in.
        #[arg(long)]
        name: String,
        /// `developer` or `admin`.
        #[arg(long)]
        role: String,
        /// Read the password from a file (`-` for standard input) instead of making one.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
    /// List all operators.
    List(Json),
    /// Lock an operator out.
    Disable(Named),
    /// Let an operator in again.
    Enable(Named),
    /// Remove an operator with all their tokens.
    Remove(Named),
}

#[derive(Subcommand)]
pub(crate) enum ApiToken {
    /// Make a token of the admin API; it is shown once.
    Add {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// Whose it is.
        #[arg(long)]
        operator: String,
        /// What it may, comma separated: read, configure, approve, operate, administer.
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// How long it lives [default: until it is removed].
        #[arg(long, value_name = "TIME")]
        life: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// List all tokens.
    List(Json),
    /// Remove a token: it is refused at once.
    Remove(Named),
}

/// `audit`.
#[derive(Args)]
pub(crate) struct Audit {
    /// Only what was done to this id.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Entries, newest first, at most 1000.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) json: Json,
}

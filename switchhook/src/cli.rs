//! What can be typed. Help texts are for people; nothing is decided here.

pub(crate) mod office;
pub(crate) mod registry;
pub(crate) mod talk;
pub(crate) mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A self-hosted webhook channel for bots.
#[derive(Parser)]
#[command(name = "switchhook", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) engines: Engines,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which installation is meant.
#[derive(Args, Clone, Default)]
pub(crate) struct Engines {
    /// Settings file (TOML).
    #[arg(long, global = true, env = "SWITCHHOOK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the embedded engines and of generated keys.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// RabbitMQ, instead of the embedded broker; goes together with --postgres.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) amqp: Option<String>,
    /// PostgreSQL, instead of the embedded store; goes together with --amqp.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) postgres: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process.
    Up(Up),
    /// Run one room: the HTTP edge.
    Ingress(Room),
    /// Run one room: bot logic.
    Dispatcher(Room),
    /// Run one room: outbound deliveries.
    Deliverer(Room),
    /// Run one room: the admin API.
    Console(Room),
    /// Bring the store's schema up to date.
    Migrate,
    /// Apps: the credentials of clients.
    #[command(subcommand)]
    App(registry::App),
    /// Bots: what answers.
    #[command(subcommand)]
    Bot(registry::Bot),
    /// Channels: webhook instances of bots.
    #[command(subcommand)]
    Channel(registry::Channel),
    /// Requests to publish: what is to run.
    #[command(subcommand)]
    Request(office::Request),
    /// Imported channels that have no app yet.
    #[command(subcommand)]
    Placeholder(office::Placeholder),
    /// Operators: people who sign in.
    #[command(subcommand)]
    Operator(office::Operator),
    /// Tokens of the admin API.
    #[command(subcommand)]
    ApiToken(office::ApiToken),
    /// Who changed what.
    Audit(office::Audit),
    /// Add apps, bots and channels from a file.
    Apply(registry::Apply),
    /// Mint a token for an app.
    Token(talk::Token),
    /// Talk to a channel and wait for the answer.
    Send(talk::Send),
    /// Check the settings and the engines.
    Doctor(Doctor),
    /// Ask a process whether it is alive: for container engines, which may have no other client.
    Healthcheck(watch::Healthcheck),
    /// Tell or change a process's log level, for a while.
    LogLevel(watch::LogLevel),
    /// Watch processes: queues, owners, lanes, outcomes.
    Top(watch::Top),
    /// The number of partitions of the queues: tell it, or change it.
    Partitions(watch::Partitions),
    /// The secrets in the store.
    #[command(subcommand)]
    Vault(registry::Vault),
    /// Operations on users' data.
    #[command(subcommand)]
    User(registry::User),
    /// Operations on parked deliveries.
    #[command(subcommand)]
    Delivery(registry::Delivery),
    /// Measure this build against two yardsticks on this machine.
    Bench(bench::Args),
    /// Every setting, its default and its meaning.
    Settings(Settings),
    /// Become a script host: started by dispatchers, of no use by hand.
    #[command(hide = true)]
    ScriptHost {
        /// Work though the kernel refuses a part of the jail.
        #[arg(long)]
        best_effort: bool,
    },
    /// A completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `up`.
#[derive(Args)]
pub(crate) struct Up {
    /// Address of the webhook endpoint.
    #[arg(
        long,
        value_name = "ADDR",
        help = "Address of the webhook endpoint [default: 127.0.0.1:8080]"
    )]
    pub(crate) listen: Option<String>,
    /// Address of /livez, /readyz and /metrics.
    #[arg(
        long,
        value_name = "ADDR",
        help = "Address of probes and metrics [default: 127.0.0.1:8081]"
    )]
    pub(crate) admin_listen: Option<String>,
    /// Do not make, or run, the demo bot and its receiving endpoint.
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Apply a registry file, or a folder of them, now and after each change of it or of a script that it names.
    #[arg(long, value_name = "PATH")]
    pub(crate) watch: Option<PathBuf>,
}

/// One room.
#[derive(Args)]
pub(crate) struct Room {
    /// Address of the webhook endpoint (ingress), or of the admin API (console).
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Address of probes and metrics.
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin_listen: Option<String>,
}

/// `doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `settings`.
#[derive(Args)]
pub(crate) struct Settings {
    /// Print the table of the README.
    #[arg(long)]
    pub(crate) markdown: bool,
}

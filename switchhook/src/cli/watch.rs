//! Looking at processes that run, through their admin ports.

use clap::{Args, Subcommand};

/// `healthcheck`.
#[derive(Args)]
pub(crate) struct Healthcheck {
    /// Also demand that it is ready for traffic. Not for a probe that restarts what fails it.
    #[arg(long)]
    pub(crate) ready: bool,
    #[command(flatten)]
    pub(crate) port: AdminPort,
}

/// `log-level`.
#[derive(Args)]
pub(crate) struct LogLevel {
    /// `debug`, or several like `dispatcher=trace,shared=debug`; `restore` for what the settings say.
    /// Without it, tells the level.
    #[arg(value_name = "LEVEL")]
    pub(crate) level: Option<String>,
    /// How long it is to hold, up to 24h.
    #[arg(long = "for", value_name = "TIME", default_value = "10min")]
    pub(crate) lasting: String,
    #[command(flatten)]
    pub(crate) port: AdminPort,
}

/// Which process is meant.
#[derive(Args)]
pub(crate) struct AdminPort {
    /// Its admin port, as a URL [default: what `admin.listen` says].
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<url::Url>,
}

/// `top`.
#[derive(Args)]
pub(crate) struct Top {
    /// Admin ports of the processes, as URLs [default: what `admin.listen` says].
    #[arg(long = "url", value_name = "URL", value_delimiter = ',')]
    pub(crate) urls: Vec<url::Url>,
    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(crate) every: String,
    /// Print one frame and end; so it is when the output is no terminal.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) json: super::registry::Json,
}

/// `partitions`.
#[derive(Args)]
pub(crate) struct Partitions {
    #[command(subcommand)]
    pub(crate) command: Option<SetPartitions>,
    #[command(flatten)]
    pub(crate) json: super::registry::Json,
}

#[derive(Subcommand)]
pub(crate) enum SetPartitions {
    /// Change their number, while every process is stopped and nothing is queued.
    Set {
        /// How many.
        partitions: u16,
        /// Processes that were killed lately are certainly gone: do not wait for their leases.
        #[arg(long)]
        gone: bool,
    },
}

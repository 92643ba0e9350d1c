//! Logs. A sentence plus dotted fields (`docs/logs.md`); never bodies, tokens or names of people.
//!
//! The level can be changed while the process runs, for a while ([`LogLevel`]).

mod level;

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, reload};

use crate::config::Log;
pub use level::{Changed, LogLevel, Refused};

/// The target of the lines that tell an outcome: a turn's, an attempt's, a request's that was refused.
/// `log.level = "warn,outcome=info"` keeps them and little else.
pub const OUTCOME: &str = "outcome";

/// Starts logging to standard error. Colours only on a terminal.
pub fn start(settings: &Log) -> anyhow::Result<LogLevel> {
    let filter = EnvFilter::try_new(&settings.level)?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if settings.format == "json" {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))?;
    Ok(LogLevel::new(&settings.level, move |directives| {
        let filter = EnvFilter::try_new(directives).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    }))
}

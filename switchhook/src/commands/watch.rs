//! `healthcheck` and `log-level`: one question to one process.

use bytes::Bytes;
use http::Method;
use shared::config::Settings;
use shared::process::{self, Failure};

use crate::admin::{Admin, page};
use crate::cli::watch::{Healthcheck, LogLevel};
use crate::output;

/// Ends well when the process answers (and, when that is asked for, is ready).
pub(crate) fn healthcheck(settings: &Settings, args: &Healthcheck) -> Result<(), Failure> {
    let path = if args.ready { "/readyz" } else { "/livez" };
    let url = page(args.port.url.as_ref(), settings.admin.listen, path)?;
    let (status, body) = process::block_on(Admin::new()?.ask(Method::GET, url, Bytes::new()))?;
    let body = body.trim_end();
    if status == 200 { output::line(body) } else { Err(Failure::unavailable(body)) }
}

pub(crate) fn log_level(settings: &Settings, args: &LogLevel) -> Result<(), Failure> {
    let mut url = page(args.port.url.as_ref(), settings.admin.listen, "/log-level")?;
    let (method, body) = match args.level.as_deref() {
        None => (Method::GET, ""),
        Some("restore") => (Method::DELETE, ""),
        Some(level) => {
            url.query_pairs_mut().append_pair("for", &args.lasting);
            (Method::PUT, level)
        }
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (status, body) = process::block_on(Admin::new()?.ask(method, url, body))?;
    let body = body.trim_end();
    if status == 200 { output::line(body) } else { Err(Failure::usage(body)) }
}

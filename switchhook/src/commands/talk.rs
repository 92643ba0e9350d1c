//! Tokens.

use std::time::Duration;

use shared::config::Settings;
use shared::config::value::Value as _;
use shared::process::{Failure, block_on};

use crate::cli::talk::Token;
use crate::office::reach::reach;
use crate::office::token::Ask;
use crate::office::{Request, Response};
use crate::output;

pub(crate) fn token(settings: &Settings, args: &Token) -> Result<(), Failure> {
    let valid_ms = match args.expires.as_str() {
        "never" => None,
        text => Some(time("--expires", text)?),
    };
    let ask = Ask {
        app: args.app.clone(),
        sub: args.sub.clone(),
        valid_ms: valid_ms.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        algorithm: args.algorithm.clone(),
    };
    match block_on(reach(settings, Request::Token { ask }))? {
        Response::Token(token) if args.json.json => output::json(&token),
        Response::Token(token) => output::line(&token.token),
        _ => Err(Failure::other("the answer is none to this question")),
    }
}

pub(super) fn time(flag: &str, text: &str) -> Result<Duration, Failure> {
    Duration::parse(text).map_err(|why| Failure::usage(format!("{flag}: {why}")))
}

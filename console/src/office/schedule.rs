//! When a POST is tried again, from the words of a draft.

use std::time::Duration;

use shared::config::value::Value as _;
use shared::domain::retry::{Policy, Spacing, WAIT_MAX};

use super::drafts::ChannelDraft;
use super::validate::Wrong;

pub(super) fn policy(draft: &ChannelDraft, wrong: &mut Wrong) -> Policy {
    let usual = Policy::default();
    let jitter = draft.jitter.unwrap_or(usual.jitter);
    if !(0.0..=1.0).contains(&jitter) {
        wrong.push(format!("jitter: {jitter} is not between 0 and 1"));
    }
    let Some(text) = draft.retry.as_deref() else { return Policy { jitter, ..usual } };
    match spacing(text) {
        Ok(spacing) => Policy { spacing, jitter },
        Err(why) => {
            wrong.push(format!("retry: {why}"));
            usual
        }
    }
}

pub(super) fn spacing(text: &str) -> Result<Spacing, String> {
    let within = |wait: Duration| {
        let limit = "no wait is longer than 24h".to_owned();
        if wait > WAIT_MAX { Err(limit) } else { Ok(wait) }
    };
    let Some(parameters) = text.strip_prefix("exponential:") else {
        let waits = Vec::<Duration>::parse(text)?;
        if waits.len() > 50 {
            return Err("at most 50 waits".to_owned());
        }
        return Ok(Spacing::List(waits.into_iter().map(within).collect::<Result<_, _>>()?));
    };
    let parameters: Vec<&str> = parameters.split(',').map(str::trim).collect();
    let [initial, factor, max, attempts] = parameters[..] else {
        return Err("exponential:INITIAL,FACTOR,MAX,ATTEMPTS".to_owned());
    };
    let factor = f64::parse(factor)?;
    let attempts_max = u32::parse(attempts)?;
    if !(1.0..=100.0).contains(&factor) || !(1..=1000).contains(&attempts_max) {
        return Err("the factor is 1 to 100, the attempts are 1 to 1000".to_owned());
    }
    let initial = within(Duration::parse(initial)?)?;
    let max = within(Duration::parse(max)?)?;
    Ok(Spacing::Exponential { initial, factor, max, attempts_max })
}

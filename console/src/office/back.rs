//! What the registry keeps, back into the drafts that people write: for edits, diffs and exports. Without
//! secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use shared::registry::{Bot, Channel, Logic};

use super::drafts::{BotDraft, ChannelDraft};
use super::{connectors, views};

pub fn bot(bot: &Bot) -> BotDraft {
    let script = match &bot.logic {
        Logic::Script(script) => Some(script),
        Logic::Echo | Logic::Http(_) | Logic::Connector(_) => None,
    };
    let connector = match &bot.logic {
        Logic::Connector(connector) => Some(connectors::draft(connector)),
        Logic::Echo | Logic::Http(_) | Logic::Script(_) => None,
    };
    let (http, deadline, attempts) = match &bot.logic {
        Logic::Echo | Logic::Script(_) | Logic::Connector(_) => (None, None, None),
        Logic::Http(http) => {
            (Some(http.url.to_string()), Some(time(http.deadline)), Some(http.attempts_max))
        }
    };
    let canary = bot.beside.canary.as_ref();
    BotDraft {
        name: bot.name.clone(),
        id: Some(bot.id.to_string()),
        http,
        authorization: None,
        script: None,
        source: script.map(|script| script.source.to_string()),
        source_name: script.map(|script| script.name.clone()),
        env: None,
        restart_dialogs: script.is_some_and(|script| script.restart_dialogs),
        http_deadline: deadline,
        http_attempts: attempts,
        connector,
        error_message: Some(bot.error_message.clone()),
        session_timeout: Some(time(bot.session_timeout)),
        permits: Some(bot.permits),
        fallback: bot.beside.fallback.as_ref().map(ToString::to_string),
        shadow: bot.beside.shadow.as_ref().map(ToString::to_string),
        canary: canary.map(|canary| canary.bot.to_string()),
        canary_percent: canary.map(|canary| f64::from(canary.share) / 100.0),
    }
}

pub fn channel(channel: &Channel) -> ChannelDraft {
    let endpoint = channel.endpoint.as_ref();
    ChannelDraft {
        bot: channel.bot.to_string(),
        app: channel.client.to_string(),
        name: channel.name.clone(),
        id: Some(channel.id.to_string()),
        post_url: endpoint.map(|endpoint| endpoint.post_url.to_string()),
        access_token: None,
        token_header: endpoint.map(|endpoint| endpoint.token_header.clone()),
        signing_secret: None,
        deadline: Some(time(channel.deadline)),
        retry: endpoint.map(|endpoint| views::spacing(&endpoint.retry.spacing)),
        jitter: endpoint.map(|endpoint| endpoint.retry.jitter),
        post_deadline: endpoint.map(|endpoint| time(endpoint.deadline)),
        post_permits: endpoint.map(|endpoint| endpoint.permits),
        single_as_string: Some(channel.compatibility.single_as_string),
        escape_templates: Some(channel.compatibility.escape_templates),
        overrides: given(channel.overrides.messages()),
        while_busy: Some(channel.while_busy.to_string()),
        rate: Some(channel.rate.per_second),
        burst: Some(channel.rate.burst),
        approve: false,
    }
}

/// Nothing where there are none.
fn given(messages: &BTreeMap<String, Value>) -> Option<BTreeMap<String, Value>> {
    (!messages.is_empty()).then(|| messages.clone())
}

fn time(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

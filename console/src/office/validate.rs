//! Drafts into what the registry keeps. All mistakes of a draft are told together.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use shared::config::value::Value as _;
use shared::domain::channel::ChannelState;
use shared::domain::ids::{BotId, ClientId};
use shared::entropy::Entropy;
use shared::registry::{
    Algorithm, App, Bot, Channel, Compatibility, Endpoint, HttpLogic, Logic, Rate, TokenRules,
    WhileBusy,
};
use url::Url;

use super::drafts::{AppDraft, BotDraft, ChannelDraft, RulesDraft};
use super::{beside, connectors, overrides, rsa, schedule, scripts};
use crate::ids;

/// Headers that are ours, the transport's, or would change what the request is.
const HEADERS_TAKEN: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "expect",
    "keep-alive",
    "switchhook-redriven",
];
const HTTP_DEADLINE: Duration = Duration::from_secs(10);
const HTTP_ATTEMPTS: u32 = 2;

/// What was wrong, a line each.
pub type Wrong = Vec<String>;

pub fn app(draft: &AppDraft, entropy: &Entropy) -> Result<App, String> {
    let mut wrong = Wrong::new();
    name(&draft.name, &mut wrong);
    let text = draft.algorithm.as_deref().unwrap_or(Algorithm::Hs256.as_str());
    let algorithm = Algorithm::parse(text).unwrap_or_else(|| {
        wrong.push(format!("algorithm: {text:?} is none of HS256, HS512, RS256, RS512"));
        Algorithm::Hs256
    });
    let client_id = match &draft.id {
        Some(id) => ClientId::new(shaped(id, "cs-", "id", &mut wrong)),
        None => ids::client(entropy),
    };
    let given = (draft.secret.as_deref(), draft.public_key.as_deref());
    let secret = key(algorithm, given, entropy, &mut wrong);
    let rules = rules(&draft.rules, &mut wrong);
    let name = draft.name.clone();
    finish(&wrong, App { client_id, name, algorithm, secret, previous: None, rules })
}

/// The key of an app's tokens: the one that is given, or a new secret where we are the one to make it.
pub fn key(
    algorithm: Algorithm,
    (secret, public_key): (Option<&str>, Option<&str>),
    entropy: &Entropy,
    wrong: &mut Wrong,
) -> SecretString {
    let word = algorithm.as_str();
    if algorithm.is_public_key() {
        if secret.is_some() {
            wrong.push(format!("secret: {word} has none; give the public key"));
        }
        let pem = public_key.unwrap_or_default();
        if let Err(why) = rsa::check(pem) {
            wrong.push(format!("public-key: {why}"));
        }
        return pem.into();
    }
    if public_key.is_some() {
        wrong.push(format!("public-key: {word} has none, but a secret"));
    }
    let bytes = algorithm.secret_min();
    if secret.is_some_and(|secret| secret.len() < bytes || secret.len() > 1024) {
        wrong.push(format!("secret: {bytes} to 1024 bytes for {word}"));
    }
    secret.map_or_else(|| ids::app_secret(entropy, bytes), SecretString::from)
}

pub fn rules(draft: &RulesDraft, wrong: &mut Wrong) -> TokenRules {
    let bounds = [Duration::from_secs(1), Duration::from_hours(24 * 366)];
    let age_max = draft.age_max.as_deref();
    let age_max = age_max.map(|text| time(Some(text), "age-max", bounds[0], bounds, wrong));
    let mut networks = Vec::new();
    for text in &draft.networks {
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        match text.parse::<IpNet>().ok().or_else(alone) {
            Some(network) => networks.push(network.trunc()),
            None => wrong.push(format!("networks: {text:?} is no network")),
        }
    }
    if networks.len() > 100 {
        wrong.push("networks: at most 100".to_owned());
    }
    TokenRules { age_max, networks, single_use: draft.single_use }
}

pub fn bot(draft: &BotDraft, entropy: &Entropy) -> Result<Bot, String> {
    let mut wrong = Wrong::new();
    name(&draft.name, &mut wrong);
    let id = match &draft.id {
        Some(id) => BotId::new(shaped(id, "st-", "id", &mut wrong)),
        None => ids::bot(entropy),
    };
    let second = Duration::from_secs(1);
    let logic = logic(draft, &mut wrong);
    let error_message =
        draft.error_message.clone().unwrap_or_else(|| Bot::ERROR_MESSAGE.to_owned());
    if error_message.len() > 4096 || error_message.contains('\0') {
        wrong.push("error-message: at most 4096 bytes, no NUL".to_owned());
    }
    let timeout = draft.session_timeout.as_deref();
    let bounds = [second, Duration::from_hours(24 * 14)];
    let session_timeout =
        time(timeout, "session-timeout", Bot::SESSION_TIMEOUT, bounds, &mut wrong);
    let permits = number(draft.permits, "permits", Bot::PERMITS, 10_000, &mut wrong);
    let beside = beside::of(draft, &mut wrong);
    let name = draft.name.clone();
    finish(&wrong, Bot { id, name, logic, error_message, session_timeout, permits, beside })
}

/// What runs. A draft that is not refused names one at most.
fn logic(draft: &BotDraft, wrong: &mut Wrong) -> Logic {
    let second = Duration::from_secs(1);
    let deadline = draft.http_deadline.as_deref();
    let deadline =
        time(deadline, "http-deadline", HTTP_DEADLINE, [second / 10, second * 60], wrong);
    let attempts_max = number(draft.http_attempts, "http-attempts", HTTP_ATTEMPTS, 5, wrong);
    let script = draft.source.as_ref().map(|source| scripts::logic(draft, source, wrong));
    let connector = draft.connector.as_ref();
    let connector = connector.and_then(|connector| connectors::logic(draft, connector, wrong));
    let (is_http, is_connector) = (draft.http.is_some(), draft.connector.is_some());
    let kinds = [is_http, draft.source.is_some(), is_connector];
    if kinds.into_iter().filter(|given| *given).count() > 1 {
        wrong.push("logic: a bot is one of an HTTP endpoint, a script and a connector".to_owned());
    }
    for (word, given) in [
        ("env", draft.env.is_some()),
        ("source-name", draft.source_name.is_some()),
        ("restart-dialogs", draft.restart_dialogs),
    ] {
        if draft.source.is_none() && given {
            wrong.push(format!("{word}: only a script has it"));
        }
    }
    if draft.source.is_none() && draft.script.is_some() {
        wrong.push("script: names a file, which is not here; give its source".to_owned());
    }
    if !is_http && draft.http_deadline.is_some() {
        wrong.push("http-deadline: only an HTTP bot has it".to_owned());
    }
    if !is_http && !is_connector && draft.authorization.is_some() {
        wrong.push("authorization: only an HTTP bot or a connector has it".to_owned());
    }
    if draft.authorization.as_ref().is_some_and(|value| !header_value(value)) {
        wrong.push("authorization: not a header's value".to_owned());
    }
    match draft.http.as_deref().map(|text| web_url(text, "http", wrong)) {
        Some(Some(url)) => Logic::Http(HttpLogic {
            url,
            authorization: draft.authorization.as_deref().map(SecretString::from),
            deadline,
            attempts_max,
        }),
        // With a URL that is wrong the draft is refused.
        None | Some(None) => match (script, connector) {
            (Some(script), _) => Logic::Script(script),
            (None, Some(connector)) => Logic::Connector(Box::new(connector)),
            (None, None) => Logic::Echo,
        },
    }
}

/// `bot` and `client` are what the draft's names were found to be.
pub fn channel(
    draft: &ChannelDraft,
    bot: BotId,
    client: ClientId,
    entropy: &Entropy,
) -> Result<Channel, String> {
    let mut wrong = Wrong::new();
    name(&draft.name, &mut wrong);
    let id = match &draft.id {
        Some(id) => shaped(id, "ivrInst-", "id", &mut wrong).into(),
        None => ids::channel(entropy),
    };
    let second = Duration::from_secs(1);
    let deadline = draft.deadline.as_deref();
    let deadline = time(deadline, "deadline", Channel::DEADLINE, [second, second * 60], &mut wrong);
    let endpoint = endpoint(draft, entropy, &mut wrong);
    let usual = Compatibility::default();
    let compatibility = Compatibility {
        single_as_string: draft.single_as_string.unwrap_or(usual.single_as_string),
        escape_templates: draft.escape_templates.unwrap_or(usual.escape_templates),
    };
    let overrides = overrides::of(draft.overrides.as_ref(), &mut wrong);
    let while_busy = while_busy(draft.while_busy.as_deref(), &mut wrong);
    let usual = Rate::default();
    let rate = Rate {
        per_second: number(draft.rate, "rate", usual.per_second, 100_000, &mut wrong),
        burst: number(draft.burst, "burst", usual.burst, 100_000, &mut wrong),
    };
    let state = if draft.approve { ChannelState::Live } else { ChannelState::AwaitingApproval };
    let name = draft.name.clone();
    // The store gives the ordinal.
    let ordinal = 0;
    finish(
        &wrong,
        Channel {
            id,
            bot,
            client,
            name,
            ordinal,
            endpoint,
            state,
            deadline,
            compatibility,
            overrides,
            while_busy,
            rate,
        },
    )
}

fn while_busy(text: Option<&str>, wrong: &mut Wrong) -> WhileBusy {
    let Some(text) = text else { return WhileBusy::default() };
    if let Some(window) = text.strip_prefix("merge:") {
        let (least, most) = (*WhileBusy::WINDOW.start(), *WhileBusy::WINDOW.end());
        return WhileBusy::Merge(time(Some(window), "while-busy", least, [least, most], wrong));
    }
    WhileBusy::parse(text).unwrap_or_else(|| {
        wrong.push(format!("while-busy: {text:?} is none of queue, latest, reject, merge:TIME"));
        WhileBusy::default()
    })
}

fn endpoint(draft: &ChannelDraft, entropy: &Entropy, wrong: &mut Wrong) -> Option<Endpoint> {
    let Some(post_url) = draft.post_url.as_deref() else {
        let of_endpoint = [
            ("access-token", draft.access_token.is_some()),
            ("token-header", draft.token_header.is_some()),
            ("signing-secret", draft.signing_secret.is_some()),
            ("retry", draft.retry.is_some()),
            ("jitter", draft.jitter.is_some()),
            ("post-deadline", draft.post_deadline.is_some()),
            ("post-permits", draft.post_permits.is_some()),
        ];
        let given = of_endpoint.iter().filter(|(_, given)| *given);
        wrong.extend(given.map(|(key, _)| format!("{key}: only a channel with a post-url has it")));
        return None;
    };
    let post_url = web_url(post_url, "post-url", wrong)?;
    let token_header = draft.token_header.as_deref().unwrap_or(Endpoint::TOKEN_HEADER);
    let token_header = token_header.to_ascii_lowercase();
    if !header_name(&token_header) {
        wrong.push(format!("token-header: {token_header:?} cannot carry the token"));
    }
    if draft.access_token.as_ref().is_some_and(|token| !header_value(token)) {
        wrong.push("access-token: not a header's value".to_owned());
    }
    let token = draft.access_token.as_deref().map(|token| token_value(&token_header, token));
    let signing_secret = match draft.signing_secret.as_deref() {
        Some(secret) if !signing_secret(secret) => {
            wrong.push("signing-secret: whsec_ and 24 to 64 bytes in base64".to_owned());
            SecretString::default()
        }
        Some(secret) => secret.into(),
        None => ids::signing_secret(entropy),
    };
    let second = Duration::from_secs(1);
    let deadline = draft.post_deadline.as_deref();
    let bounds = [second / 10, second * 60];
    Some(Endpoint {
        post_url,
        token_header,
        token,
        signing_secret,
        retry: schedule::policy(draft, wrong),
        deadline: time(deadline, "post-deadline", Endpoint::DEADLINE, bounds, wrong),
        permits: number(draft.post_permits, "post-permits", Endpoint::PERMITS, 10_000, wrong),
        disabled: false,
    })
}

/// The header's whole value: a bare token becomes a bearer token where that is what is expected.
/// The header that carries an access token, and what it says then.
pub fn token_pair(name: &str, token: &str) -> Result<(String, SecretString), String> {
    let name = if name.is_empty() { Endpoint::TOKEN_HEADER } else { name }.to_ascii_lowercase();
    if !header_name(&name) {
        return Err(format!("token-header: {name:?} cannot carry the token"));
    }
    if !header_value(token) {
        return Err("access-token: not a header's value".to_owned());
    }
    let value = token_value(&name, token);
    Ok((name, value))
}

fn token_value(header: &str, token: &str) -> SecretString {
    if header == Endpoint::TOKEN_HEADER && !token.contains(' ') {
        format!("Bearer {token}").into()
    } else {
        token.into()
    }
}

pub fn finish<T>(wrong: &Wrong, made: T) -> Result<T, String> {
    if wrong.is_empty() { Ok(made) } else { Err(wrong.join("\n")) }
}

pub fn name(name: &str, wrong: &mut Wrong) {
    let length = 1..=200;
    if !length.contains(&name.len()) || name.trim() != name || name.contains(char::is_control) {
        wrong.push("name: 1 to 200 bytes, no control characters, no blanks at its ends".to_owned());
    }
}

/// An id that was made elsewhere: clients match on its shape.
fn shaped(id: &str, prefix: &str, key: &str, wrong: &mut Wrong) -> String {
    let uuid = id.strip_prefix(prefix).filter(|uuid| uuid.len() == 36);
    if uuid.and_then(|uuid| uuid::Uuid::try_parse(uuid).ok()).is_none() {
        wrong.push(format!("{key}: {id:?} is not {prefix} and a UUID"));
    }
    id.to_owned()
}

pub fn web_url(text: &str, key: &str, wrong: &mut Wrong) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && text.len() <= 2048
    });
    if url.is_none() {
        wrong.push(format!("{key}: not an http or https URL (without a user in it)"));
    }
    url
}

pub fn time(
    text: Option<&str>,
    key: &str,
    usual: Duration,
    [least, most]: [Duration; 2],
    wrong: &mut Wrong,
) -> Duration {
    let Some(text) = text else { return usual };
    match Duration::parse(text) {
        Ok(time) if time >= least && time <= most => return time,
        Ok(_) => wrong.push(format!("{key}: {least:?} to {most:?}")),
        Err(why) => wrong.push(format!("{key}: {why}")),
    }
    usual
}

pub fn number(given: Option<u32>, key: &str, usual: u32, most: u32, wrong: &mut Wrong) -> u32 {
    let number = given.unwrap_or(usual);
    if number == 0 || number > most {
        wrong.push(format!("{key}: 1 to {most}"));
    }
    number
}

fn header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(token)
        && !name.starts_with("webhook-")
        && !HEADERS_TAKEN.contains(&name)
}

fn header_value(value: &str) -> bool {
    !value.is_empty() && value.len() <= 4096 && value.bytes().all(|b| (0x20..0x7f).contains(&b))
}

fn signing_secret(secret: &str) -> bool {
    use base64::Engine as _;
    let encoded = secret.strip_prefix("whsec_").unwrap_or_default();
    base64::prelude::BASE64_STANDARD
        .decode(encoded)
        .is_ok_and(|bytes| (24..=64).contains(&bytes.len()))
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;

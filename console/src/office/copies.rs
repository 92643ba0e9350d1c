//! The two copies of a bot or a channel: the one that runs, and the one that is edited. As long as there is
//! no edit they are the same; something that was never published is edited in place.

use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use shared::domain::channel::ChannelState;
use shared::entropy::Entropy;
use shared::registry::control::{Kind, Record};
use shared::registry::{Bot, Channel, Logic, Peer};
use url::Url;

use super::book::{self, Book};
use super::connectors;
use super::drafts::{BotDraft, ChannelDraft};
use super::problem::Problem;
use super::validate;

/// What of a draft is secret.
pub const BOT_SECRETS: &[&str] = &["authorization", "env"];
const CONNECTOR: &str = "connector";
const OVERRIDES: &str = "overrides";
pub const CHANNEL_SECRETS: &[&str] = &["access_token", "signing_secret"];

/// Something as it is edited.
#[derive(Debug)]
pub struct Edited<T> {
    pub value: T,
    /// Whether it differs from what runs.
    pub differs: bool,
    /// The secrets that were given with the edit.
    pub given: Map<String, Value>,
}

pub fn bot(book: &Book, row: &Bot, entropy: &Entropy) -> Result<Edited<Bot>, Problem> {
    let Some(record) = book.record(Kind::Edit, row.id.as_str()) else {
        return Ok(Edited { value: row.clone(), differs: false, given: Map::new() });
    };
    let given = book::sealed(record)?;
    let value = revive_bot(row, with(book::body(record)?, &given)?, entropy)?;
    Ok(Edited { value, differs: true, given })
}

pub fn channel(book: &Book, row: &Channel, entropy: &Entropy) -> Result<Edited<Channel>, Problem> {
    let Some(record) = book.record(Kind::Edit, row.id.as_str()) else {
        return Ok(Edited { value: row.clone(), differs: false, given: Map::new() });
    };
    let given = book::sealed(record)?;
    let value = revive_channel(row, with(book::body(record)?, &given)?, entropy)?;
    Ok(Edited { value, differs: true, given })
}

/// A draft with its secrets put in.
pub fn with<T: DeserializeOwned>(
    mut plain: Map<String, Value>,
    secrets: &Map<String, Value>,
) -> Result<T, Problem> {
    plain.extend(secrets.clone());
    read(plain)
}

/// A draft from a JSON object; of what is wrong with it the words, never the values.
pub fn read<T: DeserializeOwned>(plain: Map<String, Value>) -> Result<T, Problem> {
    let keys: Vec<String> = plain.keys().cloned().collect();
    serde_json::from_value(Value::Object(plain)).map_err(|error| {
        let words = error.to_string();
        let unknown = words.starts_with("unknown field");
        let words = if unknown { words } else { format!("one of {keys:?} is of the wrong kind") };
        Problem::invalid(words)
    })
}

/// `row` as the draft wants it. A secret that the draft does not give stays.
pub fn revive_bot(row: &Bot, draft: BotDraft, entropy: &Entropy) -> Result<Bot, Problem> {
    let mut draft = BotDraft { id: None, ..draft };
    let dropped = draft.authorization.as_deref() == Some("");
    if dropped {
        draft.authorization = None;
    }
    let mut bot = validate::bot(&draft, entropy)?;
    bot.id = row.id.clone();
    if !dropped && secret_of(&bot.logic).is_none() {
        may_keep(&row.logic, &bot.logic)?;
    }
    match (&mut bot.logic, &row.logic) {
        (Logic::Http(new), Logic::Http(old)) if !dropped && new.authorization.is_none() => {
            new.authorization.clone_from(&old.authorization);
        }
        (Logic::Connector(new), Logic::Connector(old))
            if !dropped && new.authorization.is_none() =>
        {
            new.authorization.clone_from(&old.authorization);
        }
        (Logic::Script(new), Logic::Script(old)) if new.env.is_none() => {
            new.env.clone_from(&old.env);
        }
        (Logic::Echo | Logic::Http(_) | Logic::Script(_) | Logic::Connector(_), _) => {}
    }
    Ok(bot)
}

/// Refuses a change by which a secret that is not given again would go to another host than the one that it was
/// given for, or would be something else there: the secret that signs a kit's tokens is never sent.
pub(super) fn may_keep(old: &Logic, new: &Logic) -> Result<(), Problem> {
    let (Some(was_at), Some(at), Some(_)) = (url_of(old), url_of(new), secret_of(old)) else {
        return Ok(());
    };
    let what = if at.origin() != was_at.origin() {
        "host"
    } else if signs(old) != signs(new) {
        "kind"
    } else {
        return Ok(());
    };
    let words =
        format!("authorization: give it again for another {what}, or say \"\" to send none");
    Err(Problem::invalid(words))
}

fn url_of(logic: &Logic) -> Option<&Url> {
    match logic {
        Logic::Http(http) => Some(&http.url),
        Logic::Connector(connector) => Some(&connector.url),
        Logic::Echo | Logic::Script(_) => None,
    }
}

fn secret_of(logic: &Logic) -> Option<&SecretString> {
    match logic {
        Logic::Http(http) => http.authorization.as_ref(),
        Logic::Connector(connector) => connector.authorization.as_ref(),
        Logic::Echo | Logic::Script(_) => None,
    }
}

fn signs(logic: &Logic) -> bool {
    matches!(logic, Logic::Connector(connector) if matches!(connector.peer, Peer::Botkit { .. }))
}

/// `row` as the draft wants it. Secrets that the draft does not give stay, but an access token never goes
/// to another host than the one that it was given for.
pub fn revive_channel(
    row: &Channel,
    draft: ChannelDraft,
    entropy: &Entropy,
) -> Result<Channel, Problem> {
    let mut draft = ChannelDraft { id: None, approve: false, ..draft };
    let dropped = draft.access_token.as_deref() == Some("");
    if dropped {
        draft.access_token = None;
    }
    let (had_signing, had_token) = (draft.signing_secret.is_some(), draft.access_token.is_some());
    let client = draft.app.as_str().into();
    let mut channel = validate::channel(&draft, row.bot.clone(), client, entropy)?;
    channel.id = row.id.clone();
    channel.ordinal = row.ordinal;
    channel.state = row.state;
    if let (Some(new), Some(old)) = (&mut channel.endpoint, &row.endpoint) {
        new.disabled = old.disabled;
        if !had_signing {
            new.signing_secret = old.signing_secret.clone();
        }
        if !had_token && !dropped && old.token.is_some() {
            if new.post_url.origin() != old.post_url.origin() {
                let words =
                    "access_token: give it again for another host, or say \"\" to send none";
                return Err(Problem::invalid(words));
            }
            new.token.clone_from(&old.token);
        }
    }
    Ok(channel)
}

/// Whether edits wait beside it until they are approved.
pub const fn edits_wait(state: ChannelState) -> bool {
    state.is_published() || matches!(state, ChannelState::AwaitingApproval)
}

/// The record of an edit.
pub fn edit(
    id: &str,
    draft: &impl Serialize,
    secrets: &[&str],
    given: &Map<String, Value>,
) -> Result<Record, Problem> {
    let plain = plain(draft, secrets)?;
    let sealed = (!given.is_empty()).then(|| SecretString::from(json!(given).to_string()));
    let body = Value::Object(plain).to_string();
    Ok(Record { kind: Kind::Edit, id: id.to_owned(), body, sealed })
}

/// A draft as JSON, without its secrets.
pub fn plain(draft: &impl Serialize, secrets: &[&str]) -> Result<Map<String, Value>, Problem> {
    let value = serde_json::to_value(draft).map_err(|error| Problem::invalid(error.to_string()))?;
    let Value::Object(mut plain) = value else { return Ok(Map::new()) };
    plain.retain(|key, _| !secrets.contains(&key.as_str()));
    Ok(plain)
}

/// RFC 7396 for objects of plain words, and a `connector` and `overrides`, which are such objects themselves:
/// `null` takes a word out, anything else replaces it. Secrets go to `given`.
pub fn merge(
    draft: &mut Map<String, Value>,
    given: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    secrets: &[&str],
) {
    for (key, value) in patch {
        let to = if secrets.contains(&key.as_str()) { &mut *given } else { &mut *draft };
        if value.is_null() {
            to.shift_remove(key);
        } else if let (CONNECTOR, Some(old)) = (key.as_str(), to.get_mut(key)) {
            connectors::merge(old, value);
        } else if key == OVERRIDES {
            connectors::merge(to.entry(key.clone()).or_insert_with(|| json!({})), value);
        } else {
            to.insert(key.clone(), value.clone());
        }
    }
}

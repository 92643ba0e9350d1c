//! What is said: principal + body + turn id → turn or what is wrong with the body.
//!
//! The body of version 1 of the protocol (§3.1, §3.3). Unknown keys are ignored and stay in the
//! payload, which is kept byte for byte. A key that comes twice in an object of the protocol's own is
//! refused; inside `customData`, which is the client's own, it is the client's business.

use shared::domain::ids::{TurnId, USER_ID_MAX, UserId};
use shared::domain::turn::Turn;

use super::auth::Principal;
use super::json::{Bounds, Fields, Node};

/// A webhook body nests a few levels; the rest is for `customData`.
const BOUNDS: Bounds = Bounds { depth: 64, values: 10_000 };
/// Longest `message.text`, in bytes.
const TEXT_MAX: usize = 64 * 1024;
const ATTACHMENTS_MAX: usize = 20;
/// Longest list of tags of one kind.
const TAGS_MAX: usize = 100;

/// Reads a body. The error is a sentence about the body, naming the field.
pub(crate) fn admit(principal: &Principal, body: &[u8], id: TurnId) -> Result<Turn, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    if text.starts_with('\u{feff}') {
        return Err("the body starts with a byte order mark".to_owned());
    }
    let payload = text.trim_matches([' ', '\t', '\n', '\r']);
    let root = Node::parse(payload, BOUNDS).map_err(|error| format!("not JSON: {error}"))?;
    let root = object(&root, "the body")?;
    let new_session = session(root)?;
    let said = message(root)?;
    let user = from(root)?;
    options(root)?;
    let channel = &principal.channel;
    Ok(Turn {
        id,
        client: principal.client.clone(),
        channel: channel.id.clone(),
        bot: channel.bot.clone(),
        user,
        mode: channel.mode(),
        new_session,
        text: said.to_owned(),
        payload: payload.to_owned(),
    })
}

fn session(root: Fields<'_, '_>) -> Result<bool, String> {
    let Some(session) = optional_object(root, "session", "session")? else { return Ok(false) };
    match session.get("new") {
        None => Ok(false),
        Some(Node::Bool(new)) => Ok(*new),
        Some(_) => Err(must_be("session.new", "true or false")),
    }
}

fn message<'n>(root: Fields<'n, '_>) -> Result<&'n str, String> {
    let message = root.get("message").ok_or_else(|| missing("message"))?;
    let message = object(message, "message")?;
    let text = message.get("text").ok_or_else(|| missing("message.text"))?;
    let text = text.text().ok_or_else(|| must_be("message.text", "a string"))?;
    if text.len() > TEXT_MAX {
        return Err(format!("message.text is longer than {TEXT_MAX} bytes"));
    }
    attachments(message)?;
    Ok(text)
}

/// Links, or objects that name a file or a URL; one client sends a single object instead of a list.
fn attachments(message: Fields<'_, '_>) -> Result<(), String> {
    const NAME: &str = "message.attachments";
    let items = match message.get("attachments") {
        None => return Ok(()),
        Some(one @ Node::Object(_)) => return object(one, NAME).map(|_| ()),
        Some(Node::List(items)) => items,
        Some(_) => return Err(must_be(NAME, "an array")),
    };
    if items.len() > ATTACHMENTS_MAX {
        return Err(format!("{NAME} has more than {ATTACHMENTS_MAX} elements"));
    }
    for (index, item) in items.iter().enumerate() {
        if item.text().is_none() {
            let name = format!("{NAME}[{index}]");
            item.fields().ok_or_else(|| must_be(&name, "a string or an object"))?;
            object(item, &name)?;
        }
    }
    Ok(())
}

fn from(root: Fields<'_, '_>) -> Result<UserId, String> {
    let from = object(root.get("from").ok_or_else(|| missing("from"))?, "from")?;
    let id = from.get("id").ok_or_else(|| missing("from.id"))?;
    let id = id.text().ok_or_else(|| must_be("from.id", "a string"))?;
    if id.is_empty() || id.len() > USER_ID_MAX {
        return Err(must_be("from.id", &format!("1 to {USER_ID_MAX} bytes long")));
    }
    if id.chars().any(char::is_control) {
        return Err("from.id holds a control character".to_owned());
    }
    if let Some(info) = optional_object(from, "userInfo", "from.userInfo")? {
        for name in ["firstName", "lastName", "email"] {
            optional_text(info, name, &format!("from.userInfo.{name}"))?;
        }
    }
    Ok(UserId::new(id))
}

/// What may be there, and is only checked for its shape. `to` may be anything: clients put the bot's
/// id, a product's name or a random id there.
fn options(root: Fields<'_, '_>) -> Result<(), String> {
    if let Some(to @ Node::Object(_)) = root.get("to") {
        let to = object(to, "to")?;
        if let Some(group @ Node::Object(_)) = to.get("groupInfo") {
            object(group, "to.groupInfo")?;
        }
    }
    if let Some(tags) = optional_object(root, "metaTags", "metaTags")? {
        for name in ["userLevelTags", "sessionLevelTags", "messageLevelTags"] {
            list_of_tags(tags, name)?;
        }
    }
    match root.get("mergeIdentity") {
        None | Some(Node::Bool(_) | Node::Text(_)) => {}
        Some(_) => return Err(must_be("mergeIdentity", "true or false")),
    }
    optional_text(root, "preferredChannelForResponse", "preferredChannelForResponse")?;
    match root.get("customData") {
        None | Some(Node::Object(_)) => Ok(()),
        Some(_) => Err(must_be("customData", "an object")),
    }
}

fn list_of_tags(tags: Fields<'_, '_>, kind: &str) -> Result<(), String> {
    let name = format!("metaTags.{kind}");
    let items = match tags.get(kind) {
        None => return Ok(()),
        Some(Node::List(items)) => items,
        Some(_) => return Err(must_be(&name, "an array")),
    };
    if items.len() > TAGS_MAX {
        return Err(format!("{name} has more than {TAGS_MAX} elements"));
    }
    for (index, item) in items.iter().enumerate() {
        object(item, &format!("{name}[{index}]"))?;
    }
    Ok(())
}

/// An object of the protocol's own: no key twice.
fn object<'n, 'a>(node: &'n Node<'a>, name: &str) -> Result<Fields<'n, 'a>, String> {
    let fields = node.fields().ok_or_else(|| must_be(name, "an object"))?;
    match fields.twice() {
        None => Ok(fields),
        Some(_) => Err(format!("{name} has a key twice")),
    }
}

fn optional_object<'n, 'a>(
    parent: Fields<'n, 'a>,
    key: &str,
    name: &str,
) -> Result<Option<Fields<'n, 'a>>, String> {
    parent.get(key).map(|node| object(node, name)).transpose()
}

fn optional_text(parent: Fields<'_, '_>, key: &str, name: &str) -> Result<(), String> {
    match parent.get(key) {
        None | Some(Node::Text(_)) => Ok(()),
        Some(_) => Err(must_be(name, "a string")),
    }
}

fn missing(name: &str) -> String {
    format!("{name} is missing")
}

fn must_be(name: &str, what: &str) -> String {
    format!("{name} must be {what}")
}

#[cfg(test)]
#[path = "admit_tests.rs"]
pub(crate) mod tests;

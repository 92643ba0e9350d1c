//! Publishing, people and tokens, the audit log: one request each.

use console::office::actor::{Role, Scope};
use console::office::exchange::{Association, Document};
use console::office::operators::{ApiTokenDraft, OperatorDraft, OperatorPatch};
use console::office::publish::Verdict;
use serde_json::{Map, Value};
use shared::config::Settings;
use shared::process::Failure;

use super::registry::{ask, secret};
use crate::cli::office::{ApiToken, Audit, Judged, Operator, Placeholder, Request, Set};
use crate::cli::registry::Named;
use crate::office::Request as Ask;

/// Of a channel: its words are keys of messages.
const OVERRIDES: &str = "overrides";

pub(crate) fn request(settings: &Settings, command: Request) -> Result<(), Failure> {
    let judge = |Judged { id, why, json }, verdict| (Ask::Judge { id, verdict, why }, json);
    let (request, json) = match command {
        Request::List { decided, json } => (Ask::Requests { decided }, json),
        Request::Show(Named { name, json }) => (Ask::ShowRequest { id: name }, json),
        Request::Approve(judged) => judge(judged, Verdict::Approve),
        Request::Reject(judged) => judge(judged, Verdict::Reject),
        Request::Withdraw(judged) => judge(judged, Verdict::Withdraw),
    };
    ask(settings, request, json)
}

pub(crate) fn placeholder(settings: &Settings, command: Placeholder) -> Result<(), Failure> {
    let (request, json) = match command {
        Placeholder::List(json) => (Ask::Placeholders { bot: None }, json),
        Placeholder::Associate { id, app, access_token_file, json } => {
            let access_token = access_token_file.as_deref().map(secret).transpose()?;
            (Ask::Associate { id, with: Association { app, access_token } }, json)
        }
    };
    ask(settings, request, json)
}

pub(crate) fn operator(settings: &Settings, command: Operator) -> Result<(), Failure> {
    let lock = |name, disabled| {
        let patch = OperatorPatch { disabled: Some(disabled), ..OperatorPatch::default() };
        Ask::ChangeOperator { name, patch }
    };
    let (request, json) = match command {
        Operator::Add { name, role, password_file, json } => {
            let unknown = || Failure::usage(format!("--role {role}: developer or admin"));
            let role = Role::parse(&role).ok_or_else(unknown)?;
            let password = password_file.as_deref().map(secret).transpose()?;
            (Ask::AddOperator { draft: OperatorDraft { name, role, password } }, json)
        }
        Operator::List(json) => (Ask::Operators, json),
        Operator::Disable(Named { name, json }) => (lock(name, true), json),
        Operator::Enable(Named { name, json }) => (lock(name, false), json),
        Operator::Remove(Named { name, json }) => (Ask::RemoveOperator { name }, json),
    };
    ask(settings, request, json)
}

pub(crate) fn api_token(settings: &Settings, command: ApiToken) -> Result<(), Failure> {
    let (request, json) = match command {
        ApiToken::Add { name, operator, scopes, life, json } => {
            let scope = |text: &String| {
                let unknown = || Failure::usage(format!("--scopes: {text:?} is not known"));
                Scope::parse(text).ok_or_else(unknown)
            };
            let scopes = scopes.iter().map(scope).collect::<Result<_, _>>()?;
            let draft = ApiTokenDraft { name, operator: Some(operator), scopes, life };
            (Ask::AddApiToken { draft }, json)
        }
        ApiToken::List(json) => (Ask::ApiTokens, json),
        ApiToken::Remove(Named { name, json }) => (Ask::RemoveApiToken { id: name }, json),
    };
    ask(settings, request, json)
}

pub(crate) fn audit(settings: &Settings, args: Audit) -> Result<(), Failure> {
    let Audit { subject, limit, json } = args;
    ask(settings, Ask::Audit { subject, limit }, json)
}

/// `WORD=VALUE` and `WORD=FILE` into a patch.
pub(crate) fn patch(set: &Set) -> Result<Map<String, Value>, Failure> {
    let mut patch = Map::new();
    for text in &set.words {
        let (word, value) = split(text)?;
        // A connector's words are its own, `connector.model=NAME`, and so are the keys of messages.
        match word.split_once('.') {
            Some((OVERRIDES, key)) => insert(&mut patch, OVERRIDES, key.to_owned(), said(value)),
            Some((whole, word)) => {
                insert(&mut patch, &underscored(whole), underscored(word), plain(value));
            }
            None => {
                patch.insert(underscored(word), plain(value));
            }
        }
    }
    if let Some(text) = &set.secret_file {
        let (word, file) = split(text)?;
        patch.insert(underscored(word), secret(file.as_ref())?.into());
    }
    Ok(patch)
}

fn insert(patch: &mut Map<String, Value>, whole: &str, word: String, value: Value) {
    let inner = patch.entry(whole).or_insert_with(|| Value::Object(Map::new()));
    if let Some(inner) = inner.as_object_mut() {
        inner.insert(word, value);
    }
}

/// Numbers and yes or no are what they look like; a name that looks like one is in quotes.
fn plain(text: &str) -> Value {
    match serde_json::from_str(text) {
        _ if text.is_empty() => Value::Null,
        Ok(plain @ (Value::Number(_) | Value::Bool(_) | Value::String(_))) => plain,
        Ok(_) | Err(_) => text.into(),
    }
}

/// A message: an object is a template, anything else is a text.
fn said(text: &str) -> Value {
    match serde_json::from_str(text) {
        _ if text.is_empty() => Value::Null,
        Ok(said @ (Value::Object(_) | Value::String(_))) => said,
        Ok(_) | Err(_) => text.into(),
    }
}

fn underscored(word: &str) -> String {
    word.replace('-', "_")
}

fn split(text: &str) -> Result<(&str, &str), Failure> {
    let (word, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage(format!("{text:?} is not WORD=VALUE")))?;
    Ok((word.trim(), value))
}

/// A bot that was exported, from its file.
pub(crate) fn document(path: &std::path::Path) -> Result<Document, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    Document::read(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

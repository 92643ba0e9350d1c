//! Bots of other platforms on their way into the registry: each kind has its own words.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use shared::registry::{Activities, ConnectorLogic, Model, Peer, RepliesBy, Tool};

use super::drafts::{BotDraft, ConnectorDraft, ToolDraft};
use super::validate::{Wrong, number, time, web_url};

const KINDS: &str = "rasa, rasa-actions, bot-framework, openai, openai-responses, botkit, dify";
/// Bytes of what a model is told, and of a tool's schema.
const TEXT_MAX: usize = 32 * 1024;
const TOOLS_MAX: usize = 32;
const NAME_MAX: usize = 200;

/// What the draft says of a connector.
pub(super) fn logic(
    draft: &BotDraft,
    connector: &ConnectorDraft,
    wrong: &mut Wrong,
) -> Option<ConnectorLogic> {
    let kind = connector.kind.as_deref().unwrap_or_default();
    let peer = peer(kind, connector, wrong);
    if let Some(peer) = &peer {
        strangers(peer, connector, wrong);
        id_of_kit(peer, draft, wrong);
    }
    let url = connector.url.as_deref().unwrap_or_default();
    let url = web_url(url, "connector.url", wrong);
    let second = Duration::from_secs(1);
    let bounds = [second / 10, second * 60];
    let deadline = connector.deadline.as_deref();
    let deadline = time(deadline, "connector.deadline", ConnectorLogic::DEADLINE, bounds, wrong);
    let attempts = connector.attempts;
    let attempts_max = number(attempts, "connector.attempts", ConnectorLogic::ATTEMPTS, 5, wrong);
    let authorization = match (&peer, draft.authorization.as_deref()) {
        (Some(Peer::Botkit { .. }), Some(secret)) => Some(SecretString::from(secret)),
        // A bare key becomes a bearer token.
        (_, Some(key)) if !key.contains(' ') => Some(format!("Bearer {key}").into()),
        (_, given) => given.map(SecretString::from),
    };
    Some(ConnectorLogic { peer: peer?, url: url?, authorization, deadline, attempts_max })
}

fn peer(kind: &str, draft: &ConnectorDraft, wrong: &mut Wrong) -> Option<Peer> {
    Some(match kind {
        "rasa" => Peer::Rasa,
        "rasa-actions" => {
            Peer::RasaActions { action: needed(draft.action.as_deref(), "action", wrong) }
        }
        "bot-framework" => Peer::BotFramework(activities(draft, wrong)),
        "openai" => Peer::Openai(model(draft, wrong)),
        "openai-responses" => Peer::OpenaiResponses {
            model: model(draft, wrong),
            store: draft.store.unwrap_or(false),
        },
        "botkit" => Peer::Botkit {
            client_id: needed(draft.client_id.as_deref(), "client_id", wrong),
            component: needed(draft.component.as_deref(), "component", wrong),
        },
        "dify" => Peer::Dify { stream: draft.stream.unwrap_or(true) },
        "" => {
            wrong.push(format!("connector.kind: one of {KINDS}"));
            return None;
        }
        other => {
            wrong.push(format!("connector.kind: {other:?} is none of {KINDS}"));
            return None;
        }
    })
}

fn activities(draft: &ConnectorDraft, wrong: &mut Wrong) -> Activities {
    let word = draft.replies.as_deref().unwrap_or(RepliesBy::default().as_str());
    let replies = RepliesBy::ALL.into_iter().find(|replies| replies.as_str() == word);
    if replies.is_none() {
        wrong.push("connector.replies: auto, expect or normal".to_owned());
    }
    let second = Duration::from_secs(1);
    let bounds = [second / 20, second * 10];
    let idle = time(draft.idle.as_deref(), "connector.idle", Activities::IDLE, bounds, wrong);
    Activities {
        welcome: draft.welcome.unwrap_or(true),
        replies: replies.unwrap_or_default(),
        idle_ms: u32::try_from(idle.as_millis()).unwrap_or(u32::MAX),
    }
}

fn needed(word: Option<&str>, key: &str, wrong: &mut Wrong) -> String {
    let text = word.unwrap_or_default();
    if text.is_empty() || text.len() > NAME_MAX || text.contains(char::is_control) {
        wrong.push(format!("connector.{key}: is needed, 1 to {NAME_MAX} bytes"));
    }
    text.to_owned()
}

fn model(draft: &ConnectorDraft, wrong: &mut Wrong) -> Model {
    let instructions = draft.instructions.as_ref();
    if instructions.is_some_and(|text| text.len() > TEXT_MAX || text.contains('\0')) {
        wrong.push("connector.instructions: at most 32 KiB, no NUL".to_owned());
    }
    if draft.temperature.is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        wrong.push("connector.temperature: from 0 to 2".to_owned());
    }
    let history = draft.history.unwrap_or(Model::HISTORY);
    if history > 1_000 {
        wrong.push("connector.history: at most 1000".to_owned());
    }
    if draft.max_tokens == Some(0) {
        wrong.push("connector.max_tokens: at least 1".to_owned());
    }
    let drafts = draft.tools.as_deref().unwrap_or_default();
    if drafts.len() > TOOLS_MAX {
        wrong.push(format!("connector.tools: at most {TOOLS_MAX}"));
    }
    let tools: Vec<Tool> = drafts.iter().filter_map(|draft| tool(draft, wrong)).collect();
    let mut names: Vec<_> = tools.iter().map(|tool| &tool.name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        wrong.push("connector.tools: two have one name".to_owned());
    }
    Model {
        model: needed(draft.model.as_deref(), "model", wrong),
        instructions: draft.instructions.clone(),
        stream: draft.stream.unwrap_or(false),
        history,
        max_tokens: draft.max_tokens,
        temperature: draft.temperature,
        tools,
    }
}

fn tool(draft: &ToolDraft, wrong: &mut Wrong) -> Option<Tool> {
    let ToolDraft { name, description, url, parameters } = draft;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        wrong.push(format!("connector.tools: {name:?} is not 1 to 64 of a-z, A-Z, 0-9, _ and -"));
    }
    let parameters =
        parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    let size = description.len() + parameters.to_string().len();
    if !parameters.is_object() || size > TEXT_MAX {
        wrong
            .push(format!("connector.tools: {name}: parameters are a JSON Schema, 32 KiB at most"));
    }
    let url = web_url(url, &format!("connector.tools: {name}: url"), wrong)?;
    Some(Tool { name: name.clone(), description: description.clone(), url, parameters })
}

/// Words that belong to other kinds.
fn strangers(peer: &Peer, draft: &ConnectorDraft, wrong: &mut Wrong) {
    let is_model = matches!(peer, Peer::Openai(_) | Peer::OpenaiResponses { .. });
    let streams = is_model || matches!(peer, Peer::Dify { .. });
    let is_botkit = matches!(peer, Peer::Botkit { .. });
    let is_activities = matches!(peer, Peer::BotFramework(_));
    let table = [
        ("action", draft.action.is_some(), matches!(peer, Peer::RasaActions { .. })),
        ("welcome", draft.welcome.is_some(), is_activities),
        ("replies", draft.replies.is_some(), is_activities),
        ("idle", draft.idle.is_some(), is_activities),
        ("model", draft.model.is_some(), is_model),
        ("instructions", draft.instructions.is_some(), is_model),
        ("stream", draft.stream.is_some(), streams),
        ("history", draft.history.is_some(), is_model),
        ("max_tokens", draft.max_tokens.is_some(), is_model),
        ("temperature", draft.temperature.is_some(), is_model),
        ("store", draft.store.is_some(), matches!(peer, Peer::OpenaiResponses { .. })),
        ("tools", draft.tools.is_some(), is_model),
        ("client_id", draft.client_id.is_some(), is_botkit),
        ("component", draft.component.is_some(), is_botkit),
    ];
    let given = table.iter().filter(|(_, given, belongs)| *given && !belongs);
    let kind = peer.kind();
    wrong.extend(given.map(|(word, ..)| format!("connector.{word}: {kind} has no such word")));
}

/// A kit finds its bot by an id of one shape only; ids that are made here have it.
fn id_of_kit(peer: &Peer, draft: &BotDraft, wrong: &mut Wrong) {
    let (Peer::Botkit { .. }, Some(id)) = (peer, draft.id.as_deref()) else { return };
    let byte = |at: usize| id.as_bytes().get(at).copied().unwrap_or_default();
    // st-xxxxxxxx-xxxx-5xxx-[89ab]xxx-xxxxxxxxxxxx
    if byte(17) != b'5' || !b"89ab".contains(&byte(22)) {
        wrong.push("id: a BotKit only takes a UUID of version 5 behind st-".to_owned());
    }
}

/// Back into the draft that people write.
pub(super) fn draft(logic: &ConnectorLogic) -> ConnectorDraft {
    let mut draft = ConnectorDraft {
        kind: Some(logic.peer.kind().to_owned()),
        url: Some(logic.url.to_string()),
        deadline: Some(format!("{}ms", logic.deadline.as_millis())),
        attempts: Some(logic.attempts_max),
        ..ConnectorDraft::default()
    };
    match &logic.peer {
        Peer::Rasa => {}
        Peer::RasaActions { action } => draft.action = Some(action.clone()),
        Peer::BotFramework(how) => {
            draft.welcome = Some(how.welcome);
            draft.replies = Some(how.replies.as_str().to_owned());
            draft.idle = Some(format!("{}ms", how.idle_ms));
        }
        Peer::Openai(model) => describe(&mut draft, model),
        Peer::OpenaiResponses { model, store } => {
            describe(&mut draft, model);
            draft.store = Some(*store);
        }
        Peer::Botkit { client_id, component } => {
            draft.client_id = Some(client_id.clone());
            draft.component = Some(component.clone());
        }
        Peer::Dify { stream } => draft.stream = Some(*stream),
    }
    draft
}

fn describe(draft: &mut ConnectorDraft, model: &Model) {
    draft.model = Some(model.model.clone());
    draft.instructions.clone_from(&model.instructions);
    draft.stream = Some(model.stream);
    draft.history = Some(model.history);
    draft.max_tokens = model.max_tokens;
    draft.temperature = model.temperature;
    let tool = |tool: &Tool| ToolDraft {
        name: tool.name.clone(),
        description: tool.description.clone(),
        url: tool.url.to_string(),
        parameters: Some(tool.parameters.clone()),
    };
    let tools: Vec<_> = model.tools.iter().map(tool).collect();
    draft.tools = (!tools.is_empty()).then_some(tools);
}

/// A patch of it: `null` takes a word out, anything else replaces it.
pub(super) fn merge(old: &mut Value, patch: &Value) {
    let (Some(words), Some(patch)) = (old.as_object_mut(), patch.as_object()) else {
        old.clone_from(patch);
        return;
    };
    for (word, value) in patch {
        if value.is_null() {
            words.shift_remove(word);
        } else {
            words.insert(word.clone(), value.clone());
        }
    }
}

#[cfg(test)]
#[path = "connectors_tests.rs"]
mod tests;

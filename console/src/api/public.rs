//! `POST /api/public/channels`, in the platform's own shape: for scripts that were written for it. The
//! token stands in `auth`, bare, or in `Authorization`. What it makes is a draft that awaits approval.

use http::request::Parts;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::broker::Broker;
use shared::domain::channel::ChannelState;
use shared::store::Store;

use super::Room;
use super::answer::{self, Refusal, Reply};
use super::serve::{Failed, bearer, holder, read};
use crate::arriving::Arriving;
use crate::office::actor::Scope;
use crate::office::copies;
use crate::office::drafts::ChannelDraft;
use crate::office::problem::Problem;

pub(super) const PATH: &str = "/api/public/channels";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    stream_id: String,
    #[serde(rename = "type")]
    kind: String,
    channel_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    display_name: String,
    #[serde(default)]
    enable: bool,
    #[serde(default)]
    is_async: bool,
    app: App,
    #[serde(default)]
    post_url: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct App {
    client_id: String,
}

pub(super) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    head: &Parts,
    body: &mut Arriving<'_>,
) -> Result<Reply, Failed> {
    if head.method != Method::POST {
        return Err(Refusal::Method(vec!["POST"]).into());
    }
    let bare = head.headers.get("auth").and_then(|value| value.to_str().ok()).map(str::trim);
    let actor = holder(room, bare.or_else(|| bearer(&head.headers))).await?;
    actor.need(Scope::Configure)?;
    let body = read(&head.headers, body).await?;
    let wrong = || Problem::invalid("the body is not what the platform's API takes");
    let asked: Asked = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let details = asked.channel_details;
    if asked.kind != "ivr" {
        return Err(Problem::invalid("type: only \"ivr\", the webhook channel, is known").into());
    }
    if details.is_async != details.post_url.is_some() {
        let words = "postUrl: an asynchronous channel has one, and a synchronous one has none";
        return Err(Problem::invalid(words).into());
    }
    let mut draft = json!({
        "bot": asked.stream_id,
        "app": details.app.client_id,
        "name": details.display_name,
    });
    if let Some(fields) = draft.as_object_mut() {
        let given = [("post_url", &details.post_url), ("access_token", &details.access_token)];
        for (word, value) in given {
            fields.extend(value.as_ref().map(|text| (word.to_owned(), Value::from(text.as_str()))));
        }
    }
    let Value::Object(draft) = draft else { return Err(wrong().into()) };
    let draft: ChannelDraft = copies::read(draft)?;
    let state = if details.enable { ChannelState::AwaitingApproval } else { ChannelState::Draft };
    let made = room.desk.add_channel(&actor, &draft, state).await?;
    room.tell().await;
    let answer = json!({
        "streamId": made.bot_id,
        "channelDetails": {
            "type": "ivr",
            "displayName": made.name,
            "enable": details.enable,
            "isAsync": details.is_async,
            "webhookId": made.webhook_id,
            "url": made.url,
            "state": made.state,
        },
        "type": "ivr",
    });
    Ok(answer::one(StatusCode::OK, &answer, false))
}

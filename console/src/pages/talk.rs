//! Talk to bot: a message goes to ingress over HTTP, as a client's would, with a token that is minted here.
//! Answers of asynchronous channels are read in the ledger, for they go elsewhere.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use shared::broker::Broker;
use shared::config::Settings;
use shared::config::value::{AllowedTarget, Value as _};
use shared::egress::{Client, Request, Response};
use shared::registry::Channel;
use shared::store::Store;
use url::Url;

use super::ask::Ask;
use super::bubbles;
use super::reply::Done;
use super::shown;
use super::ui::{Block, Bubble, Bubbles, Card, Chat, Link, Page, path};
use crate::office::actor::Scope;
use crate::office::ledger::{TurnView, TurnsOf};
use crate::office::problem::Problem;
use crate::office::{find, token};

const TOKEN_MS: u64 = 60_000;
const DEADLINE: Duration = Duration::from_secs(30);
const RESPONSE_MAX: usize = 1024 * 1024;
/// Turns that one exchange of the chat looks at.
const TURNS: u32 = 20;

/// A client that reaches ingress, and where it is. The guard protects against addresses that a stranger
/// chose; this one the operator chose.
pub(crate) fn way(settings: &Settings) -> Option<(Client, Url)> {
    let url = settings.console.ingress_url.clone();
    let url = url.or_else(|| Url::parse(&crate::host_url(settings)).ok())?;
    let anywhere = ["0.0.0.0/0", "::/0"];
    let allow = anywhere.iter().filter_map(|text| AllowedTarget::parse(text).ok());
    let open = shared::config::Egress { allow: allow.collect(), allow_http: true };
    Some((Client::new(&open, Vec::new()).ok()?, url))
}

fn chat<B, S: Store>(ask: &Ask<'_, B, S>, said: Vec<Bubble>) -> Chat {
    let typed = ask.form.raw("user");
    let person: String = ask.actor.person.chars().filter(char::is_ascii_alphanumeric).collect();
    let user = if typed.is_empty() { format!("console-{person}") } else { typed.to_owned() };
    Chat {
        say: path(&["channels", ask.id(), "talk"]),
        heard: path(&["channels", ask.id(), "heard"]),
        csrf: ask.csrf.clone(),
        user,
        said: Bubbles(said),
    }
}

async fn whole<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    said: Vec<Bubble>,
) -> Result<Page, Problem> {
    let view = ask.desk().channel(ask.id()).await?;
    let here = path(&["channels", &view.webhook_id]);
    let card = Card { parts: vec![Block::Chat(chat(ask, said))], ..Card::default() };
    let mut actions = Vec::new();
    if ask.may(Scope::Operate) {
        actions.push(Link::danger(format!("{here}/erase"), "Erase a user's data"));
    }
    Ok(Page {
        live: 0,
        title: "Talk to bot".to_owned(),
        section: "channels",
        badge: Some(shown::state(&view.state)),
        crumbs: vec![Link::new("/channels", "Channels"), Link::new(here, shown::named(&view.name))],
        lead: "Messages go to the webhook as a client's would.".to_owned(),
        actions,
        blocks: vec![Block::Card(card)],
    })
}

pub(super) async fn page<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    Ok(Done::Page(whole(ask, Vec::new()).await?))
}

/// A part of the chat for a script, a page for everybody else.
async fn told<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    said: Vec<Bubble>,
    more: bool,
    after: String,
) -> Result<Done, Problem> {
    if !ask.is_script {
        return Ok(Done::Page(whole(ask, said).await?));
    }
    let html = Bubbles(said).to_string();
    Ok(Done::Piece { html, more, after })
}

pub(super) async fn say<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let text = ask.form.raw("text");
    let mut said = vec![Bubble::Mine(text.to_owned())];
    let book = ask.desk().book().await?;
    let channel = find::channel(&book.registry, ask.id())?;
    let app = find::app(&book.registry, channel.client.as_str())?;
    let now = ask.desk().clock.unix_ms();
    let minted = match token::mint(&app, "console", Some(TOKEN_MS), now) {
        Ok(minted) => minted.token,
        Err(why) => {
            said.push(Bubble::Wrong(why));
            return told(ask, said, false, String::new()).await;
        }
    };
    let before = newest(ask, &channel, None).await?;
    let before = before.first().map(|turn| turn.turn_id.clone()).unwrap_or_default();
    match sent(ask, &channel, &minted, text).await {
        Ok(response) if response.status.is_success() && channel.endpoint.is_some() => {
            said.push(Bubble::Meta("Accepted. The answer is on its way.".to_owned()));
            told(ask, said, true, before).await
        }
        Ok(response) => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            if response.status.is_success() {
                said.extend(bubbles::of_body(&body));
            } else {
                said.push(Bubble::Wrong(format!("{}: {body}", response.status.as_u16())));
            }
            told(ask, said, false, String::new()).await
        }
        Err(why) => {
            said.push(Bubble::Wrong(why));
            told(ask, said, false, String::new()).await
        }
    }
}

async fn sent<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    channel: &Channel,
    token: &str,
    text: &str,
) -> Result<Response, String> {
    let Some((client, base)) = &ask.room.ways.ingress else {
        return Err("this process does not know where ingress is".to_owned());
    };
    let url = format!("{}{}", base.as_str().trim_end_matches('/'), channel.path());
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    let bearer = HeaderValue::try_from(format!("bearer {token}"));
    headers.insert(AUTHORIZATION, bearer.map_err(|error| error.to_string())?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body: Value = json!({
        "session": {"new": ask.form.is_checked("new")},
        "message": {"text": text},
        "from": {"id": ask.form.raw("user")},
    });
    let request = Request {
        method: Method::POST,
        url,
        headers,
        body: Bytes::from(body.to_string()),
        deadline: DEADLINE,
        response_max: RESPONSE_MAX,
    };
    client.send(request).await.map_err(|error| {
        tracing::warn!(%error, "ingress was not reached");
        "ingress was not reached: see this process's log".to_owned()
    })
}

/// The turns of this user, newest first.
async fn newest<B: Broker, S: Store>(
    ask: &Ask<'_, B, S>,
    channel: &Channel,
    after: Option<&str>,
) -> Result<Vec<TurnView>, Problem> {
    let (channel, user) = (Some(channel.id.as_str()), Some(ask.form.raw("user")));
    let of = TurnsOf { channel, user, limit: TURNS, ..TurnsOf::default() };
    let page = ask.desk().turns(&ask.actor, of).await?;
    let newer = |turn: &TurnView| after.is_none_or(|after| turn.turn_id.as_str() > after);
    Ok(page.items.into_iter().filter(newer).collect())
}

/// What was answered since, and where it stands.
pub(super) async fn heard<B: Broker, S: Store>(ask: &Ask<'_, B, S>) -> Result<Done, Problem> {
    let book = ask.desk().book().await?;
    let channel = find::channel(&book.registry, ask.id())?;
    let after = ask.form.raw("after");
    let mut said = vec![Bubble::Mine(ask.form.raw("text").to_owned())];
    let mut more = false;
    let turns = newest(ask, &channel, Some(after)).await?;
    if turns.is_empty() {
        said.push(Bubble::Meta("Accepted. The answer is on its way.".to_owned()));
        more = true;
    }
    for turn in turns.iter().rev() {
        let whole = ask.desk().turn(&ask.actor, &turn.turn_id).await?;
        for one in &whole.deliveries {
            said.extend(bubbles::of_body(&one.body));
            more |= one.state == "waiting";
            let tries = if one.attempts == 1 { "attempt" } else { "attempts" };
            said.push(Bubble::Meta(format!("{}, {} {tries}", one.state, one.attempts)));
        }
    }
    told(ask, said, more, after.to_owned()).await
}

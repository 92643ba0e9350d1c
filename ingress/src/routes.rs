//! From a request to its answer: which route, and what every answer has in common.

mod activity;
mod body;
mod door;
mod hook;
mod poll;
mod repeat;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use shared::broker::Broker;
use shared::domain::ids::{BotId, ChannelId, TurnId};
use shared::store::Store;
use tokio::time::Instant;

use crate::domain::refusal::Refusal;
use crate::error::{self, Version};
use crate::metrics::Route;
use crate::room::Room;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Hook {
        bot: BotId,
        instance: Option<ChannelId>,
    },
    /// `None`: what stands there is no poll id.
    Poll {
        bot: BotId,
        instance: Option<ChannelId>,
        turn: Option<TurnId>,
    },
    /// What a bot of the Bot Framework calls, and what of it follows the conversation.
    Activity {
        ticket: String,
        below: Vec<String>,
    },
    Nothing,
}

/// Ids are plain: a path with an escape in it names none, and is not decoded.
fn target(path: &str) -> Target {
    let parts: Vec<&str> = path.split('/').skip(1).take(9).collect();
    let hook = |bot: &str, instance: Option<&str>| Target::Hook {
        bot: bot.into(),
        instance: instance.map(ChannelId::from),
    };
    let poll = |bot: &str, instance: Option<&str>, turn: &str| Target::Poll {
        bot: bot.into(),
        instance: instance.map(ChannelId::from),
        turn: TurnId::parse(turn),
    };
    match parts[..] {
        _ if parts.contains(&"") => Target::Nothing,
        ["chatbot", "hooks", bot] => hook(bot, None),
        ["chatbot", "hooks", bot, "hookInstance", instance] => hook(bot, Some(instance)),
        ["chatbot", "v2", "webhook", bot, "poll", turn] => poll(bot, None, turn),
        ["chatbot", "v2", "webhook", bot, "hookInstance", instance, "poll", turn] => {
            poll(bot, Some(instance), turn)
        }
        ["bot-framework", ticket, "v3", "conversations", _, ref below @ ..] => Target::Activity {
            ticket: ticket.to_owned(),
            below: below.iter().map(|&part| part.to_owned()).collect(),
        },
        _ => Target::Nothing,
    }
}

impl Target {
    const fn route(&self) -> Route {
        match self {
            Self::Hook { instance: None, .. } => Route::Hook,
            Self::Hook { .. } => Route::Instance,
            Self::Poll { .. } => Route::Poll,
            Self::Activity { .. } => Route::Activity,
            Self::Nothing => Route::Other,
        }
    }
}

/// Answers one request. Every refusal is counted and written here.
pub(crate) async fn answer<B: Broker, S: Store>(
    room: Arc<Room<B, S>>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let started = Instant::now();
    let (head, mut incoming) = request.into_parts();
    let target = target(head.uri.path());
    let route = target.route();
    let answer = match plain(&head) {
        Ok(()) => go(&room, peer, target, &head, &mut incoming).await,
        Err(why) => Err(Refusal::Framing(why)),
    };
    let version = match route {
        Route::Poll => Version::V2,
        Route::Activity => Version::BotFramework,
        Route::Hook | Route::Instance | Route::Other => Version::V1,
    };
    let response = match answer {
        Ok(response) => response,
        Err(refusal) => {
            if refusal.leaves_the_body() {
                body::discard(&mut incoming, &head.headers).await;
            }
            room.metrics.refusals.with_label_values(&[refusal.reason()]).inc();
            let id = error::trace_id(&room.ground.entropy);
            let response = error::refuse(&refusal, version, &id);
            room.teller.refused(&refusal, route, response.status(), &id);
            response
        }
    };
    room.timings.observe(route, response.status().as_u16(), started.elapsed());
    Ok(response)
}

async fn go<B: Broker, S: Store>(
    room: &Room<B, S>,
    peer: IpAddr,
    target: Target,
    head: &Parts,
    incoming: &mut Incoming,
) -> Result<Response<Body>, Refusal> {
    match target {
        Target::Hook { bot, instance } if head.method == Method::POST => {
            hook::answer(room, peer, (bot, instance), &head.headers, incoming).await
        }
        Target::Poll { bot, instance, turn } if head.method == Method::GET => {
            poll::answer(room, peer, (bot, instance), turn, &head.headers).await
        }
        Target::Activity { ticket, below } => {
            activity::answer(room, &ticket, &below, head, incoming).await
        }
        Target::Nothing => Err(Refusal::NoPath),
        Target::Hook { .. } => Err(Refusal::Method("POST")),
        Target::Poll { .. } => Err(Refusal::Method("GET")),
    }
}

/// One place may be named, once: what stands in front of us may have gone by another (RFC 9112 §3.2).
fn plain(head: &Parts) -> Result<(), &'static str> {
    if head.uri.authority().is_some() {
        return Err("the request's target is not a plain path");
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.as_bytes().iter().all(|byte| is_of_host(*byte)) => Ok(()),
        (Some(_), None) => Err("the Host is none"),
        (None, _) if head.version < http::Version::HTTP_11 => Ok(()),
        (None, _) => Err("there is no Host"),
        (Some(_), Some(_)) => Err("there is more than one Host"),
    }
}

/// What host names, addresses and ports are made of; user names, lists and paths are not.
const fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_hook_a_poll_or_nothing() {
        let instance = Some(ChannelId::from("ivrInst-1"));
        let turn = TurnId::parse("0190a0b0c0d0e0f00102030405060708");
        let (bot, none) = (BotId::from("st-1"), None::<ChannelId>);
        let poll = |instance, turn| Target::Poll { bot: bot.clone(), instance, turn };
        let activity = |below: &[&str]| Target::Activity {
            ticket: "t".to_owned(),
            below: below.iter().map(|&part| part.to_owned()).collect(),
        };
        for (path, expected) in [
            ("/chatbot/hooks/st-1", Target::Hook { bot: bot.clone(), instance: None }),
            (
                "/chatbot/hooks/st-1/hookInstance/ivrInst-1",
                Target::Hook { bot: bot.clone(), instance: instance.clone() },
            ),
            (
                "/chatbot/v2/webhook/st-1/poll/0190a0b0c0d0e0f00102030405060708",
                poll(none.clone(), turn),
            ),
            (
                "/chatbot/v2/webhook/st-1/hookInstance/ivrInst-1/poll/0190a0b0c0d0e0f00102030405060708",
                poll(instance, turn),
            ),
            ("/chatbot/v2/webhook/st-1/poll/short", poll(none, None)),
            ("/chatbot/hooks/st-1/", Target::Nothing),
            ("/chatbot/hooks", Target::Nothing),
            ("/chatbot/hooks/", Target::Nothing),
            ("/chatbot//hooks/st-1", Target::Nothing),
            ("/chatbot/hooks/st-1/hookInstance/", Target::Nothing),
            ("/chatbot/v2/webhook/st-1/poll/", Target::Nothing),
            ("/", Target::Nothing),
            ("*", Target::Nothing),
            ("/a/chatbot/hooks/st-1", Target::Nothing),
            ("/chatbot/hooks/st-1/hookInstance/ivrInst-1/more", Target::Nothing),
            ("/CHATBOT/hooks/st-1", Target::Nothing),
            (
                "/bot-framework/t/v3/conversations/c%2F1/activities/a",
                activity(&["activities", "a"]),
            ),
            ("/bot-framework/t/v3/conversations/c", activity(&[])),
            ("/bot-framework/t/v3/conversations", Target::Nothing),
            ("/bot-framework/t/v3/conversations//activities", Target::Nothing),
            ("/bot-framework/v3/conversations/c/activities", Target::Nothing),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
    }

    #[test]
    fn a_request_names_one_host_and_a_plain_path() {
        let check = |target: &str, version, hosts: &[&str]| {
            let mut request = Request::get(target).version(version);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            plain(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        let (old, new) = (http::Version::HTTP_10, http::Version::HTTP_11);
        for host in ["x", "a.example:8080", "127.0.0.1", "[::1]:80", ""] {
            assert!(check("/", new, &[host]), "{host}");
        }
        for host in ["a b", "a,b", "user@a", "a/b", "a\t"] {
            assert!(!check("/", new, &[host]), "{host}");
        }
        assert!(check("/", old, &[]) && !check("/", new, &[]));
        assert!(!check("/", new, &["a", "a"]) && !check("/", old, &["a", "b"]));
        assert!(!check("http://a/", new, &["a"]));
    }
}

//! From a request to its answer: which route, and what every answer has in common.

mod body;
mod door;
mod hook;
mod poll;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, Response, Version, header};
use hyper::body::Incoming;
use shared::broker::Broker;
use shared::domain::ids::{BotId, ChannelId, TurnId};
use shared::store::Store;
use tokio::time::Instant;

use crate::domain::refusal::Refusal;
use crate::error;
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
    Nothing,
}

/// Why a request cannot be trusted to be meant for us: a target or a host that two readers may take for
/// two things (RFC 9112 §3.2).
fn doubt(request: &Request<Incoming>) -> Option<&'static str> {
    if request.uri().authority().is_some() {
        return Some("the request's target is not a plain path");
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    let needed = request.version() == Version::HTTP_11;
    (hosts > 1 || (hosts == 0 && needed)).then_some("there must be one Host header")
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
    if parts.contains(&"") {
        return Target::Nothing;
    }
    match parts[..] {
        ["chatbot", "hooks", bot] => hook(bot, None),
        ["chatbot", "hooks", bot, "hookInstance", instance] => hook(bot, Some(instance)),
        ["chatbot", "v2", "webhook", bot, "poll", turn] => poll(bot, None, turn),
        ["chatbot", "v2", "webhook", bot, "hookInstance", instance, "poll", turn] => {
            poll(bot, Some(instance), turn)
        }
        _ => Target::Nothing,
    }
}

impl Target {
    const fn route(&self) -> Route {
        match self {
            Self::Hook { instance: None, .. } => Route::Hook,
            Self::Hook { .. } => Route::Instance,
            Self::Poll { .. } => Route::Poll,
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
    let target = target(request.uri().path());
    let route = target.route();
    let post = request.method() == Method::POST;
    let get = request.method() == Method::GET;
    let doubt = doubt(&request);
    let answer = match target {
        _ if let Some(why) = doubt => Err(Refusal::Framing(why)),
        Target::Hook { bot, instance } if post => {
            hook::answer(&room, peer, (bot, instance), request).await
        }
        Target::Poll { bot, instance, turn } if get => {
            poll::answer(&room, peer, (bot, instance), turn, request.headers()).await
        }
        Target::Nothing => Err(Refusal::NoPath),
        Target::Hook { .. } | Target::Poll { .. } => Err(Refusal::Method),
    };
    let version = if route == Route::Poll { error::Version::V2 } else { error::Version::V1 };
    let response = answer.unwrap_or_else(|refusal| {
        room.metrics.refusals.with_label_values(&[refusal.reason()]).inc();
        error::refuse(&refusal, version, &room.ground.entropy)
    });
    room.timings.observe(route, response.status().as_u16(), started.elapsed());
    Ok(response)
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
            ("/chatbot/v2/webhook/st-1/poll/", Target::Nothing),
            ("/", Target::Nothing),
            ("*", Target::Nothing),
            ("/a/chatbot/hooks/st-1", Target::Nothing),
            ("/chatbot/hooks/st-1/hookInstance/ivrInst-1/more", Target::Nothing),
            ("/CHATBOT/hooks/st-1", Target::Nothing),
        ] {
            assert_eq!(target(path), expected, "{path}");
        }
    }
}

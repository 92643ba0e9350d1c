//! Requests of the API: bounded in size and time, before anything is believed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, Method};
use shared::broker::Broker;
use shared::store::Store;

use super::answer::{self, Refusal, Reply};
use super::call::Call;
use super::table::{BASE, ROUTES, Route};
use super::{Room, handlers, public};
use crate::arriving::{Arriving, Unread};
use crate::office::actor::Actor;
use crate::office::problem::Problem;

const BODY_MAX: usize = 4 * 1024 * 1024;

/// Answers one request below `/api`.
pub(crate) async fn answer<B: Broker, S: Store>(
    room: &Room<B, S>,
    head: &Parts,
    body: &mut Arriving<'_>,
) -> Reply {
    match answered(room, head, body).await {
        Ok(reply) => reply,
        Err(Failed::Edge(refusal)) => refusal.reply(),
        Err(Failed::Office(problem)) => answer::refused(&problem),
    }
}

/// Who said no.
pub(super) enum Failed {
    Edge(Refusal),
    Office(Problem),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Edge(refusal)
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Office(problem)
    }
}

async fn answered<B: Broker, S: Store>(
    room: &Room<B, S>,
    head: &Parts,
    body: &mut Arriving<'_>,
) -> Result<Reply, Failed> {
    if head.headers.get_all(HOST).iter().count() != 1 || head.uri.authority().is_some() {
        return Err(Problem::invalid("the request names no host, or more than one place").into());
    }
    if head.uri.path() == public::PATH {
        return public::answer(room, head, body).await;
    }
    let (route, parts) = route(head)?;
    if route.is_public() {
        let described = handlers::described(route.action);
        return Ok(answer::one(http::StatusCode::OK, &described, false));
    }
    let actor = holder(room, bearer(&head.headers)).await?;
    if let Some(scope) = route.scope {
        actor.need(scope)?;
    }
    let query = query(head, route)?;
    let expected = expected(&head.headers, route)?;
    let body = read(&head.headers, body).await?;
    let key = head.headers.get("idempotency-key").filter(|_| route.takes_key());
    let key = key.map(|value| value.to_str().unwrap_or_default().to_owned());
    let call = Call { route, actor, parts, query, body, expected, key };
    let reply = handlers::answer(room, &call).await?;
    if *route.method != Method::GET {
        room.tell().await;
    }
    Ok(reply)
}

fn route(head: &Parts) -> Result<(&'static Route, Vec<String>), Failed> {
    let path = head.uri.path().strip_prefix(BASE).ok_or(Refusal::NoPath)?;
    // A literal path wins over one with a part that varies: who is called like it is reached by id.
    let mut here: Vec<_> =
        ROUTES.iter().filter_map(|route| Some((route, route.matches(path)?))).collect();
    let least = here.iter().map(|(_, parts)| parts.len()).min();
    here.retain(|(_, parts)| Some(parts.len()) == least);
    let allowed: Vec<_> = here.iter().map(|(route, _)| route.method.as_str()).collect();
    let found = here.into_iter().find(|(route, _)| *route.method == head.method);
    let Some((route, raw)) = found else {
        let nothing = allowed.is_empty();
        return Err(if nothing { Refusal::NoPath } else { Refusal::Method(allowed) }.into());
    };
    let decoded = raw.iter().map(|part| decoded(part)).collect::<Option<Vec<_>>>();
    Ok((route, decoded.ok_or(Refusal::NoPath)?))
}

/// Percent-decoded; names may stand for ids.
fn decoded(part: &str) -> Option<String> {
    let text = format!("http://x/?{}", part.replace('+', "%2B").replace(['&', '='], "%26"));
    if part.contains(['&', '=', '#', '?']) {
        return None;
    }
    let url = url::Url::parse(&text).ok()?;
    let (word, _) = url.query_pairs().next()?;
    (!word.contains('\u{fffd}') && !word.contains('\0')).then(|| word.into_owned())
}

fn query(head: &Parts, route: &Route) -> Result<BTreeMap<String, String>, Problem> {
    let text = format!("http://x/?{}", head.uri.query().unwrap_or_default());
    let url = url::Url::parse(&text).map_err(|_| Problem::invalid("the query cannot be read"))?;
    let mut words = BTreeMap::new();
    for (word, value) in url.query_pairs() {
        if !route.query.contains(&word.as_ref()) {
            return Err(Problem::invalid(format!("the query: {word:?} means nothing here")));
        }
        if value.contains('\0') || words.insert(word.to_string(), value.into_owned()).is_some() {
            return Err(Problem::invalid(format!("the query: {word:?} is given twice, or wrong")));
        }
    }
    Ok(words)
}

fn expected(headers: &HeaderMap, route: &Route) -> Result<Option<String>, Failed> {
    if !route.wants_match() {
        return Ok(None);
    }
    let mut given = headers.get_all(IF_MATCH).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(Refusal::NoMatch.into());
    };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    // A weak tag never matches (RFC 9110 §13.1.1); neither does what is no tag at all.
    let tag = text.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    Ok(Some(tag.unwrap_or_default().to_owned()))
}

/// The token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) async fn holder<B: Broker, S: Store>(
    room: &Room<B, S>,
    token: Option<&str>,
) -> Result<Actor, Failed> {
    let token = token.filter(|token| token.len() <= 1_024).ok_or(Refusal::NoToken)?;
    let holder = room.desk.holder(token).await?;
    Ok(holder.ok_or(Refusal::NoToken)?)
}

pub(super) async fn read(headers: &HeaderMap, body: &mut Arriving<'_>) -> Result<Bytes, Failed> {
    let bytes = body.read(BODY_MAX).await.map_err(|why| match why {
        Unread::TooLarge => Refusal::TooLarge.into(),
        Unread::TooSlow => Refusal::TooSlow.into(),
        Unread::Busy => Refusal::Busy.into(),
        Unread::Broken => Failed::from(Problem::invalid("the body cannot be read")),
    })?;
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let plain = ["application/json", "application/merge-patch+json"];
    if !bytes.is_empty() && !plain.iter().any(|known| media.eq_ignore_ascii_case(known)) {
        return Err(Refusal::MediaType.into());
    }
    Ok(bytes)
}

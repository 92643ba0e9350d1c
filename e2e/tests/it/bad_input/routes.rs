//! Paths and methods.

use shared::clock::Clock;
use shared::entropy::Entropy;

use super::NEVER;
use super::rows::{Body, NOT_FOUND, Row, TOKEN, no_data, raw, row};
use crate::support::http::Request;
use crate::support::mint::minimal;
use crate::support::system::System;

const METHOD: Body = Body::Error("Method not allowed");

pub(super) fn rows(system: &System) -> Vec<Row> {
    [paths(system), mutations(system), methods(system), polls(system), calls(system)]
        .into_iter()
        .flatten()
        .collect()
}

fn good(system: &System, path: &str) -> Request {
    let token = minimal(&system.app.client, &system.app.secret);
    Request::post(path, system.message("ann", NEVER)).bearer(&token)
}

fn paths(system: &System) -> Vec<Row> {
    let path = &system.synchronous;
    let bot = system.bot;
    let unknown = [
        "/".to_owned(),
        "/chatbot".to_owned(),
        "/chatbot/hooks".to_owned(),
        "/chatbot/hooks/".to_owned(),
        format!("{path}/"),
        format!("{path}/extra"),
        format!("{path}/hookInstance"),
        format!("{path}/hookInstance/"),
        format!("{}/extra", system.by_instance),
        format!("/{}", path.trim_start_matches("/chatbot/")),
        format!("/chatbot/Hooks/{bot}"),
        system.by_instance.replace("hookInstance", "hookinstance"),
        format!("/chatbot/v2/webhook/{bot}"),
        format!("/chatbot/v3/webhook/{bot}"),
        format!("/api/botmeta/{bot}"),
        "/metrics".to_owned(),
        "/readyz".to_owned(),
        "/livez".to_owned(),
        "/favicon.ico".to_owned(),
    ];
    unknown
        .iter()
        .map(|path| row(format!("POST {path}"), &good(system, path), 404, NOT_FOUND))
        .collect()
}

/// Tricks with a path: unknown, doubtful, or an unknown bot, and never anything else.
fn mutations(system: &System) -> Vec<Row> {
    let (path, bot) = (&system.synchronous, system.bot);
    let tricks = [
        format!("/{path}"),
        path.replacen("hooks/", "hooks//", 1),
        format!("/chatbot/hooks/./{bot}"),
        format!("/chatbot/hooks/../hooks/{bot}"),
        format!("/chatbot/hooks/%2e%2e/hooks/{bot}"),
        format!("/chatbot/hooks/..%2f{bot}"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}."),
        format!("{path};x=1"),
        format!("{path}%2f"),
        format!("{path}%"),
        format!("{path}%zz"),
        format!("{path}%ff"),
        path.to_uppercase(),
        format!("/chatbot/hooks/{}", bot.to_uppercase()),
        format!("/chatbot/hooks/{}", &bot[..bot.len() - 1]),
        format!("/chatbot/hooks/{bot}{bot}"),
        format!("/chatbot/hooks/{}", "x".repeat(6_000)),
        "/chatbot/hooks/*".to_owned(),
        "/chatbot/hooks/'%20or%201=1".to_owned(),
        "/chatbot/hooks/{botId}".to_owned(),
        "/chatbot/hooks/__proto__".to_owned(),
        "*".to_owned(),
    ];
    tricks
        .iter()
        .map(|path| {
            let name: String = format!("POST {path}").chars().take(80).collect();
            raw(name, good(system, path).bytes(), &[400, 401, 404, 414], Body::ErrorOrNone)
        })
        .collect()
}

fn methods(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let with = |method: &str, path: &str| {
        Request::new(method, path)
            .header("Content-Type", "application/json")
            .body(system.message("ann", NEVER))
            .bearer(&token)
    };
    let poll = format!("/chatbot/v2/webhook/{}/poll/{}", system.bot, "0".repeat(32));
    let mut rows: Vec<_> = ["GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "post"]
        .iter()
        .map(|method| {
            let request = with(method, &system.synchronous);
            row(format!("{method} on a channel"), &request, 405, METHOD)
        })
        .collect();
    let overridden = with("GET", &system.asynchronous).header("X-HTTP-Method-Override", "POST");
    rows.push(row("a method override", &overridden, 405, METHOD));
    rows.push(row("POST on a poll", &with("POST", &poll), 405, METHOD));
    rows.push(row("DELETE on a poll", &with("DELETE", &poll), 405, METHOD));
    rows
}

/// What bots call, with tickets that are none: one answer, in the shape that bots read.
fn calls(system: &System) -> Vec<Row> {
    let none =
        || Body::Exactly(r#"{"error":{"code":"not_found","message":"Not found"}}"#.to_owned());
    let tickets = [
        "x".to_owned(),
        "%00".to_owned(),
        "..".to_owned(),
        "AQcA".to_owned(),
        "A".repeat(300),
        "a+/=".repeat(50),
        "x".repeat(20_000),
        minimal(&system.app.client, &system.app.secret),
    ];
    let methods = ["POST", "GET", "PUT", "DELETE", "PATCH"];
    let pairs = tickets.iter().flat_map(|ticket| methods.map(|method| (ticket, method)));
    pairs
        .map(|(ticket, method)| {
            let path = format!("/bot-framework/{ticket}/v3/conversations/c/activities/a");
            let request = Request::new(method, &path)
                .header("Content-Type", "application/json")
                .body(system.message("ann", NEVER));
            let name: String = format!("{method} {path}").chars().take(80).collect();
            // A slash makes it another path.
            let body = if ticket.contains('/') { NOT_FOUND } else { none() };
            row(name, &request, 404, body)
        })
        .collect()
}

fn polls(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let base = format!("/chatbot/v2/webhook/{}/poll", system.bot);
    let now = Clock::Real.unix_ms();
    let made = |ms: u64| Entropy::Real.uuid_v7(ms).simple().to_string();
    let hour = 3_600_000;
    let spent = [
        ("a nil id", "0".repeat(32)),
        ("an id of another kind", "a69b1077c3541e76253be58aa340950b".to_owned()),
        ("no hex", "z".repeat(32)),
        ("too short", made(now)[1..].to_owned()),
        ("too long", format!("{}0", made(now))),
        ("of the day before yesterday", made(now - 25 * hour)),
        ("of tomorrow", made(now + hour)),
        ("SQL", "'%20or%20'1'='1".to_owned()),
    ];
    let get = |path: &str| Request::new("GET", path).bearer(&token);
    let mut rows: Vec<_> = spent
        .iter()
        .map(|(name, id)| {
            row(format!("poll: {name}"), &get(&format!("{base}/{id}")), 400, no_data())
        })
        .collect();
    let running = made(now);
    let inprogress = format!(r#"{{"status":"Inprogress","pollId":"{running}","_v":"v2"}}"#);
    let fresh = format!("{base}/{running}");
    rows.push(row("poll: not yet there", &get(&fresh), 200, Body::Exactly(inprogress)));
    let unknown = "/chatbot/v2/webhook/st-00000000-0000-5000-8000-ffffffffffff/poll";
    rows.push(row("poll: unknown bot", &get(&format!("{unknown}/{running}")), 401, TOKEN));
    rows.push(row("poll: no token", &Request::new("GET", &fresh), 401, TOKEN));
    let other = minimal(&system.hs512.client, &system.hs512.secret);
    rows.push(row("poll: a stranger", &Request::new("GET", &fresh).bearer(&other), 401, TOKEN));
    rows.push(row("poll: no id", &get(&format!("{base}/")), 404, NOT_FOUND));
    rows.push(row("poll: more path", &get(&format!("{fresh}/x")), 404, NOT_FOUND));
    rows
}

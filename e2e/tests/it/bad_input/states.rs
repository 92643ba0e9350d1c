//! Whose channel it is, whether it works, and in which order the refusals come.

use super::NEVER;
use super::rows::{Body, PAYLOAD, Row, TOKEN, row, said};
use crate::support::http::Request;
use crate::support::mint::minimal;
use crate::support::system::System;

pub(super) fn rows(system: &System) -> Vec<Row> {
    [doors(system), order(system), keys(system)].into_iter().flatten().collect()
}

fn token(system: &System) -> String {
    minimal(&system.app.client, &system.app.secret)
}

fn doors(system: &System) -> Vec<Row> {
    let ours = token(system);
    let others = minimal(&system.other.client, &system.other.secret);
    let post = |path: &str| Request::post(path, system.message("ann", NEVER));
    let unknown = "st-ffffffff-ffff-5fff-8fff-ffffffffffff";
    let instance = "ivrInst-ffffffff-ffff-5fff-8fff-ffffffffffff";
    let (bot, bare, elsewhere) = (system.bot, system.bare_bot, system.elsewhere);
    let refused = [
        ("an unknown bot", format!("/chatbot/hooks/{unknown}"), &ours),
        ("a bot without a channel", format!("/chatbot/hooks/{bare}"), &ours),
        ("an unknown instance", format!("/chatbot/hooks/{bot}/hookInstance/{instance}"), &ours),
        ("another bot's instance", format!("/chatbot/hooks/{bot}/hookInstance/{elsewhere}"), &ours),
        ("a bot's own id as instance", format!("/chatbot/hooks/{bot}/hookInstance/{bot}"), &ours),
        ("another app's channel of our bot", system.foreign.clone(), &ours),
        ("our channel with another app's token", system.asynchronous.clone(), &others),
        ("our waiting channel with another app's token", system.awaiting.clone(), &others),
        ("our suspended channel with another app's token", system.suspended.clone(), &others),
    ];
    let mut rows: Vec<_> = refused
        .iter()
        .map(|(name, path, token)| row(*name, &post(path).bearer(token), 401, TOKEN))
        .collect();
    let waiting = Body::ErrorNaming("", "awaiting approval");
    let suspended = Body::ErrorNaming("", "suspended");
    rows.push(row("not approved", &post(&system.awaiting).bearer(&ours), 403, waiting));
    rows.push(row("suspended", &post(&system.suspended).bearer(&ours), 403, suspended));
    let hello = Request::post(&system.by_instance, system.message("ann", "hello")).bearer(&ours);
    rows.push(row("the first channel by its instance", &hello, 200, said("hello")));
    rows
}

/// Nothing is told of a channel, a body or a header before the token is proved; nothing of a body before
/// the channel works.
fn order(system: &System) -> Vec<Row> {
    let ours = token(system);
    let bad = |path: &str| Request::post(path, "{").bearer("a.b.c");
    vec![
        row("bad token, bad body", &bad(&system.synchronous), 401, TOKEN),
        row("bad token, waiting channel", &bad(&system.awaiting), 401, TOKEN),
        row("bad token, suspended channel", &bad(&system.suspended), 401, TOKEN),
        row("no token, bad body", &Request::post(&system.synchronous, "{"), 401, TOKEN),
        row(
            "no token, no JSON",
            &Request::new("POST", &system.synchronous).header("Content-Type", "text/plain"),
            401,
            TOKEN,
        ),
        row(
            "waiting channel, bad body",
            &Request::post(&system.awaiting, "{").bearer(&ours),
            403,
            Body::Error(""),
        ),
        row(
            "good token, bad body",
            &Request::post(&system.synchronous, "{").bearer(&ours),
            400,
            PAYLOAD,
        ),
    ]
}

fn keys(system: &System) -> Vec<Row> {
    let ours = token(system);
    let post = |text: &str, key: &[u8]| {
        Request::post(&system.synchronous, system.message("ann", text))
            .bearer(&ours)
            .header("Idempotency-Key", key)
    };
    let bad = Body::Error("Invalid Idempotency-Key");
    let other_body = Body::Error("The Idempotency-Key was used with another body");
    let two = post(NEVER, b"one").header("Idempotency-Key", "two");
    vec![
        row("a key", &post("hello", b"key-1"), 200, said("hello")),
        row("a key again", &post("hello", b"key-1"), 200, said("hello")),
        row("a key with another body", &post(NEVER, b"key-1"), 422, other_body),
        row("a key again after that", &post("hello", b"key-1"), 200, said("hello")),
        row("a key of 255 bytes", &post("hello", &[b'k'; 255]), 200, said("hello")),
        row("a key of 256 bytes", &post(NEVER, &[b'k'; 256]), 400, bad.clone()),
        row("a key with a space", &post("hello", b"key 2"), 200, said("hello")),
        row("a key with a bell", &post(NEVER, b"key\x07"), 400, Body::ErrorOrNone),
        row("an empty key", &post(NEVER, b""), 400, bad.clone()),
        row("a key beyond ASCII", &post(NEVER, b"k\xc3\xa9"), 400, bad.clone()),
        row("two keys", &two, 400, bad),
    ]
}

//! Headers: what the body is said to be, where the token is, and too much of everything.

use super::NEVER;
use super::rows::{Body, HANG_UP, Row, TOKEN, raw, row, said};
use crate::support::http::Request;
use crate::support::mint::minimal;
use crate::support::system::System;

pub(super) fn rows(system: &System) -> Vec<Row> {
    [media(system), tokens(system), amounts(system), good(system)].into_iter().flatten().collect()
}

fn media(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let plain = || {
        Request::new("POST", &system.asynchronous).bearer(&token).body(system.message("ann", NEVER))
    };
    let unsupported = Body::Error("");
    let types = [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/octet-stream",
        "json",
        "application/jsonp",
        "",
    ];
    let mut rows: Vec<_> = types
        .iter()
        .map(|kind| {
            let request = plain().header("Content-Type", *kind);
            row(format!("Content-Type: {kind}"), &request, 415, unsupported.clone())
        })
        .collect();
    rows.push(row("no Content-Type", &plain(), 415, unsupported.clone()));
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"] {
        let request =
            plain().header("Content-Type", "application/json").header("Content-Encoding", encoding);
        rows.push(row(format!("encoded: {encoding}"), &request, 415, unsupported.clone()));
    }
    rows
}

fn tokens(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let post = |path: &str| Request::post(path, system.message("ann", NEVER));
    let in_query = format!("{}?access_token={token}&auth={token}", system.asynchronous);
    let here = &system.asynchronous;
    let two = [400, 401];
    vec![
        row("no Authorization", &post(here), 401, TOKEN),
        row("auth instead", &post(here).header("auth", token.as_str()), 401, TOKEN),
        row("in the query", &post(&in_query), 401, TOKEN),
        row("in a cookie", &post(here).header("Cookie", format!("token={token}")), 401, TOKEN),
        row("an empty Authorization", &post(here).header("Authorization", ""), 401, TOKEN),
        raw(
            "two tokens",
            post(here).bearer(&token).bearer(&token).bytes(),
            &two,
            Body::ErrorOrNone,
        ),
        raw(
            "a token of 200 KB",
            post(here).bearer(&"x".repeat(200_000)).bytes(),
            &[400, 401, 431],
            Body::ErrorOrNone,
        ),
    ]
}

fn amounts(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let post = || Request::post(&system.asynchronous, system.message("ann", NEVER)).bearer(&token);
    let too_many = (0..1_000).fold(post(), |request, n| request.header(&format!("X-{n}"), "x"));
    let long = post().header("X-Long", vec![b'x'; 1024 * 1024]);
    let path = format!("{}?{}", system.asynchronous, "x".repeat(200_000));
    let long_path = Request::post(&path, system.message("ann", NEVER)).bearer(&token);
    vec![
        raw("1,000 headers", too_many.bytes(), &[400, 431, HANG_UP], Body::ErrorOrNone),
        raw("a header of 1 MB", long.bytes(), &[400, 431, HANG_UP], Body::ErrorOrNone),
        raw("a query of 200 KB", long_path.bytes(), &[400, 414, 431, HANG_UP], Body::ErrorOrNone),
    ]
}

/// Odd, and allowed.
fn good(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let plain = || {
        Request::new("POST", &system.synchronous)
            .bearer(&token)
            .body(system.message("ann", "hello"))
    };
    let mut rows: Vec<_> =
        ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
            .iter()
            .map(|kind| {
                let request = plain().header("Content-Type", *kind);
                row(format!("Content-Type: {kind}"), &request, 200, said("hello"))
            })
            .collect();
    let json = || plain().header("Content-Type", "application/json");
    let odd = [
        ("Expect", &b"100-continue"[..]),
        ("Origin", b"https://shop.example"),
        ("Accept", b"text/html"),
        ("traceparent", b"00-zz-zz-zz"),
        ("X-Forwarded-For", b"10.0.0.1, \"'; drop table turn"),
        ("User-Agent", b"\xff\xfe"),
        ("CC", b"deliveries.g1.p00"),
    ];
    for (name, value) in odd {
        let request = json().header(name, value);
        rows.push(row(format!("an odd {name}"), &request, 200, said("hello")));
    }
    rows
}

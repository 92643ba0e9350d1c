//! Requests that two readers could read in two ways, or that are no HTTP at all.

use super::NEVER;
use super::rows::{Body, HANG_UP, Row, raw};
use crate::support::mint::minimal;
use crate::support::system::System;

pub(super) fn rows(system: &System) -> Vec<Row> {
    let mut rows = ambiguous(system);
    rows.extend(chunks(system));
    rows.extend(noise(system));
    rows
}

/// Method and path, then these lines, then what follows; all of it as it stands here.
fn request(system: &System, lines: &str, body: &str) -> Vec<u8> {
    let token = minimal(&system.app.client, &system.app.secret);
    let path = &system.asynchronous;
    let head = format!(
        "POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n"
    );
    format!("{head}{lines}\r\n{body}").into_bytes()
}

fn ambiguous(system: &System) -> Vec<Row> {
    let body = system.message("ann", NEVER);
    let n = body.len();
    let chunked = format!("{n:x}\r\n{body}\r\n0\r\n\r\n");
    let host = "Host: localhost\r\n";
    let length = format!("Content-Length: {n}\r\n");
    let table = [
        ("no Host", length.clone(), &body),
        ("two Hosts", format!("{host}Host: other\r\n{length}"), &body),
        ("the same Host twice", format!("{host}{host}{length}"), &body),
        ("length and encoding", format!("{host}{length}Transfer-Encoding: chunked\r\n"), &chunked),
        ("encoding and length", format!("{host}Transfer-Encoding: chunked\r\n{length}"), &chunked),
        ("two lengths", format!("{host}{length}Content-Length: {}\r\n", n + 1), &body),
        ("a list of lengths", format!("{host}Content-Length: {n}, {n}\r\n"), &body),
        ("a signed length", format!("{host}Content-Length: +{n}\r\n"), &body),
        ("a negative length", format!("{host}Content-Length: -1\r\n"), &body),
        ("a length in hex", format!("{host}Content-Length: 0x{n:x}\r\n"), &body),
        ("a length beyond all", format!("{host}Content-Length: 99999999999999999999\r\n"), &body),
        ("an unknown encoding", format!("{host}Transfer-Encoding: xchunked\r\n"), &chunked),
        ("two encodings", format!("{host}Transfer-Encoding: gzip, chunked\r\n"), &chunked),
        ("a space before the colon", format!("{host}Transfer-Encoding : chunked\r\n"), &chunked),
        ("a folded header", format!("{host}X-Y: a\r\n b\r\n{length}"), &body),
        ("a bare line feed", format!("{host}X-Y: a\nX-Z: b\r\n{length}"), &body),
        ("a bare carriage return", format!("{host}X-Y: a\rX-Z: b\r\n{length}"), &body),
        ("a NUL in a header", format!("{host}X-Y: a\0b\r\n{length}"), &body),
        ("a header without a colon", format!("{host}X-Y\r\n{length}"), &body),
        ("a header without a name", format!("{host}: x\r\n{length}"), &body),
    ];
    table
        .iter()
        .map(|(name, lines, body)| {
            raw(*name, request(system, lines, body), &[400], Body::Error("Bad request"))
        })
        .collect()
}

fn chunks(system: &System) -> Vec<Row> {
    let body = system.message("ann", NEVER);
    let n = body.len();
    let bad = [
        ("a chunk without a size", format!("\r\n{body}\r\n0\r\n\r\n")),
        ("a negative chunk", format!("-1\r\n{body}\r\n0\r\n\r\n")),
        ("a chunk in 0x", format!("0x{n:x}\r\n{body}\r\n0\r\n\r\n")),
        ("a chunk beyond all", format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n")),
        ("a chunk shorter than said", format!("{:x}\r\n{body}\r\n0\r\n\r\n", n - 1)),
        ("a line feed after a size", format!("{n:x}\n{body}\r\n0\r\n\r\n")),
        ("a line feed in an extension", format!("{n:x};a\nb\r\n{body}\r\n0\r\n\r\n")),
    ];
    let lines = "Host: localhost\r\nTransfer-Encoding: chunked\r\n";
    let mut rows: Vec<_> = bad
        .iter()
        .map(|(name, body)| {
            let statuses = [400, 408, HANG_UP];
            raw(*name, request(system, lines, body), &statuses, Body::ErrorOrNone)
        })
        .collect();
    let good = system.message("chunks", "hello");
    let good =
        format!("5\r\n{}\r\n{:x};x=y\r\n{}\r\n0\r\n\r\n", &good[..5], good.len() - 5, &good[5..]);
    rows.push(raw(
        "good chunks",
        request(system, lines, &good),
        &[200],
        Body::Exactly(String::new()),
    ));
    rows
}

fn noise(system: &System) -> Vec<Row> {
    let path = &system.asynchronous;
    let statuses = [400, 404, 405, HANG_UP];
    let noise: [(&str, Vec<u8>); 9] = [
        ("HTTP/0.9", format!("GET {path}\r\n\r\n").into_bytes()),
        ("HTTP/3.0", format!("GET {path} HTTP/3.0\r\nHost: x\r\n\r\n").into_bytes()),
        ("no version", format!("POST {path} HTTP\r\nHost: x\r\n\r\n").into_bytes()),
        ("a space in the path", format!("POST {path} x HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()),
        (
            "a method with odd letters",
            format!("P@ST\u{e9} {path} HTTP/1.1\r\nHost: x\r\n\r\n").into(),
        ),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("an AMQP greeting", b"AMQP\x00\x00\x09\x01\r\n\r\n".to_vec()),
        ("zeros", vec![0; 4_096]),
        (
            "another host in the path",
            b"POST http://other.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
    ];
    let mut rows: Vec<_> = noise
        .iter()
        .map(|(name, bytes)| raw(*name, bytes.clone(), &statuses, Body::ErrorOrNone))
        .collect();
    let half = format!("POST {path} HTTP/1.1\r\nHost: loc").into_bytes();
    rows.push(raw("half a head", half, &[400, 408, HANG_UP], Body::ErrorOrNone));
    rows
}

//! Bodies: not JSON, not the protocol's, too much of it; and odd ones that are good.

use super::NEVER;
use super::rows::{Body, PAYLOAD, Row, naming, raw, row, said};
use crate::support::http::Request;
use crate::support::mint::minimal;
use crate::support::system::System;

pub(super) fn rows(system: &System) -> Vec<Row> {
    [syntax(system), encodings(system), fields(system), twice(system), sizes(system), good(system)]
        .into_iter()
        .flatten()
        .collect()
}

/// Refused rows go to the asynchronous channel: whoever were heard would be heard by its receiver.
fn post(system: &System, body: impl Into<Vec<u8>>) -> Request {
    let token = minimal(&system.app.client, &system.app.secret);
    Request::post(&system.asynchronous, body).bearer(&token)
}

fn refused<'a>(
    system: &System,
    table: impl IntoIterator<Item = (&'a str, Vec<u8>, Body)>,
) -> Vec<Row> {
    let refused = |(name, bytes, body): (&str, Vec<u8>, Body)| {
        row(format!("body: {name}"), &post(system, bytes), 400, body)
    };
    table.into_iter().map(refused).collect()
}

fn syntax(system: &System) -> Vec<Row> {
    let whole = system.message("ann", NEVER);
    let texts = [
        ("empty", String::new()),
        ("blank", " \r\n\t ".to_owned()),
        ("a word", "hello".to_owned()),
        ("cut short", whole[..whole.len() - 1].to_owned()),
        ("with more behind it", format!("{whole}x")),
        ("twice", format!("{whole}{whole}")),
        ("a comma too many", format!("{},}}", &whole[..whole.len() - 1])),
        ("single quotes", whole.replace('"', "'")),
        ("keys without quotes", whole.replace("\"from\"", "from")),
        ("a comment", format!("/* hello */{whole}")),
        ("not a number", whole.replace(&format!("\"{NEVER}\""), "NaN")),
        ("a form", format!("message={NEVER}&from=ann")),
        ("XML", format!("<message>{NEVER}</message>")),
        ("a list", format!("[{whole}]")),
        ("a text", format!("{whole:?}")),
        ("a number", "7".to_owned()),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("nested beyond reason", "[".repeat(100_000)),
    ];
    refused(system, texts.map(|(name, text)| (name, text.into_bytes(), PAYLOAD)))
}

fn encodings(system: &System) -> Vec<Row> {
    let whole = system.message("ann", NEVER);
    let with = |bytes: &[u8]| {
        whole.replace(NEVER, "@").bytes().fold(Vec::new(), |mut all, byte| {
            if byte == b'@' {
                all.extend_from_slice(bytes);
            } else {
                all.push(byte);
            }
            all
        })
    };
    let utf16: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let table = [
        ("no UTF-8", with(b"\xff")),
        ("a surrogate in UTF-8", with(b"\xed\xa0\x80")),
        ("an overlong slash", with(b"\xc0\xaf")),
        ("UTF-16", utf16),
        ("a byte order mark", [b"\xef\xbb\xbf", whole.as_bytes()].concat()),
        ("a NUL", with(br"a\u0000b")),
        ("a raw NUL", with(b"a\0b")),
        ("a raw line end", with(b"a\nb")),
        ("a lone surrogate", with(br"\ud800")),
        ("half an escape", with(br"\u12")),
        ("an unknown escape", with(br"\x41")),
    ];
    refused(system, table.map(|(name, bytes)| (name, bytes, PAYLOAD)))
}

fn fields(system: &System) -> Vec<Row> {
    let ann = r#""from":{"id":"ann"}"#;
    let hi = format!(r#""message":{{"text":"{NEVER}"}}"#);
    let long = "u".repeat(257);
    let tags = |tags: &str| format!(r#"{{{hi},{ann},"metaTags":{{"userLevelTags":{tags}}}}}"#);
    let table: Vec<(&str, String, Body)> = vec![
        ("nothing", "{}".to_owned(), naming("message")),
        ("no message", format!("{{{ann}}}"), naming("message")),
        ("message null", format!(r#"{{"message":null,{ann}}}"#), naming("message")),
        ("message a text", format!(r#"{{"message":"{NEVER}",{ann}}}"#), naming("message")),
        ("message a list", format!(r#"{{"message":["{NEVER}"],{ann}}}"#), naming("message")),
        ("no text", format!(r#"{{"message":{{}},{ann}}}"#), naming("message.text")),
        ("Text", format!(r#"{{"message":{{"Text":"{NEVER}"}},{ann}}}"#), naming("message.text")),
        ("text null", format!(r#"{{"message":{{"text":null}},{ann}}}"#), naming("message.text")),
        ("text a number", format!(r#"{{"message":{{"text":1}},{ann}}}"#), naming("message.text")),
        ("text a list", format!(r#"{{"message":{{"text":["a"]}},{ann}}}"#), naming("message.text")),
        (
            "a message of version 2",
            format!(r#"{{"message":{{"type":"text","val":"{NEVER}"}},{ann}}}"#),
            naming("message.text"),
        ),
        ("no from", format!("{{{hi}}}"), naming("from")),
        ("from null", format!(r#"{{{hi},"from":null}}"#), naming("from")),
        ("from a text", format!(r#"{{{hi},"from":"ann"}}"#), naming("from")),
        ("no id", format!(r#"{{{hi},"from":{{}}}}"#), naming("from.id")),
        ("id null", format!(r#"{{{hi},"from":{{"id":null}}}}"#), naming("from.id")),
        ("id a number", format!(r#"{{{hi},"from":{{"id":7}}}}"#), naming("from.id")),
        ("id a list", format!(r#"{{{hi},"from":{{"id":["ann"]}}}}"#), naming("from.id")),
        ("id empty", format!(r#"{{{hi},"from":{{"id":""}}}}"#), naming("from.id")),
        ("id of 257 bytes", format!(r#"{{{hi},"from":{{"id":"{long}"}}}}"#), naming("from.id")),
        ("id on two lines", format!(r#"{{{hi},"from":{{"id":"a\nb"}}}}"#), naming("from.id")),
        ("id with a NUL", format!(r#"{{{hi},"from":{{"id":"a\u0000"}}}}"#), PAYLOAD),
        ("session a text", format!(r#"{{"session":"new",{hi},{ann}}}"#), naming("session")),
        (
            "new a text",
            format!(r#"{{"session":{{"new":"no"}},{hi},{ann}}}"#),
            naming("session.new"),
        ),
        ("new a number", format!(r#"{{"session":{{"new":0}},{hi},{ann}}}"#), naming("session.new")),
        ("customData a text", format!(r#"{{{hi},{ann},"customData":"x"}}"#), naming("customData")),
        ("customData a list", format!(r#"{{{hi},{ann},"customData":[]}}"#), naming("customData")),
        (
            "userInfo a list",
            format!(r#"{{{hi},"from":{{"id":"ann","userInfo":[]}}}}"#),
            naming("userInfo"),
        ),
        (
            "attachments a text",
            format!(r#"{{"message":{{"text":"{NEVER}","attachments":"l"}},{ann}}}"#),
            naming("attachments"),
        ),
        (
            "attachments of numbers",
            format!(r#"{{"message":{{"text":"{NEVER}","attachments":[1]}},{ann}}}"#),
            naming("attachments"),
        ),
        ("metaTags a list", format!(r#"{{{hi},{ann},"metaTags":[]}}"#), naming("metaTags")),
        ("tags an object", tags("{}"), naming("metaTags.userLevelTags")),
        ("tags of texts", tags(r#"["x"]"#), naming("metaTags.userLevelTags")),
        (
            "mergeIdentity a number",
            format!(r#"{{{hi},{ann},"mergeIdentity":1}}"#),
            naming("mergeIdentity"),
        ),
        (
            "preferredChannelForResponse a list",
            format!(r#"{{{hi},{ann},"preferredChannelForResponse":[]}}"#),
            naming("preferredChannelForResponse"),
        ),
    ];
    refused(system, table.into_iter().map(|(name, text, body)| (name, text.into_bytes(), body)))
}

/// Two readers of a key that comes twice may understand two different things.
fn twice(system: &System) -> Vec<Row> {
    let ann = r#""from":{"id":"ann"}"#;
    let hi = format!(r#""message":{{"text":"{NEVER}"}}"#);
    let table = [
        ("from twice", format!(r#"{{{hi},{ann},"from":{{"id":"bob"}}}}"#)),
        ("from.id twice", format!(r#"{{{hi},"from":{{"id":"ann","id":"bob"}}}}"#)),
        ("message twice", format!("{{{hi},{hi},{ann}}}")),
        ("text twice", format!(r#"{{"message":{{"text":"a","text":"{NEVER}"}},{ann}}}"#)),
        (
            "text twice, one escaped",
            format!(r#"{{"message":{{"text":"a","te\u0078t":"b"}},{ann}}}"#),
        ),
        ("session twice", format!(r#"{{"session":{{}},"session":{{"new":true}},{hi},{ann}}}"#)),
        ("customData twice", format!(r#"{{{hi},{ann},"customData":{{}},"customData":{{}}}}"#)),
    ];
    refused(system, table.map(|(name, text)| (name, text.into_bytes(), PAYLOAD)))
}

fn sizes(system: &System) -> Vec<Row> {
    let with = |custom: String| {
        format!(r#"{{"message":{{"text":"{NEVER}"}},"from":{{"id":"ann"}},"customData":{custom}}}"#)
    };
    let nested = |depth: usize| format!("{}{}", r#"{"a":"#.repeat(depth) + "1", "}".repeat(depth));
    let keys: Vec<_> = (0..20_000).map(|n| format!(r#""{n}":1"#)).collect();
    let many = |links: usize| {
        let links = vec![r#""l""#; links].join(",");
        format!(
            r#"{{"message":{{"text":"{NEVER}","attachments":[{links}]}},"from":{{"id":"ann"}}}}"#
        )
    };
    let long = system.message("ann", &format!("{NEVER}{}", "x".repeat(64 * 1024)));
    let big = with(format!(r#"{{"x":"{}"}}"#, "x".repeat(256 * 1024)));
    let large = Body::Error("");
    let declared = post(system, "{").header("Content-Length", "10000000");
    let chunked = format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
    let chunked = post(system, chunked).header("Transfer-Encoding", "chunked");
    let beyond = with(r#"{"x":1e999}"#.to_owned()).replace(NEVER, "hello");
    let beyond = post(system, beyond);
    let digits = with(format!(r#"{{"x":{}}}"#, "9".repeat(300 * 1024)));
    vec![
        row("65 levels", &post(system, with(nested(64))), 400, PAYLOAD),
        row("1,000 levels", &post(system, with(nested(1_000))), 400, PAYLOAD),
        row("20,000 keys", &post(system, with(format!("{{{}}}", keys.join(",")))), 400, PAYLOAD),
        row("21 attachments", &post(system, many(21)), 400, naming("attachments")),
        row("5,000 attachments", &post(system, many(5_000)), 400, naming("attachments")),
        row("a text of 64 KiB and a byte", &post(system, long), 400, naming("message.text")),
        row("more than 256 KiB", &post(system, big), 413, large.clone()),
        row("a number of 300 KiB", &post(system, digits), 413, large.clone()),
        row("10 MB, declared only", &declared, 413, large.clone()),
        row("more than 256 KiB in a chunk", &chunked, 413, large),
        raw("a number beyond all numbers", beyond.bytes(), &[200, 400], Body::Any),
        raw(
            "a body that never ends",
            post(system, "{").header("Content-Length", "100").bytes(),
            &[400, 408],
            Body::ErrorOrNone,
        ),
    ]
}

/// Odd, and allowed: the bot hears the text byte for byte.
fn good(system: &System) -> Vec<Row> {
    let token = minimal(&system.app.client, &system.app.secret);
    let id = "u".repeat(256);
    let table = [
        ("spaces around", format!(" \r\n{} \n", system.message("ann", "hello"))),
        ("a user of 256 bytes", system.message(&id, "hello")),
        ("a user beyond ASCII", system.message("zoë", "hello")),
        ("to is not the bot", r#"{"message":{"text":"hello"},"from":{"id":"ann"},"to":{"id":"Kore.ai","groupInfo":{"id":"","name":""}}}"#.to_owned()),
        ("to is a text", r#"{"message":{"text":"hello"},"from":{"id":"ann"},"to":"x"}"#.to_owned()),
        ("empty user info", r#"{"session":{"new":false},"message":{"text":"hello"},"from":{"id":"ann","userInfo":{"firstName":"","lastName":"","email":"","user_data":{}}}}"#.to_owned()),
        ("one bare attachment", r#"{"message":{"text":"hello","attachments":{"url":"x"}},"from":{"id":"ann"}}"#.to_owned()),
        ("an attached link", r#"{"message":{"text":"hello","attachments":["https://x.example"]},"from":{"id":"ann"}}"#.to_owned()),
        ("unknown keys", r#"{"opts":{"x":[null]},"message":{"text":"hello","x":1},"from":{"id":"ann"},"nlMeta":{}}"#.to_owned()),
        ("a prototype", r#"{"message":{"text":"hello"},"from":{"id":"ann"},"customData":{"__proto__":{"x":1},"constructor":{}}}"#.to_owned()),
        ("20 attachments", format!(r#"{{"message":{{"text":"hello","attachments":[{}]}},"from":{{"id":"ann"}}}}"#, [r#""l""#; 20].join(","))),
        ("tags, identity and channel", r#"{"message":{"text":"hello"},"from":{"id":"ann"},"metaTags":{"userLevelTags":[{"name":"a","value":"b"}]},"mergeIdentity":"true","preferredChannelForResponse":"rtm"}"#.to_owned()),
        ("nulls", r#"{"session":null,"message":{"text":"hello","attachments":null},"from":{"id":"ann","userInfo":null},"to":null,"customData":null}"#.to_owned()),
        ("64 levels", format!(r#"{{"message":{{"text":"hello"}},"from":{{"id":"ann"}},"customData":{}1{}}}"#, r#"{"a":"#.repeat(63), "}".repeat(63))),
    ];
    let mut rows: Vec<_> = table
        .iter()
        .map(|(name, body)| {
            let request = Request::post(&system.synchronous, body.as_str()).bearer(&token);
            row(format!("good: {name}"), &request, 200, said("hello"))
        })
        .collect();
    for text in ["", "\u{202e}right to left", "👩\u{200d}👧 é e\u{301}", "<b>&amp;\"\\/\u{1f}"]
    {
        let body = system.message("ann", text);
        let request = Request::post(&system.synchronous, body).bearer(&token);
        rows.push(row(format!("good: the text {text:?}"), &request, 200, said(text)));
    }
    rows
}

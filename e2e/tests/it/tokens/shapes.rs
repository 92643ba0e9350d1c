//! Tokens of every shape: the ones that prove an app, and all the others.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use shared::clock::Clock;

use crate::support::mint::{HS256, encode, minimal, sign, signed};
use crate::support::system::{App, System};

/// A name for the failure message, what goes into `Authorization`, and whether it proves the app.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) authorization: Vec<u8>,
    pub(super) proves: bool,
}

fn row(name: &str, token: impl AsRef<str>, proves: bool) -> Row {
    let authorization = format!("Bearer {}", token.as_ref()).into_bytes();
    Row { name: name.to_owned(), authorization, proves }
}

pub(super) fn rows(system: &System) -> Vec<Row> {
    [
        accepted(system),
        algorithms(system),
        signatures(system),
        framing(system),
        headers(system),
        apps(system),
        times(system),
        schemes(system),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn now() -> u64 {
    Clock::Real.unix_ms() / 1_000
}

fn in_the_future(by: Duration) -> u64 {
    now() + by.as_secs()
}

/// The shapes that real clients send, and what else must not be refused.
fn accepted(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let day = in_the_future(Duration::from_hours(24));
    let (soon, past) = (now() + 20, now() - 20);
    let claims = [
        ("the smallest", format!(r#"{{"appId":"{client}","sub":"1234567890"}}"#)),
        (
            "with an identity",
            format!(r#"{{"appId":"{client}","sub":"1","userIdentity":"ann","iat":161639822}}"#),
        ),
        (
            "a test connector's",
            format!(
                r#"{{"isAnonymous":true,"appId":"{client}","aud":"https://idproxy.kore.ai/authorize","sub":"ann","iat":0,"exp":{day}}}"#
            ),
        ),
        ("iss in the place of appId", format!(r#"{{"sub":"ann","iss":"{client}"}}"#)),
        ("iss beside appId", format!(r#"{{"appId":"{client}","sub":"1","iss":"cs-somebody"}}"#)),
        ("any audiences", format!(r#"{{"appId":"{client}","sub":"1","aud":["a","b"]}}"#)),
        ("not expired", format!(r#"{{"appId":"{client}","sub":"1","exp":{day}}}"#)),
        ("valid since 1970", format!(r#"{{"appId":"{client}","sub":"1","nbf":0}}"#)),
        ("expired within the leeway", format!(r#"{{"appId":"{client}","sub":"1","exp":{past}}}"#)),
        (
            "not yet valid within the leeway",
            format!(r#"{{"appId":"{client}","sub":"1","nbf":{soon}}}"#),
        ),
        (
            "unknown claims",
            format!(r#"{{"x":{{"y":[null]}},"appId":"{client}","sub":"1","jti":"7"}}"#),
        ),
        ("spaces in the JSON", format!(" {{ \"appId\" : \"{client}\" ,\n\"sub\":\"1\" }} ")),
    ];
    let headers = [
        ("no typ", r#"{"alg":"HS256"}"#),
        ("typ in lower case", r#"{"typ":"jwt","alg":"HS256"}"#),
        ("kid into the file system", r#"{"alg":"HS256","kid":"../../../../dev/null"}"#),
        ("kid into SQL", r#"{"alg":"HS256","kid":"x' union select 'secret"}"#),
        ("jku elsewhere", r#"{"alg":"HS256","jku":"http://127.0.0.1:1/keys"}"#),
        ("x5u elsewhere", r#"{"alg":"HS256","x5u":"http://127.0.0.1:1/cert"}"#),
        ("a key of its own", r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#),
    ];
    let good = format!(r#"{{"appId":"{client}","sub":"1"}}"#);
    let by_claims =
        claims.iter().map(|(name, claims)| row(name, signed(HS256, claims, secret), true));
    let by_header =
        headers.iter().map(|(name, header)| row(name, signed(header, &good, secret), true));
    by_claims.chain(by_header).collect()
}

fn algorithms(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let claims = encode(format!(r#"{{"appId":"{client}","sub":"1"}}"#));
    let mut rows = Vec::new();
    for none in ["none", "None", "NONE", "nOnE"] {
        let input = format!("{}.{claims}", encode(format!(r#"{{"alg":"{none}"}}"#)));
        rows.push(row(&format!("{none} without a signature"), format!("{input}."), false));
        let token = sign(&input, secret, Algorithm::HS256);
        rows.push(row(&format!("{none} with a good signature"), token, false));
    }
    let headers = [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":""}"#,
        r#"{"alg":256}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256 "}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"PS256"}"#,
        r#"{"alg":"EdDSA"}"#,
        r#"{"alg":"dir","enc":"A256GCM"}"#,
        r#"{"ALG":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
    ];
    for header in headers {
        let token = sign(&format!("{}.{claims}", encode(header)), secret, Algorithm::HS256);
        rows.push(row(header, token, false));
    }
    for (alg, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let input = format!("{}.{claims}", encode(format!(r#"{{"alg":"{alg}"}}"#)));
        rows.push(row(&format!("{alg}, signed so"), sign(&input, secret, algorithm), false));
        let input = format!("{}.{claims}", encode(HS256));
        rows.push(row(
            &format!("HS256, signed with {alg}"),
            sign(&input, secret, algorithm),
            false,
        ));
    }
    rows
}

fn signatures(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let claims = format!(r#"{{"appId":"{client}","sub":"1"}}"#);
    let good = minimal(client, secret);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    // 32 bytes are 43 digits, and the last digit has two bits to spare: the same bytes, written differently.
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = digits.find(&signature[42..]).unwrap();
    let twin = &digits[last + 1..last + 2];
    vec![
        row("no signature", format!("{input}."), false),
        row("a flipped bit", format!("{input}.{flipped}{}", &signature[1..]), false),
        row("cut short", format!("{input}.{}", &signature[..42]), false),
        row("one digit more", format!("{input}.{signature}A"), false),
        row("spare bits set", format!("{input}.{}{twin}", &signature[..42]), false),
        row("padded", format!("{input}.{signature}="), false),
        row("a space inside", format!("{input}.{} {}", &signature[..20], &signature[20..]), false),
        row("not base64url", format!("{input}.{}+/", &signature[..41]), false),
        row("of zeros", format!("{input}.{}", encode([0; 32])), false),
        row("in hex", format!("{input}.{}", "00".repeat(32)), false),
        row(
            "another secret",
            signed(HS256, &claims, "another secret of more than 32 bytes"),
            false,
        ),
        row("the other app's secret", signed(HS256, &claims, &system.other.secret), false),
        row("the client id as secret", signed(HS256, &claims, client), false),
        row("an empty secret", signed(HS256, &claims, ""), false),
        row("the secret in another case", signed(HS256, &claims, &swap_case(secret)), false),
    ]
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| {
        if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    let swapped: String = text.chars().map(swap).collect();
    assert_ne!(swapped, text, "the secret has letters");
    swapped
}

/// Another number of parts, other encodings of the parts, other serialisations.
fn framing(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let good = minimal(client, secret);
    let parts: Vec<_> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{good}") };
    let nested = signed(r#"{"alg":"HS256","cty":"JWT"}"#, &good, secret);
    let json =
        format!(r#"{{"protected":"{header}","payload":"{claims}","signature":"{signature}"}}"#);
    let big = |bytes: usize| {
        let claims = format!(r#"{{"appId":"{client}","sub":"1","x":"{}"}}"#, "x".repeat(bytes));
        signed(HS256, claims, secret)
    };
    let padded = format!("{header}.{claims}=");
    vec![
        row("nothing", "", false),
        row("one part", header, false),
        row("two parts", format!("{header}.{claims}"), false),
        row("four parts", format!("{good}.{signature}"), false),
        row("five parts, as a JWE", format!("{header}..{claims}.{signature}.{signature}"), false),
        row("a leading dot", format!(".{good}"), false),
        row("a trailing dot", format!("{good}."), false),
        row("dots only", "..", false),
        row("no header", format!(".{claims}.{signature}"), false),
        row("no claims", format!("{header}..{signature}"), false),
        row("no claims, signed", sign(&format!("{header}."), secret, Algorithm::HS256), false),
        row("padded claims, signed", sign(&padded, secret, Algorithm::HS256), false),
        row("a token inside the token", nested, false),
        row("serialised as JSON", json, false),
        row("encoded once more", encode(&good), false),
        row("twice, with a comma", format!("{good}, {good}"), false),
        row("a word", "undefined", false),
        row("9 KiB, well signed", big(9 * 1024), false),
    ]
}

fn headers(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let claims = format!(r#"{{"appId":"{client}","sub":"1"}}"#);
    let text = [
        ("an empty header", ""),
        ("a header that is no JSON", "HS256"),
        ("a header that is a list", r#"["HS256"]"#),
        ("a header that is a text", r#""HS256""#),
        ("a header that is null", "null"),
        ("a header cut short", r#"{"alg":"HS256""#),
        ("a header and more", r#"{"alg":"HS256"}{}"#),
        ("a critical extension", r#"{"alg":"HS256","crit":["exp"],"exp":1}"#),
        ("an unencoded payload", r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#),
    ];
    let mut rows: Vec<_> = text
        .iter()
        .map(|(name, header)| row(name, signed(header, &claims, secret), false))
        .collect();
    let bytes = [
        ("a header with a byte order mark", "\u{feff}{\"alg\":\"HS256\"}".as_bytes()),
        ("a header that is no UTF-8", b"{\"alg\":\"HS256\",\"x\":\"\xff\"}"),
    ];
    rows.extend(
        bytes.iter().map(|(name, header)| row(name, signed(header, &claims, secret), false)),
    );
    rows
}

/// Who the claims say that it is.
fn apps(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let other = &system.other;
    let stranger = "cs-00000000-0000-5000-8000-000000000000";
    let claims = [
        ("claims that are no JSON", "appId".to_owned()),
        ("claims that are a list", format!(r#"["{client}"]"#)),
        ("claims that are a text", format!(r#""{client}""#)),
        ("empty claims", "{}".to_owned()),
        ("no app at all", r#"{"sub":"1"}"#.to_owned()),
        ("appId null", r#"{"appId":null,"sub":"1"}"#.to_owned()),
        ("appId a number", r#"{"appId":1,"sub":"1"}"#.to_owned()),
        ("appId a list", format!(r#"{{"appId":["{client}"],"sub":"1"}}"#)),
        ("appId empty", r#"{"appId":"","sub":"1"}"#.to_owned()),
        ("appid", format!(r#"{{"appid":"{client}","sub":"1"}}"#)),
        ("App ID", format!(r#"{{"App ID":"{client}","sub":"1"}}"#)),
        ("appId in capitals", format!(r#"{{"appId":"{}","sub":"1"}}"#, client.to_uppercase())),
        ("appId with a space", format!(r#"{{"appId":"{client} ","sub":"1"}}"#)),
        ("appId of an unknown app", format!(r#"{{"appId":"{stranger}","sub":"1"}}"#)),
        ("the other appId, our secret", format!(r#"{{"appId":"{}","sub":"1"}}"#, other.client)),
        (
            "the other appId over our iss",
            format!(r#"{{"appId":"{}","iss":"{client}","sub":"1"}}"#, other.client),
        ),
        ("iss of an unknown app", format!(r#"{{"iss":"{stranger}","sub":"1"}}"#)),
        ("appId twice", format!(r#"{{"appId":"{}","appId":"{client}","sub":"1"}}"#, other.client)),
        ("no sub", format!(r#"{{"appId":"{client}"}}"#)),
        ("sub null", format!(r#"{{"appId":"{client}","sub":null}}"#)),
    ];
    let mut rows: Vec<_> = claims
        .iter()
        .map(|(name, claims)| row(name, signed(HS256, claims, secret), false))
        .collect();
    rows.push(row("the other app's own good token", minimal(&other.client, &other.secret), false));
    rows
}

fn times(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let (hour_ago, ahead) = (now() - 3_600, now() + 3_600);
    let two_minutes_ago = now() - 120;
    let claims = [
        format!(r#""exp":{hour_ago}"#),
        format!(r#""exp":{two_minutes_ago}"#),
        format!(r#""exp":{hour_ago}.5"#),
        r#""exp":0"#.to_owned(),
        r#""exp":-1"#.to_owned(),
        r#""exp":1e400"#.to_owned(),
        r#""exp":"9999999999""#.to_owned(),
        r#""exp":true"#.to_owned(),
        r#""exp":[9999999999]"#.to_owned(),
        r#""exp":{}"#.to_owned(),
        format!(r#""nbf":{ahead}"#),
        r#""nbf":"0""#.to_owned(),
        format!(r#""nbf":{ahead},"exp":{hour_ago}"#),
        format!(r#""exp":{ahead},"exp":{hour_ago}"#),
    ];
    let token = |claim: &String| {
        signed(HS256, format!(r#"{{"appId":"{client}","sub":"1",{claim}}}"#), secret)
    };
    claims.iter().map(|claim| row(claim, token(claim), false)).collect()
}

/// How the token travels.
fn schemes(system: &System) -> Vec<Row> {
    let App { client, secret } = &system.app;
    let good = minimal(client, secret);
    let as_is = |name: &str, authorization: String, proves| Row {
        name: name.to_owned(),
        authorization: authorization.into_bytes(),
        proves,
    };
    vec![
        as_is("small", format!("bearer {good}"), true),
        as_is("capital", format!("BEARER {good}"), true),
        as_is("mixed", format!("bEaReR {good}"), true),
        as_is("without a scheme", good.clone(), false),
        as_is("another scheme", format!("Token {good}"), false),
        as_is("basic", format!("Basic {}", encode(format!("{client}:{secret}"))), false),
        as_is("a colon", format!("Bearer: {good}"), false),
        as_is("no space", format!("Bearer{good}"), false),
        as_is("the scheme alone", "Bearer".to_owned(), false),
        as_is("in quotes", format!("Bearer \"{good}\""), false),
        as_is("with more behind it", format!("Bearer {good} x"), false),
        as_is("a parameter", format!("Bearer token={good}"), false),
        Row {
            name: "bytes beyond ASCII".to_owned(),
            authorization: [b"Bearer ", good.as_bytes(), b"\xff"].concat(),
            proves: false,
        },
    ]
}

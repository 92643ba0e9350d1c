//! `token`: what it mints is what clients mint.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::support::Data;

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_token_names_its_app_and_ends_when_asked_to() {
    let data = Data::new();
    let app = data.json(&["app", "add", "--name", "a"]);
    let view = data.json(&["token", "--app", "a", "--sub", "me", "--expires", "15min"]);
    let token = view["token"].as_str().unwrap();
    assert_eq!(part(token, 0)["alg"], "HS256");
    let claims = part(token, 1);
    assert_eq!((&claims["appId"], &claims["sub"]), (&app["client_id"], &"me".into()));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);
    assert_eq!(claims["exp"], view["expires"]);
    let token = data.run(&["token", "--app", "a", "--expires", "never"]);
    assert!(part(token.trim(), 1).get("exp").is_none());
}

#[test]
fn a_token_is_signed_with_the_apps_own_secret() {
    let data = Data::new();
    let app = data.json(&["app", "add", "--name", "a", "--algorithm", "HS512"]);
    let token = data.run(&["token", "--app", "a"]);
    let token = token.trim();
    let verify = |secret: &str| {
        let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
        let mut how = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS512);
        how.required_spec_claims.clear();
        jsonwebtoken::decode::<Value>(token, &key, &how).is_ok()
    };
    assert!(verify(app["client_secret"].as_str().unwrap()));
    assert!(!verify("another secret"));
}

#[test]
fn an_algorithm_that_the_app_is_not_pinned_to_is_refused() {
    let data = Data::new();
    data.run(&["app", "add", "--name", "a"]);
    let (code, said) = data.fails(&["token", "--app", "a", "--algorithm", "HS512"]);
    assert_eq!(code, 65);
    assert!(said.contains("pinned to HS256"), "{said}");
    let (code, said) = data.fails(&["token", "--app", "a", "--expires", "soon"]);
    assert_eq!(code, 64);
    assert!(said.contains("--expires"), "{said}");
}

use super::*;

const SECRET: &[u8] = &[7; 32];

fn key(algorithm: Algorithm) -> Key {
    Key { keys: [Some(DecodingKey::from_secret(SECRET)), None], algorithm }
}

fn sign_with(
    secret: &[u8],
    algorithm: jsonwebtoken::Algorithm,
    header: &str,
    claims: &str,
) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn sign(header: &str, claims: &str) -> String {
    sign_with(SECRET, jsonwebtoken::Algorithm::HS256, header, claims)
}

fn check(token: &str) -> Result<Claims, Failure> {
    UnverifiedClaims::read(token)?.verify(&key(Algorithm::Hs256))
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const MINIMAL: &str = r#"{"appId":"cs-1","sub":"1234567890"}"#;

#[test]
fn the_claim_shapes_seen_in_the_wild_are_read() {
    let wild = [
        MINIMAL,
        r#"{"appId":"cs-1","sub":"random","userIdentity":"john.doe@example.com","iat":161639822}"#,
        r#"{"isAnonymous":true,"appId":"cs-1","aud":"https://idproxy.kore.ai/authorize","sub":"u","iat":0,"exp":86400}"#,
        r#"{"iss":"cs-1","sub":"u","aud":"x","isAnonymous":true,"iat":1,"exp":2}"#,
        r#"{"sub":"u","iss":"cs-1"}"#,
        r#"{"appId":"cs-1","iss":"other","sub":""}"#,
        r#"{"appId":null,"iss":"cs-1","sub":5}"#,
    ];
    for claims in wild {
        assert_eq!(check(&sign(HEADER, claims)).unwrap().client.as_str(), "cs-1", "{claims}");
    }
    let dated = check(&sign(HEADER, r#"{"appId":"cs-1","sub":"","exp":1.5e9,"nbf":-3}"#)).unwrap();
    assert_eq!((dated.expires, dated.not_before), (Some(1.5e9), Some(-3.0)));
}

#[test]
fn claims_that_are_missing_or_of_the_wrong_kind_are_refused() {
    for claims in [
        "{}",
        "[]",
        "",
        r#"{"sub":"x"}"#,
        r#"{"appId":"cs-1"}"#,
        r#"{"appid":"cs-1","sub":"x"}"#,
        r#"{"App ID":"cs-1","sub":"x"}"#,
        r#"{"appId":1,"iss":"cs-1","sub":"x"}"#,
        r#"{"appId":"","sub":"x"}"#,
        r#"{"appId":"cs-1","sub":null}"#,
        r#"{"appId":"cs-1","sub":{}}"#,
        r#"{"appId":"cs-1","sub":"x","exp":"9999999999"}"#,
        r#"{"appId":"cs-1","sub":"x","exp":null}"#,
        r#"{"appId":"cs-1","sub":"x","exp":true}"#,
        r#"{"appId":"cs-1","sub":"x","exp":1e400}"#,
        r#"{"appId":"cs-1","sub":"x","nbf":"0"}"#,
        r#"{"appId":"cs-1","sub":"x","nbf":[]}"#,
        r#"{"appId":"cs-2","appId":"cs-1","sub":"x"}"#,
        r#"{"appId":"cs-1","sub":"x","exp":1,"exp":9999999999}"#,
        r#"{"appId":"cs-1","sub":"x\u0000"}"#,
        &format!(r#"{{"appId":"{}","sub":"x"}}"#, "a".repeat(257)),
        &format!(r#"{{"appId":"cs-1","sub":"{}"}}"#, "a".repeat(257)),
        &format!(r#"{{"appId":"cs-1","sub":"x","x":{}1{}}}"#, "[".repeat(100), "]".repeat(100)),
    ] {
        assert_eq!(check(&sign(HEADER, claims)), Err(Failure::Malformed), "{claims}");
    }
}

#[test]
fn headers_that_ask_for_another_algorithm_or_more_than_is_done_are_refused() {
    for alg in ["none", "None", "nOnE", "HS384", "HS512", "RS256", "hs256", "HS256 ", "ES256", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert_eq!(check(&sign(&header, MINIMAL)), Err(Failure::Algorithm), "{alg}");
    }
    for header in [
        "{}",
        r#""HS256""#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","b64":true}"#,
    ] {
        assert_eq!(check(&sign(header, MINIMAL)), Err(Failure::Malformed), "{header}");
    }
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"typ":"anything","alg":"HS256","kid":"../../dev/null' or 1=1"}"#,
        r#"{"alg":"HS256","jku":"http://127.0.0.1/k","x5u":"x","jwk":{"kty":"oct","k":"AA"},"zip":"DEF"}"#,
    ] {
        assert!(check(&sign(header, MINIMAL)).is_ok(), "{header}");
    }
}

#[test]
fn signatures_are_proved_with_the_apps_key_and_algorithm_only() {
    let good = sign(HEADER, MINIMAL);
    assert!(check(&good).is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = sign_with(&[8; 32], jsonwebtoken::Algorithm::HS256, HEADER, MINIMAL);
    let longer = sign_with(SECRET, jsonwebtoken::Algorithm::HS512, HEADER, MINIMAL);
    let short = &signature[..40];
    for bad in [other, longer, format!("{message}."), format!("{message}.{short}")] {
        assert_eq!(check(&bad), Err(Failure::Signature), "{bad}");
    }
    let header = HEADER.replace("256", "512");
    let strong = sign_with(SECRET, jsonwebtoken::Algorithm::HS512, &header, MINIMAL);
    let read = UnverifiedClaims::read(&strong).unwrap();
    assert!(read.verify(&key(Algorithm::Hs512)).is_ok());
    assert_eq!(check(&strong), Err(Failure::Algorithm));
}

#[test]
fn only_three_strict_base64url_parts_of_bounded_length_are_a_token() {
    let good = sign(HEADER, MINIMAL);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let long = "A".repeat(TOKEN_MAX);
    let mut loose = signature.to_owned();
    loose.replace_range(42.., "B");
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{header}.{claims}.{signature}.{header}.{claims}"),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!("{header}.{claims}.{signature}/"),
        format!("{header}.{claims}.{loose}"),
        format!("{header}.{long}.{signature}"),
        format!("{header}\n.{claims}.{signature}"),
        format!(r#"{{"protected":"{header}","payload":"{claims}","signature":"{signature}"}}"#),
    ] {
        assert_eq!(check(&bad), Err(Failure::Malformed), "{bad}");
    }
}

#[test]
fn the_scheme_is_read_in_any_case_and_there_is_one_authorization() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(str::to_owned)
    };
    for good in ["bearer a.b.c", "Bearer a.b.c", "BEARER a.b.c", "bEaReR   a.b.c "] {
        assert_eq!(read(&[good]), Ok("a.b.c".to_owned()), "{good}");
    }
    for bad in [&[][..], &["a.b.c"], &["Basic a.b.c"], &["bearer"], &["bearer a", "bearer a"]] {
        assert_eq!(read(bad), Err(Failure::Missing), "{bad:?}");
    }
}

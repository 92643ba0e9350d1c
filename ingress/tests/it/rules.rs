//! What an app may ask of its tokens: keys that overlap, public keys, addresses, age, single use.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use shared::registry::control::{Change, ControlStore as _, Write};
use shared::registry::{Algorithm, App, PreviousSecret};
use tokio::task::JoinSet;

use crate::support::{ASYNC_HOOK, Answer, Setup, World, said};

/// Changes the app of the world's channels.
async fn change(world: &World, change: impl FnOnce(&mut App)) {
    let control = world.ground.store.control().await.unwrap();
    let mut app = control.registry.apps[&"cs-1".into()].as_ref().clone();
    change(&mut app);
    let writes = vec![Write::App(Box::new(app))];
    let base = control.revision;
    world.ground.store.change(base, Change { writes, audit: Vec::new() }).await.unwrap();
    world.ground.registry.refresh(&world.ground.store).await.unwrap();
}

async fn ask(world: &World, token: &str) -> Answer {
    let request = world.http.post(format!("{}{ASYNC_HOOK}", world.url));
    let request = request.bearer_auth(token).header("content-type", "application/json");
    Answer::of(request.body(said("ann", "hello").to_string())).await
}

fn sign(secret: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn minimal() -> Value {
    json!({"appId": "cs-1", "sub": "1"})
}

const NEW: &str = "the-new-secret-of-more-than-thirty-two-bytes";
const OLD: &str = "the-old-secret-of-more-than-thirty-two-bytes";

#[tokio::test]
async fn after_a_rotation_both_secrets_prove_until_the_overlap_ends() {
    let world = World::start(Setup::default()).await;
    let now = world.ground.clock.unix_ms();
    for (until_ms, old) in [(now + 600_000, 200), (now - 1, 401)] {
        change(&world, |app| {
            app.secret = NEW.into();
            app.previous = Some(PreviousSecret { secret: OLD.into(), until_ms });
        })
        .await;
        assert_eq!(ask(&world, &sign(NEW.as_bytes(), &minimal())).await.status, 200);
        assert_eq!(ask(&world, &sign(OLD.as_bytes(), &minimal())).await.status, old);
        let stranger = sign("a-secret-that-nobody-gave-to-this-app".as_bytes(), &minimal());
        assert_eq!(ask(&world, &stranger).await.status, 401);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[tokio::test]
async fn a_public_key_proves_what_its_private_key_signed_and_nothing_else() {
    let world = World::start(Setup::default()).await;
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair);
    let private =
        EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.unwrap().as_ref()).as_bytes());
    let private = private.unwrap();
    let public = aws_lc_rs::signature::KeyPair::public_key(&pair);
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = public.as_der().unwrap();
    let public = pem("PUBLIC KEY", public.as_ref());
    for (algorithm, name) in [
        (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        (Algorithm::Rs512, jsonwebtoken::Algorithm::RS512),
    ] {
        change(&world, |app| {
            app.algorithm = algorithm;
            app.secret = public.as_str().into();
        })
        .await;
        for other in [jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::RS512] {
            let token = jsonwebtoken::encode(&Header::new(other), &minimal(), &private).unwrap();
            let expected = if other == name { 200 } else { 401 };
            assert_eq!(ask(&world, &token).await.status, expected, "{algorithm:?} {other:?}");
        }
        // The public key is public: it is nobody's shared secret (RFC 8725 §2.1).
        let confused = sign(public.as_bytes(), &minimal());
        assert_eq!(ask(&world, &confused).await.status, 401);
    }
}

#[tokio::test]
async fn an_app_may_name_the_networks_that_it_speaks_from() {
    let world = World::start(Setup::default()).await;
    let token = || sign(NEW.as_bytes(), &minimal());
    for (network, status) in [("127.0.0.0/8", 200), ("203.0.113.0/24", 401)] {
        change(&world, |app| {
            app.secret = NEW.into();
            app.rules.networks = vec![network.parse().unwrap()];
        })
        .await;
        assert_eq!(ask(&world, &token()).await.status, status, "{network}");
    }
}

#[tokio::test]
async fn an_app_may_say_how_old_its_tokens_may_become() {
    let world = World::start(Setup::default()).await;
    change(&world, |app| {
        app.secret = NEW.into();
        app.rules.age_max = Some(std::time::Duration::from_mins(10));
    })
    .await;
    let now = world.ground.clock.unix_ms() / 1_000;
    for (issued, status) in [
        (json!(now), 200),
        (json!(now - 500), 200),
        (json!(now - 900), 401),
        (json!(now + 900), 401),
        (json!(now.to_string()), 401),
        (Value::Null, 401),
    ] {
        let claims = json!({"appId": "cs-1", "sub": "1", "iat": issued});
        let token = sign(NEW.as_bytes(), &claims);
        assert_eq!(ask(&world, &token).await.status, status, "{issued}");
    }
}

#[tokio::test]
async fn a_token_that_is_taken_once_is_taken_by_one_of_many_requests_at_one_moment() {
    let world = std::sync::Arc::new(World::start(Setup::default()).await);
    change(&world, |app| {
        app.secret = NEW.into();
        app.rules.single_use = true;
    })
    .await;
    let expires = world.ground.clock.unix_ms() / 1_000 + 600;
    let mut asking = JoinSet::new();
    for n in 0..40 {
        let claims = json!({"appId": "cs-1", "sub": "1", "jti": format!("t-{n}"), "exp": expires});
        let token = sign(NEW.as_bytes(), &claims);
        for _ in 0..2 {
            let (world, token) = (std::sync::Arc::clone(&world), token.clone());
            asking.spawn(async move { ask(&world, &token).await.status });
        }
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 40, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 40, "{answers:?}");
    for claims in [
        minimal(),
        json!({"appId": "cs-1", "sub": "1", "jti": "a"}),
        json!({"appId": "cs-1", "sub": "1", "exp": expires}),
        json!({"appId": "cs-1", "sub": "1", "jti": "a", "exp": expires + 7_200}),
    ] {
        assert_eq!(ask(&world, &sign(NEW.as_bytes(), &claims)).await.status, 401, "{claims}");
    }
}

//! Which tokens prove an app, and that all others get one and the same refusal.
//!
//! `exp` and `nbf` count when they are there, key hints never do, the algorithm is the app's own.

mod shapes;

use jsonwebtoken::Algorithm;

use crate::support::http::{Answer, Request, send};
use crate::support::mint::{encode, sign};
use crate::support::system::{App, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_token_that_does_not_prove_the_app_gets_the_same_refusal() {
    let system = System::start(&[]).await;
    let (mut refusals, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for row in shapes::rows(&system) {
        count += 1;
        let request = Request::post(&system.synchronous, system.message("ann", "hi"))
            .header("Authorization", row.authorization.clone());
        let answer = send(system.address, &request.bytes()).await.expect(&row.name);
        let expected = if row.proves { 200 } else { 401 };
        if answer.status != expected {
            let got = answer.status;
            wrong.push(format!("{}: {got} instead of {expected}: {}", row.name, answer.body));
        } else if !row.proves {
            refusals.push((row.name, answer));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 80, "only {count} rows");
    assert_one_refusal(&refusals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_is_judged_by_the_algorithm_of_its_own_app() {
    let system = System::start(&[]).await;
    let App { client, secret } = &system.hs512;
    let claims = format!(r#"{{"appId":"{client}","sub":"1"}}"#);
    let input =
        |alg: &str| format!("{}.{}", encode(format!(r#"{{"alg":"{alg}"}}"#)), encode(&claims));
    let table = [
        ("HS512", Algorithm::HS512, 200),
        ("HS256", Algorithm::HS256, 401),
        ("HS384", Algorithm::HS384, 401),
        ("HS512", Algorithm::HS256, 401),
        ("HS256", Algorithm::HS512, 401),
    ];
    for (written, used, expected) in table {
        let token = sign(&input(written), secret, used);
        let body = system.message("ann", "hi");
        let request = Request::post(&system.synchronous_hs512, body).bearer(&token);
        let answer = send(system.address, &request.bytes()).await.unwrap();
        assert_eq!(answer.status, expected, "{written} signed as {used:?}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_address_that_sends_too_many_bad_tokens_is_told_to_wait() {
    let budget = ("ingress.failures_per_minute", "20");
    let system = System::start(&[budget]).await;
    let body = system.message("ann", "hi");
    let bad = Request::post(&system.synchronous, body).bearer("not.a.token").bytes();
    let mut statuses = Vec::new();
    for _ in 0..60 {
        let answer = send(system.address, &bad).await.unwrap();
        statuses.push(answer.status);
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(answer.json()["errors"][0]["code"], 429);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert!(statuses.len() >= 20, "the budget is for use: {statuses:?}");
}

/// All refusals are one: same status, same header names, same bytes but for the trace id.
pub(crate) fn assert_one_refusal(refusals: &[(String, Answer)]) {
    let plain = |answer: &Answer| {
        let trace = answer.json()["_t"].as_str().expect("a trace id").to_owned();
        let names: Vec<_> = answer.headers.keys().cloned().collect();
        (answer.status, answer.body.replace(&trace, "TRACE"), names)
    };
    let (first_name, first) = &refusals[0];
    let expected =
        r#"{"errors":[{"msg":"Invalid Access token","code":401}],"_v":"v1","_t":"TRACE"}"#;
    assert_eq!(plain(first).1, expected, "{first_name}");
    for (name, answer) in refusals {
        assert_eq!(plain(answer), plain(first), "{name} is told apart from {first_name}");
    }
}

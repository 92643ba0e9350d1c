//! Secrets go in and never come out again, by whichever route, but for the one time they are made.

use console::api::ROUTES;
use reqwest::Method;
use serde_json::json;

use crate::support::api::{Answer, Api};
use testkit::pair::Pair;

on_both! {
    no_secret_leaves_by_any_route_or_error,
}

async fn no_secret_leaves_by_any_route_or_error<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let secret = "CANARY-app-secret-of-more-than-thirty-two-bytes";
    let app = api.post("/apps", json!({"name": "shop", "secret": secret})).await;
    assert_eq!(app.status, 201);
    let bot =
        json!({"name": "clerk", "http": "https://bots.example/", "authorization": "CANARY-bot"});
    let bot = api.post("/bots", bot).await;
    let signing = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ";
    let draft = json!({"bot": "clerk", "app": "shop", "name": "web", "signing_secret": signing,
                       "post_url": "https://a.example/", "access_token": "CANARY-token"});
    let channel = api.post("/channels", draft.clone()).await;
    let person = json!({"name": "eve", "role": "developer", "password": "CANARY-password"});
    let person = api.post("/operators", person).await;
    let mut answers = vec![app, bot, channel, person];
    // The same again, and wrong: errors do not repeat what they refuse.
    answers.push(api.post("/channels", draft).await);
    for body in [
        json!({"name": "web2", "access_token": ["CANARY-token"]}),
        json!({"CANARY-token": 1, "access_token": "CANARY-token\n"}),
    ] {
        let mut answer = api.ask(Method::PATCH, "/channels/web", Some(body)).await;
        // A word that is not known is named; its value is not.
        answer.text = answer.text.replace("unknown field `CANARY-token`", "");
        answers.push(answer);
    }
    let edit = json!({"access_token": "CANARY-edited", "deadline": "9s"});
    answers.push(api.ask(Method::PATCH, "/channels/web", Some(edit)).await);
    answers.push(api.post("/bots/clerk/publish-requests", json!({"channels": ["web"]})).await);
    answers.push(api.post("/apps/shop/rotate", json!({"secret": format!("{secret}-2")})).await);
    let names = ["shop", "clerk", "web", "eve"];
    for route in ROUTES.iter().filter(|route| *route.method == "GET") {
        for name in names {
            let path = route.path.split('/');
            let path: Vec<_> =
                path.map(|part| if part.starts_with('{') { name } else { part }).collect();
            let request = api.request(&Method::GET, &path.join("/")).bearer_auth(&api.admin);
            answers.push(Answer::of(request).await);
        }
    }
    let mut fine = 0;
    for answer in &answers {
        fine += usize::from(answer.status < 300);
        let text = format!("{} {:?}", answer.text, answer.headers);
        for needle in ["CANARY", signing, crate::support::PASSWORD, &api.admin, "argon2", "sha256"]
        {
            assert!(!text.contains(needle), "{needle} in {text}");
        }
    }
    assert!(fine > 20, "most of them are answers, and not refusals: {fine}");
}

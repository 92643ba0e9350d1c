//! A dialog of a script at whose every step the process dies, or the script's host: nothing is said twice, nothing
//! is done outside under two keys, and what the user reads is the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};
use shared::fault::Point;
use testkit::system::{Process, Shape, System};
use tokio::task::JoinSet;

use crate::support::mint::minimal;
use crate::support::stage::binary;

const BOT: &str = "st-00000000-0000-5000-8000-00000000d1a1";
const CLIENT_ID: &str = "cs-00000000-0000-5000-8000-00000000d1a1";
const SECRET: &str = "dialogs-of-the-tests-only-never-a-real-secret-012";
const TRY_MAX: Duration = Duration::from_secs(20);
const SYSTEMS: usize = 3;

/// What dies when a message is worked on.
#[derive(Clone, Copy, Debug)]
enum Death {
    Process(Point),
    Hosts,
}

/// Each of the dialog's three messages at each step; calls are made for the last two.
fn scenes() -> VecDeque<(usize, Death)> {
    let points = [
        Point::TurnTaken,
        Point::TurnLoaded,
        Point::CallHead,
        Point::TurnRan,
        Point::TurnInTransaction,
        Point::TurnCommitted,
        Point::TurnTold,
        Point::Acked,
    ];
    let deaths = points.into_iter().map(Death::Process).chain([Death::Hosts]);
    let of = |death| (0..3).map(move |message| (message, death));
    deaths
        .flat_map(of)
        .filter(|(message, death)| {
            *message > 0 || !matches!(death, Death::Process(Point::CallHead))
        })
        .collect()
}

/// By the `Idempotency-Key` that they came with, the bodies of the calls.
type Calls = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

async fn outside() -> (JoinSet<()>, String, Calls) {
    let calls = Calls::default();
    let kept = Arc::clone(&calls);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        let body = String::from_utf8(body.to_vec()).unwrap();
        kept.lock().unwrap().entry(key).or_default().insert(body);
        "noted"
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    let app = Router::new().route("/", post(take));
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (serving, url, calls)
}

fn registry(url: &str) -> String {
    let source = format!(
        "const name = await ask('Name?');
        const order = await fetch('{url}', {{ method: 'POST', body: name }});
        await say(`order ${{order.status}} for ${{name}}`);
        const count = await ask('How many?');
        const paid = await fetch('{url}', {{ method: 'POST', body: `${{name}} ${{count}}` }});
        say(`${{count}} ${{await paid.text()}}`);"
    );
    format!(
        "[[apps]]\nname = \"app\"\nid = \"{CLIENT_ID}\"\nsecret = \"{SECRET}\"\n\
         [[bots]]\nname = \"shop\"\nid = \"{BOT}\"\nsource = '''\n{source}\n'''\n\
         [[channels]]\nname = \"web\"\nbot = \"shop\"\napp = \"app\"\napprove = true\n"
    )
}

/// Says it under one key until it is answered.
async fn said(host: String, user: String, message: usize, text: String) -> Value {
    let http = reqwest::Client::builder().no_proxy().timeout(TRY_MAX).build().unwrap();
    let body = json!({"message": {"text": text}, "from": {"id": user}}).to_string();
    let request = http
        .post(format!("{host}/chatbot/hooks/{BOT}"))
        .bearer_auth(minimal(CLIENT_ID, SECRET))
        .header("content-type", "application/json")
        .header("idempotency-key", format!("{user} {message}"))
        .body(body);
    testkit::until("an answer", || async {
        let response = request.try_clone().unwrap().send().await.map_err(|e| e.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if status == 200 { Ok(serde_json::from_str(&text).unwrap()) } else { Err(text) }
    })
    .await
}

/// Has one dialog, and lets something die over one of its messages.
async fn play(system: &System, (message, death): (usize, Death), user: &str) {
    let up = system.room("up")[0];
    let expected =
        [json!("Name?"), json!([format!("order 200 for {user}"), "How many?"]), json!("3 noted")];
    for (n, expected) in expected.into_iter().enumerate() {
        let text = ["hi", user, "3"][n].to_owned();
        if n == message {
            arm(up, death).await;
        }
        let talk = said(system.hosts().remove(0), user.to_owned(), n, text);
        let answer = if let (true, Death::Process(_)) = (n == message, death) {
            let again = async {
                testkit::until("the process has died", || async { !up.alive() }).await;
                up.restart().await.unwrap();
            };
            tokio::join!(talk, again).0
        } else {
            talk.await
        };
        assert_eq!(answer["text"], expected, "message {n}; {message}, {death:?}");
    }
}

async fn arm(up: &Process, death: Death) {
    match death {
        Death::Process(point) => {
            up.stop().await.unwrap();
            let failpoints = format!("{}=1*return(abort)", point.as_str());
            up.restart_with(&[("FAILPOINTS", failpoints)]).await.unwrap();
        }
        Death::Hosts => up.kill9_children().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_reads_the_same_and_acts_once_whatever_dies_at_whichever_step() {
    let (_serving, url, calls) = outside().await;
    let all = scenes();
    let count = all.len();
    let scenes = Arc::new(Mutex::new(all));
    let mut stages = JoinSet::new();
    for stage in 0..SYSTEMS {
        let (scenes, registry) = (Arc::clone(&scenes), registry(&url));
        stages.spawn(async move {
            let settings = [("egress.allow", "127.0.0.0/8")];
            let system =
                System::start(&binary(), Shape::Whole, &registry, &settings).await.unwrap();
            for number in 0.. {
                let Some(scene) = scenes.lock().unwrap().pop_front() else { return };
                play(&system, scene, &format!("user-{stage}-{number}")).await;
            }
        });
    }
    while let Some(ended) = stages.join_next().await {
        ended.unwrap();
    }
    let calls = calls.lock().unwrap();
    assert!(calls.values().all(|bodies| bodies.len() == 1), "{calls:?}");
    let mut done: Vec<_> = calls.values().flatten().collect();
    done.sort();
    let before = done.len();
    done.dedup();
    assert_eq!((before, done.len()), (2 * count, 2 * count), "one key for one act: {calls:?}");
}

//! A running ingress on the embedded engines: one bot, a synchronous and an asynchronous channel of one
//! app, and a synchronous channel of another app.

mod worker;

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use shared::admin::Readiness;
use shared::broker::embedded::{EmbeddedBroker, Limits};
use shared::clock::Clock;
use shared::config::{Settings, load_from};
use shared::domain::channel::ChannelState;
use shared::domain::retry::{Policy, Spacing};
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lifecycle::{Drained, Lifecycle};
use shared::registry::cache::Cache;
use shared::registry::{
    Algorithm, App, Bot, Channel, Compatibility, Endpoint, Logic, Overrides, Rate,
    RegistryStore as _, TokenRules,
};
use shared::sqlite::Database;
use shared::store::sqlite::Sqlite;
use shared::topology::Topology;
use shared::tracer::Tracer;
use shared::vault::Vault;
use shared::wire::envelope::Keys;
use tokio::net::TcpListener;

pub(crate) use testkit::{SOON, until};
pub(crate) use worker::{Doing, Worker};

pub(crate) const BOT: &str = "st-1";
pub(crate) const HOOK: &str = "/chatbot/hooks/st-1";
/// The other app's.
pub(crate) const OTHER_HOOK: &str = "/chatbot/hooks/st-1/hookInstance/ivrInst-3";
pub(crate) const ASYNC_HOOK: &str = "/chatbot/hooks/st-1/hookInstance/ivrInst-2";
const SECRET: &str = "an-ingress-test-secret-of-enough-bytes";

pub(crate) type TestGround = Ground<EmbeddedBroker, Sqlite>;

/// Ends when dropped.
pub(crate) struct World {
    pub(crate) ground: TestGround,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) database: Database,
    folder: tempfile::TempDir,
}

/// How a world differs from the usual one.
pub(crate) struct Setup {
    pub(crate) settings: &'static [(&'static str, &'static str)],
    pub(crate) deadline: Duration,
    pub(crate) rate: Rate,
    pub(crate) jobs_max: i64,
}

impl Default for Setup {
    fn default() -> Self {
        let rate = Rate { per_second: 1_000, burst: 1_000 };
        Self { settings: &[], deadline: SOON, rate, jobs_max: 1_000 }
    }
}

impl World {
    pub(crate) async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), Clock::Real).await.unwrap();
        let store = Sqlite::new(&database, Vault::new(&[7; 32], Entropy::Real));
        let topology = Topology { partitions: 2, ..Topology::default() };
        let limits = Limits { jobs_max: setup.jobs_max, ..Limits::default() };
        let broker = EmbeddedBroker::open_with(&database, topology, limits).await.unwrap();
        register(&store, &setup).await;
        let ground = Ground {
            registry: Cache::load(&store).await.unwrap(),
            broker,
            store,
            keys: Keys::new(&[vec![3; 32]]).unwrap(),
            clock: Clock::Real,
            entropy: Entropy::Real,
            lease: shared::lease::Lease::eternal(),
            lifecycle: Lifecycle::new(),
            metrics: prometheus::Registry::new(),
            readiness: Readiness::default(),
            tracer: Tracer::off(),
            process: Entropy::Real.uuid_v7(Clock::Real.unix_ms()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(setup.settings);
        let running = ingress::start(ground.clone(), &settings, listener).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
        let url = format!("http://{}", running.local_addr);
        Self { ground, url, http, database, folder }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A POST that is well-formed, to be changed.
    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.url))
            .bearer_auth(token())
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) async fn say(&self, path: &str, user: &str, text: &str) -> Answer {
        Answer::of(self.post(path, &said(user, text))).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.http.get(format!("{}{path}", self.url)).bearer_auth(token())).await
    }

    /// As [`World::post`], by the other app on its own channel.
    pub(crate) fn other(&self, user: &str) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{OTHER_HOOK}", self.url))
            .bearer_auth(token_of("cs-2"))
            .header("content-type", "application/json")
            .body(said(user, "hello").to_string())
    }

    /// Writes the bot's settings as a later release may have, and reads the registry again.
    pub(crate) async fn make_the_bot_unreadable(&self) {
        let file = self.folder.path().join(shared::sqlite::FILE);
        let connection = rusqlite::Connection::open(file).unwrap();
        let sql = "update bot set spec = replace(spec, 'echo', 'telepathy') where id = ?1";
        assert_eq!(connection.execute(sql, [BOT]).unwrap(), 1);
        self.ground.registry.refresh(&self.ground.store).await.unwrap();
    }

    /// The value of a counter or gauge, its labels' values summed up.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let families = self.ground.metrics.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let metrics = family.get_metric().iter();
        metrics
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }

    pub(crate) async fn drain(&self) -> Drained {
        self.ground.lifecycle.drain(SOON).await
    }
}

/// An answer, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The words of a refusal.
    pub(crate) fn refusal(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["errors"][0]["code"], self.status, "{body}");
        body["errors"][0]["msg"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn token() -> String {
    token_of("cs-1")
}

pub(crate) fn token_of(client: &str) -> String {
    let key = EncodingKey::from_secret(format!("{SECRET}-{client}").as_bytes());
    jsonwebtoken::encode(&Header::default(), &json!({"appId": client, "sub": "1"}), &key).unwrap()
}

pub(crate) fn said(user: &str, text: &str) -> Value {
    json!({"message": {"text": text}, "from": {"id": user}})
}

fn settings(changed: &[(&str, &str)]) -> Settings {
    let changed: Vec<_> = changed.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    load_from(None, &changed, []).unwrap()
}

async fn register(store: &Sqlite, setup: &Setup) {
    for client in ["cs-1", "cs-2"] {
        let app = App {
            client_id: client.into(),
            name: client.to_owned(),
            algorithm: Algorithm::Hs256,
            secret: format!("{SECRET}-{client}").into(),
            previous: None,
            rules: TokenRules::default(),
        };
        store.add_app(&app).await.unwrap();
    }
    let bot = Bot {
        id: BOT.into(),
        name: "bot".to_owned(),
        logic: Logic::Echo,
        error_message: Bot::ERROR_MESSAGE.to_owned(),
        session_timeout: Bot::SESSION_TIMEOUT,
        permits: Bot::PERMITS,
        beside: shared::registry::Beside::default(),
    };
    store.add_bot(&bot).await.unwrap();
    let endpoint = Endpoint {
        post_url: "http://127.0.0.1:9/".parse().unwrap(),
        token_header: Endpoint::TOKEN_HEADER.to_owned(),
        token: None,
        signing_secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into(),
        retry: Policy { spacing: Spacing::List(vec![SOON]), jitter: 0.0 },
        deadline: Endpoint::DEADLINE,
        permits: Endpoint::PERMITS,
        disabled: false,
    };
    for (id, client, endpoint) in [
        ("ivrInst-1", "cs-1", None),
        ("ivrInst-2", "cs-1", Some(endpoint)),
        ("ivrInst-3", "cs-2", None),
    ] {
        let channel = Channel {
            id: id.into(),
            bot: BOT.into(),
            client: client.into(),
            name: id.to_owned(),
            ordinal: 0,
            endpoint,
            state: ChannelState::Live,
            deadline: setup.deadline,
            compatibility: Compatibility::default(),
            overrides: Overrides::NONE,
            while_busy: shared::registry::WhileBusy::Queue,
            rate: setup.rate,
        };
        store.add_channel(&channel).await.unwrap();
    }
}

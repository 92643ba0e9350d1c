//! The API on a port of its own, on a pair of engines.

use std::time::Duration;

use console::Ways;
use console::office::actor::{Actor, Role, Scope};
use console::office::execute::Desk;
use console::office::operators::ApiTokenDraft;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::admin::Readiness;
use shared::clock::Clock;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lifecycle::Lifecycle;
use shared::registry::cache::Cache;
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;
use testkit::pair::Pair;
use tokio::net::TcpListener;

use super::{PASSWORD, assert_current, operator};

/// Ends when dropped.
pub(crate) struct Api<P: Pair> {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) desk: Desk<P::S>,
    /// Of an admin, with every right.
    pub(crate) admin: String,
    /// Of a developer, with every right that they may have.
    pub(crate) developer: String,
    _ground: Ground<P::B, P::S>,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, body, text, headers }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl<P: Pair> Api<P> {
    /// Nobody is there yet.
    pub(crate) async fn empty(pair: &P) -> Self {
        let (broker, store) = pair.process().await.unwrap();
        let ground = Ground {
            registry: Cache::load(&store).await.unwrap(),
            broker,
            store: store.clone(),
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
        let url = format!("http://{}", listener.local_addr().unwrap());
        let desk = Desk::new(store, Clock::Real, Entropy::Real, "https://hooks.example".to_owned());
        console::serve(ground.clone(), desk.clone(), Ways::default(), listener);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30));
        let http = http.build().unwrap();
        Self { url, http, desk, admin: String::new(), developer: String::new(), _ground: ground }
    }

    pub(crate) async fn start(pair: &P) -> Self {
        let mut api = Self::empty(pair).await;
        let local = Actor::command_line();
        for (name, role) in [("ann", Role::Admin), ("dev", Role::Developer)] {
            api.desk.add_operator(&local, &operator(name, role)).await.unwrap();
        }
        api.admin = api.token("ann", &Scope::ALL).await;
        api.developer = api.token("dev", &[Scope::Read, Scope::Configure]).await;
        api
    }

    pub(crate) async fn token(&self, operator: &str, scopes: &[Scope]) -> String {
        let draft = ApiTokenDraft {
            name: "test".to_owned(),
            operator: Some(operator.to_owned()),
            scopes: scopes.to_vec(),
            life: None,
        };
        let made = self.desk.add_api_token(&Actor::command_line(), &draft).await.unwrap();
        made.token.unwrap()
    }

    pub(crate) fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        self.http.request(method.clone(), format!("{}/api/admin/v1{path}", self.url))
    }

    /// By the admin.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(&method, path).bearer_auth(&self.admin);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if [Method::PATCH, Method::DELETE].contains(&method) {
            request = request.header("if-match", "*");
        }
        let answer = Answer::of(request).await;
        if method != Method::GET {
            assert_current(&self.desk).await;
        }
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// An app and a bot: `shop` and `clerk`.
    pub(crate) async fn shop(&self) {
        assert_eq!(self.post("/apps", json!({"name": "shop"})).await.status, 201);
        assert_eq!(self.post("/bots", json!({"name": "clerk"})).await.status, 201);
        assert!(!PASSWORD.is_empty());
    }
}

//! A receiving endpoint that writes down every POST before it answers.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use testkit::lapse;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::bot;
use crate::chance::Chance;
use crate::history::{Conversation, History, Post, TENANT};
use crate::journal::Event;

const NO_HANDLES: Duration = Duration::from_millis(10);

/// How often the endpoint fails on purpose: every n-th POST it is given, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Script {
    pub fail_every: u64,
}

/// How the endpoint behaves.
#[derive(Clone, Copy, Debug)]
pub enum Manners {
    Script(Script),
    /// Mostly well; of a hundred POSTs about two get 503, one a reset after the body, and two wait.
    Seeded(u64),
}

impl From<Script> for Manners {
    fn from(script: Script) -> Self {
        Self::Script(script)
    }
}

/// What becomes of one POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Unavailable,
    Reset,
    Slow(Duration),
}

impl Answer {
    fn status(self) -> u16 {
        match self {
            Self::Done | Self::Slow(_) => 204,
            Self::Unavailable => 503,
            Self::Reset => 0,
        }
    }
}

impl Manners {
    fn answer(self, nth: u64) -> Answer {
        match self {
            Self::Script(Script { fail_every }) => {
                let fails = fail_every > 0 && nth.is_multiple_of(fail_every);
                if fails { Answer::Unavailable } else { Answer::Done }
            }
            Self::Seeded(seed) => {
                let mut chance = Chance::new(seed ^ nth.wrapping_mul(0x9E37_79B9));
                match chance.below(100) {
                    0 | 1 => Answer::Unavailable,
                    2 => Answer::Reset,
                    3 | 4 => Answer::Slow(Duration::from_millis(200 + chance.draw() % 1300)),
                    _ => Answer::Done,
                }
            }
        }
    }
}

struct Shared {
    history: History,
    manners: Manners,
    posts: AtomicU64,
    down: AtomicBool,
}

/// Ends when dropped.
pub struct Endpoint {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

impl Endpoint {
    pub async fn start(history: History, manners: Manners) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (posts, down) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { history, manners, posts, down });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _server: server })
    }

    /// Answers every POST with 503 from now on, or no longer.
    pub fn down(&self, down: bool) {
        self.shared.down.store(down, Ordering::Relaxed);
    }

    /// Where a tenant's answers go.
    pub fn url(&self, tenant: usize) -> String {
        format!("http://{}/{tenant}", self.address)
    }
}

/// What a tenant's answers must come with.
pub fn access_token(tenant: usize) -> String {
    format!("never-a-real-token-of-tenant-{tenant}")
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            lapse(NO_HANDLES, "file handles have run out until others end").await;
            continue;
        };
        open.spawn(serve(stream, Arc::clone(&shared)));
    }
}

/// An error of the service ends the connection without an answer.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let status = shared.receive(request).await.ok_or("a reset on purpose")?;
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = status;
            Ok::<_, &'static str>(response)
        }
    });
    // How it ended is in the history.
    let http = hyper::server::conn::http1::Builder::new();
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    /// `None`: a reset.
    async fn receive(&self, request: Request<Incoming>) -> Option<StatusCode> {
        let (head, body) = request.into_parts();
        let tenant = head.uri.path().trim_start_matches('/').parse().ok()?;
        let body = body.collect().await.ok()?.to_bytes();
        let Some(said) = read(tenant, &body) else { return Some(StatusCode::BAD_REQUEST) };
        let credentials = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let stranger = credentials != Some(&format!("Bearer {}", access_token(tenant)));
        if said.probe {
            self.history.with(said.conversation, |thread| thread.last = Some(said.list));
            return Some(StatusCode::NO_CONTENT);
        }
        let Some(id) = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
            return Some(StatusCode::BAD_REQUEST);
        };
        let manners = self.manners.answer(self.posts.fetch_add(1, Ordering::Relaxed) + 1);
        let down = self.down.load(Ordering::Relaxed);
        let answer = if down { Answer::Unavailable } else { manners };
        self.write_down(said, id, &body, answer, stranger);
        match answer {
            Answer::Reset => return None,
            Answer::Slow(wait) => lapse(wait, "the endpoint is slow").await,
            Answer::Done | Answer::Unavailable => {}
        }
        StatusCode::from_u16(answer.status()).ok()
    }

    fn write_down(&self, said: Said, id: &str, body: &[u8], answer: Answer, stranger: bool) {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let (hash, status) = (hasher.finish(), answer.status());
        if let Some(journal) = self.history.journal() {
            let user = format!("user-{}", said.conversation % TENANT);
            let kind = if status == 204 { "ok" } else { "fail" };
            let event = Event {
                mid: Some(id),
                status: Some(status),
                seq: said.list.last().copied(),
                value: Some(&format!("{hash:016x}")),
                ..Event::new("endpoint", kind, "deliver")
            };
            journal.note(&event.of(said.conversation / TENANT, &user));
        }
        let post =
            Post { webhook_id: id.to_owned(), list: said.list, body: hash, status, stranger };
        self.history.with(said.conversation, |thread| thread.posts.push(post));
    }
}

/// A POST's meaning.
struct Said {
    conversation: Conversation,
    list: Vec<u32>,
    probe: bool,
}

/// Reads `{"text":"<list>","to":"user-<n>",…}`.
fn read(tenant: usize, body: &[u8]) -> Option<Said> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let user: usize = body["to"].as_str()?.strip_prefix("user-")?.parse().ok()?;
    let text = body["text"].as_str()?;
    Some(Said {
        conversation: tenant * TENANT + user,
        list: bot::read_list(text)?,
        probe: bot::is_probe(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_endpoint_does_everything_and_the_same_again() {
        let answers =
            |seed| (1..=1000).map(|nth| Manners::Seeded(seed).answer(nth)).collect::<Vec<_>>();
        let all = answers(3);
        assert_eq!(all, answers(3));
        assert_ne!(all, answers(4));
        let many = |what: fn(&Answer) -> bool| all.iter().filter(|answer| what(answer)).count();
        assert!(many(|answer| *answer == Answer::Done) > 800);
        assert!(many(|answer| *answer == Answer::Unavailable) > 5);
        assert!(many(|answer| *answer == Answer::Reset) > 2);
        assert!(many(|answer| matches!(answer, Answer::Slow(_))) > 5);
    }
}

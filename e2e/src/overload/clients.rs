//! A load that does not wait for the system. Every message is a number that is said once, by one of many
//! users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testkit::{lapse, lapse_until};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::tally::{End, Shot};
use crate::bot;
use crate::load::Line;

/// So many that two messages of one of them are seldom under way at once.
const USERS: u32 = 20_000;
/// A client gives up then.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Requests under way; beyond it arrivals wait, and their latency shows it.
const UNDER_WAY_MAX: usize = 20_000;

/// The clients of one channel. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    http: reqwest::Client,
    urls: Arc<[String]>,
    token: Arc<str>,
    next: Arc<AtomicU32>,
    users: u32,
    patience: Option<Patience>,
    /// What this channel's keys begin with.
    keys: &'static str,
}

/// How a message is repeated, with its key, until it is answered with 200.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first try to the last.
    lasts: Duration,
    /// Between tries: it doubles up to the most, and each is that long or half as long again.
    first: Duration,
    most: Duration,
}

impl Patience {
    pub fn of(lasts: Duration) -> Self {
        Self { lasts, first: Duration::from_millis(200), most: Duration::from_secs(2) }
    }
}

impl Clients {
    pub fn new(line: &Line) -> Result<Self> {
        let urls = line.hosts.iter().map(|host| format!("{host}{}", line.path));
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?,
            urls: urls.collect(),
            token: line.token()?.into(),
            next: Arc::default(),
            users: USERS,
            patience: None,
            keys: if line.asynchronous { "async" } else { "sync" },
        })
    }

    /// Whose messages are repeated.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Of whom there are so many; each speaks again when all others have.
    #[must_use]
    pub fn of(self, users: u32) -> Self {
        Self { users: users.max(1), ..self }
    }

    /// So many requests a second, whatever becomes of them; returns when the last has ended.
    pub async fn open(&self, rate: f64, lasts: Duration) -> Vec<Shot> {
        self.run(rate, |due| due < lasts).await
    }

    /// The same, until it is stopped.
    pub async fn until(&self, rate: f64, stop: &CancellationToken) -> Vec<Shot> {
        self.run(rate, |_| !stop.is_cancelled()).await
    }

    async fn run(&self, rate: f64, goes_on: impl Fn(Duration) -> bool) -> Vec<Shot> {
        let began = Instant::now();
        let interval = Duration::from_secs_f64(1.0 / rate);
        let mut under_way = JoinSet::new();
        let mut shots = Vec::new();
        let mut due = Duration::ZERO;
        while goes_on(due) {
            lapse_until(began + due, "the pace of the load").await;
            while let Some(ended) = under_way.try_join_next() {
                shots.extend(ended);
            }
            if under_way.len() >= UNDER_WAY_MAX {
                shots.extend(under_way.join_next().await.into_iter().flatten());
            }
            let clients = self.clone();
            under_way.spawn(async move {
                let (number, end) = clients.say().await;
                Shot { number, due, took: (began + due).elapsed(), end }
            });
            due += interval;
        }
        shots.extend(under_way.join_all().await);
        shots
    }

    /// Says the next number, as one of the users.
    async fn say(&self) -> (u32, End) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(patience) = self.patience else { return (number, self.post(number, 0).await) };
        let (began, mut wait) = (Instant::now(), patience.first);
        for nth in 0.. {
            let end = self.post(number, nth).await;
            if end == End::Answered || began.elapsed() + wait > patience.lasts {
                return (number, end);
            }
            // Spread by the number: no two clients in step.
            let more = wait.mul_f64(f64::from(number.wrapping_mul(37) % 100) / 200.0);
            lapse(wait + more, "a client repeats a message after a while").await;
            wait = (wait * 2).min(patience.most);
        }
        (number, End::Failed)
    }

    async fn post(&self, number: u32, nth: usize) -> End {
        let user = number % self.users;
        let text = bot::append(number);
        let body = json!({"message": {"text": text}, "from": {"id": format!("user-{user}")}});
        let first = usize::try_from(number).unwrap_or_default();
        let mut request = self
            .http
            .post(&self.urls[(first + nth) % self.urls.len()])
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string());
        if self.patience.is_some() {
            request = request.header("idempotency-key", format!("{}-{number}", self.keys));
        }
        let Ok(response) = request.send().await else { return End::Failed };
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.parse::<u32>().is_ok());
        let read = response.bytes().await.is_ok();
        match status {
            200 if read => End::Answered,
            429 | 503 => End::Refused { retry_after },
            _ => End::Failed,
        }
    }
}

//! The clients: each speaks for one conversation, one message after the other, and repeats a message with
//! its key until it knows that it was accepted.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bot;
use crate::history::{Conversation, Fate, History, Send};

/// How long a client goes on repeating one message.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(20);

/// A channel as its clients know it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Every address under which an ingress answers: `http://127.0.0.1:8080`.
    pub hosts: Vec<String>,
    pub path: String,
    pub client_id: String,
    pub secret: String,
    pub asynchronous: bool,
}

impl Line {
    fn token(&self) -> anyhow::Result<String> {
        let claims = json!({"appId": self.client_id, "sub": "e2e"});
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
    }
}

/// How much is said.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of the first conversation, so that several loads can share a history.
    pub first: Conversation,
    pub conversations: usize,
    pub messages: u32,
    /// A wait between the messages of a conversation.
    pub pause: Duration,
    /// Ends the load early, between messages.
    pub stop: CancellationToken,
}

/// What one try came to.
enum Try {
    Answer(String),
    Refused,
    Unknown,
}

/// Says everything and returns when every message's fate is known.
pub async fn run(line: &Line, plan: &Plan, history: &History) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for speaker in speakers(line, plan, history)? {
        let plan = plan.clone();
        tasks.spawn(async move { speaker.speak(&plan).await });
    }
    all_ended(tasks).await
}

/// Asks every conversation for its list, after all has settled.
pub async fn probe(line: &Line, plan: &Plan, history: &History) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for speaker in speakers(line, plan, history)? {
        tasks.spawn(async move { speaker.probe().await });
    }
    all_ended(tasks).await
}

/// One for each conversation of the plan.
fn speakers(line: &Line, plan: &Plan, history: &History) -> anyhow::Result<Vec<Speaker>> {
    let (http, token) = (client()?, line.token()?);
    let speaker = |conversation| Speaker {
        http: http.clone(),
        line: line.clone(),
        token: token.clone(),
        history: history.clone(),
        conversation,
    };
    Ok((plan.first..plan.first + plan.conversations).map(speaker).collect())
}

async fn all_ended(mut tasks: JoinSet<()>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(TRY_MAX).build()?)
}

struct Speaker {
    http: reqwest::Client,
    line: Line,
    token: String,
    history: History,
    conversation: Conversation,
}

impl Speaker {
    async fn speak(&self, plan: &Plan) {
        self.history.with(self.conversation, |thread| thread.asynchronous = self.line.asynchronous);
        for seq in 1..=plan.messages {
            if plan.stop.is_cancelled() {
                break;
            }
            let (fate, answer) = self.until_known(&bot::append(seq), &format!("{seq}")).await;
            self.history.with(self.conversation, |thread| {
                thread.sends.push(Send { seq, fate });
                thread.answers.extend(answer.as_deref().and_then(read_answer));
            });
            if !plan.pause.is_zero() {
                tokio::time::sleep(plan.pause).await;
            }
        }
    }

    async fn probe(&self) {
        let (_, answer) = self.until_known(bot::PROBE, "probe").await;
        if !self.line.asynchronous {
            let list = answer.as_deref().and_then(read_answer);
            self.history.with(self.conversation, |thread| thread.last = list);
        }
    }

    /// Repeats a message with its key until it is accepted or patience ends.
    async fn until_known(&self, text: &str, key: &str) -> (Fate, Option<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut fate = Fate::Refused;
        let mut wait = Duration::from_millis(50);
        for n in 0.. {
            match self.send(text, key, self.conversation + n).await {
                Try::Answer(answer) => return (Fate::Accepted, Some(answer)),
                Try::Unknown => fate = Fate::Unknown,
                Try::Refused => {}
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        (fate, None)
    }

    async fn send(&self, text: &str, key: &str, host: usize) -> Try {
        let host = &self.line.hosts[host % self.line.hosts.len()];
        let body = json!({
            "message": {"text": text},
            "from": {"id": format!("user-{}", self.conversation)},
        });
        let sent = self
            .http
            .post(format!("{host}{}", self.line.path))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .header("idempotency-key", format!("{}-{key}", self.conversation))
            .body(body.to_string())
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Try::Refused,
            Err(_) => return Try::Unknown,
        };
        let status = response.status().as_u16();
        match (status, response.text().await) {
            (200, Ok(answer)) => Try::Answer(answer),
            (400..=499, _) => Try::Refused,
            (503, Ok(answer)) if answer.contains("not accepted") => Try::Refused,
            (_, Ok(_) | Err(_)) => Try::Unknown,
        }
    }
}

fn read_answer(body: &str) -> Option<Vec<u32>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let text = body["text"].as_str().or_else(|| body["text"][0].as_str())?;
    bot::read_list(text)
}

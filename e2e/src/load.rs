//! The clients: each speaks for one conversation, one message after the other, and repeats a message with
//! its key until it knows that it was accepted.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use testkit::lapse;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bot;
use crate::history::{Conversation, Fate, History, Send, TENANT, tenant_of, value};
use crate::journal::{Event, Sample};

/// How long a client goes on repeating one message.
const PATIENCE: Duration = Duration::from_mins(2);
/// Messages of a conversation whose clients begin another one then: the lists stay short.
const RENEWED: u32 = 150;
/// In a load with renewed conversations every n-th message has no key and is not repeated.
const KEYLESS: u32 = 5;
/// Probes at once.
const PROBES: usize = 64;
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
    /// 0, or 1 for the mirror.
    pub tenant: usize,
}

impl Line {
    /// A token of the channel's app.
    pub fn token(&self) -> anyhow::Result<String> {
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

/// As [`run`] until the plan's stop, but a conversation ends after some messages and its client begins
/// another one; and some messages are sent once, without a key.
pub async fn renew(line: &Line, plan: &Plan, history: &History) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let step = plan.conversations * 2;
    for mut speaker in speakers(line, plan, history)? {
        let plan = Plan { messages: RENEWED, ..plan.clone() };
        tasks.spawn(async move {
            speaker.keyless = KEYLESS;
            while !plan.stop.is_cancelled() {
                speaker.speak(&plan).await;
                speaker.conversation += step;
            }
        });
    }
    all_ended(tasks).await
}

/// Asks every conversation for its list, after all has settled.
pub async fn probe(line: &Line, plan: &Plan, history: &History) -> anyhow::Result<()> {
    let conversations = conversations(line, plan).collect();
    probe_these(line, conversations, history).await
}

/// As [`probe`], for these conversations.
pub async fn probe_these(
    line: &Line,
    conversations: Vec<Conversation>,
    history: &History,
) -> anyhow::Result<()> {
    let http = client()?;
    let mut tasks = JoinSet::new();
    for conversation in conversations {
        if tasks.len() >= PROBES
            && let Some(ended) = tasks.join_next().await
        {
            ended?;
        }
        let speaker = speaker(line, conversation, &http, history)?;
        tasks.spawn(async move { speaker.probe().await });
    }
    all_ended(tasks).await
}

fn conversations(line: &Line, plan: &Plan) -> impl Iterator<Item = Conversation> + use<> {
    let first = line.tenant * TENANT + plan.first;
    first..first + plan.conversations
}

fn speakers(line: &Line, plan: &Plan, history: &History) -> anyhow::Result<Vec<Speaker>> {
    let http = client()?;
    conversations(line, plan)
        .map(|conversation| speaker(line, conversation, &http, history))
        .collect()
}

fn speaker(
    line: &Line,
    conversation: Conversation,
    http: &reqwest::Client,
    history: &History,
) -> anyhow::Result<Speaker> {
    Ok(Speaker {
        http: http.clone(),
        line: line.clone(),
        token: line.token()?,
        history: history.clone(),
        conversation,
        keyless: 0,
    })
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
    /// Every n-th message has no key and is not repeated; 0 for none.
    keyless: u32,
}

impl Speaker {
    async fn speak(&self, plan: &Plan) {
        self.history.with(self.conversation, |thread| thread.asynchronous = self.line.asynchronous);
        for seq in 1..=plan.messages {
            if plan.stop.is_cancelled() {
                break;
            }
            let text = bot::append(seq);
            let (fate, answer) = if self.keyless > 0 && seq.is_multiple_of(self.keyless) {
                self.once(&text).await
            } else {
                self.until_known(&text, &format!("{seq}")).await
            };
            let seq = value(self.line.tenant, seq);
            let list = answer.as_deref().and_then(read_answer);
            let own = list.as_ref().is_some_and(|list| list.last() == Some(&seq));
            let strange = !self.line.asynchronous && fate == Fate::Accepted && !own;
            self.history.with(self.conversation, |thread| {
                thread.sends.push(Send { seq, fate });
                thread.strange.extend(strange.then_some(seq));
                thread.answers.extend(list);
            });
            if !plan.pause.is_zero() {
                lapse(plan.pause, "the pace of the load").await;
            }
        }
    }

    async fn probe(&self) {
        let (_, answer) = self.until_known(bot::PROBE, "probe").await;
        self.note("info", "probe", None, None, answer.as_deref());
        if !self.line.asynchronous {
            let list = answer.as_deref().and_then(read_answer);
            self.history.with(self.conversation, |thread| thread.last = list);
        }
    }

    /// A message without a key cannot be repeated.
    async fn once(&self, text: &str) -> (Fate, Option<String>) {
        match self.send(text, None, 0).await {
            Try::Answer(answer) => (Fate::Accepted, Some(answer)),
            Try::Unknown => (Fate::Unknown, None),
            Try::Refused => (Fate::Refused, None),
        }
    }

    /// Repeats a message with its key until it is accepted or patience ends.
    async fn until_known(&self, text: &str, key: &str) -> (Fate, Option<String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut fate = Fate::Refused;
        let mut wait = Duration::from_millis(50);
        for n in 0.. {
            match self.send(text, Some(key), n).await {
                Try::Answer(answer) => return (Fate::Accepted, Some(answer)),
                Try::Unknown => fate = Fate::Unknown,
                Try::Refused => {}
            }
            if Instant::now() > deadline {
                break;
            }
            lapse(wait, "a client repeats a message after a while").await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        (fate, None)
    }

    /// One try, written down before and after.
    async fn send(&self, text: &str, key: Option<&str>, nth: usize) -> Try {
        self.note("invoke", "send", None, Some(text), None);
        let began = self.history.journal().map(crate::journal::Journal::now);
        let (status, tried, why) = self.post(text, key, nth).await;
        let word = match tried {
            Try::Answer(_) => "ok",
            Try::Refused => "fail",
            Try::Unknown => "info",
        };
        self.note(word, "send", status, Some(text), Some(&why));
        if let (Some(journal), Some(began)) = (self.history.journal(), began) {
            let accepted = matches!(tried, Try::Answer(_));
            let ended = journal.now();
            journal.sample(Sample { began, ended, accepted, conversation: self.conversation });
        }
        tried
    }

    /// The status, what it means, and what was said when it was not well.
    async fn post(&self, text: &str, key: Option<&str>, nth: usize) -> (Option<u16>, Try, String) {
        let user = self.conversation % TENANT;
        let host = &self.line.hosts[(user + nth) % self.line.hosts.len()];
        let body = json!({"message": {"text": text}, "from": {"id": format!("user-{user}")}});
        let mut request = self
            .http
            .post(format!("{host}{}", self.line.path))
            .bearer_auth(&self.token)
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", format!("{user}-{key}"));
        }
        let response = match request.body(body.to_string()).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return (None, Try::Refused, error.to_string()),
            Err(error) => return (None, Try::Unknown, error.to_string()),
        };
        let status = response.status().as_u16();
        let (tried, why) = match (status, response.text().await) {
            (200, Ok(answer)) => (Try::Answer(answer), String::new()),
            (400..=499, body) => (Try::Refused, body.unwrap_or_default()),
            (503, Ok(body)) if body.contains("Not accepted") => (Try::Refused, body),
            (_, Ok(body)) => (Try::Unknown, body),
            (_, Err(error)) => (Try::Unknown, error.to_string()),
        };
        (Some(status), tried, why)
    }

    fn note(
        &self,
        word: &str,
        what: &str,
        status: Option<u16>,
        text: Option<&str>,
        value: Option<&str>,
    ) {
        let Some(journal) = self.history.journal() else { return };
        let user = format!("user-{}", self.conversation % TENANT);
        let who = format!("client-{}", self.conversation);
        let seq = text.and_then(|text| text.strip_prefix("append ")?.parse().ok());
        let event = Event {
            app: Some(&self.line.client_id),
            node: self.line.hosts.first().map(String::as_str),
            value: value.filter(|value| !value.is_empty()),
            seq,
            status,
            ..Event::new(&who, word, what)
        };
        journal.note(&event.of(tenant_of(self.conversation), &user));
    }
}

fn read_answer(body: &str) -> Option<Vec<u32>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let text = body["text"].as_str().or_else(|| body["text"][0].as_str())?;
    bot::read_list(text)
}

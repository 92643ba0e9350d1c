//! A product with everything around it: the append bot, the endpoint that writes down, two channels, and
//! the history that all of them share.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::system::{Shape, System};
use tokio::time::Instant;

use crate::bot::AppendBot;
use crate::check::{self, Verdict};
use crate::endpoint::{Endpoint, Script};
use crate::history::{Fate, History};
use crate::load::{self, Line, Plan};

const BOT_ID: &str = "st-00000000-0000-5000-8000-0000000000e2";
const CLIENT_ID: &str = "cs-00000000-0000-5000-8000-0000000000e2";
const ASYNC_ID: &str = "ivrInst-00000000-0000-5000-8000-0000000000e3";
const SECRET: &str = "end-to-end-tests-only-never-a-real-secret-012345";
/// How long the deliveries of a whole run may take to arrive after the load.
const SETTLE_MAX: Duration = Duration::from_mins(5);

/// Ends when dropped.
pub struct Rig {
    pub system: System,
    pub history: History,
    pub synchronous: Line,
    pub asynchronous: Line,
    _bot: AppendBot,
    _endpoint: Endpoint,
}

/// What a run may want otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None`: the one that lies beside this program.
    pub binary: Option<PathBuf>,
    /// How long the bot takes for an answer.
    pub thinks: Duration,
    /// The deadline of one POST.
    pub post_deadline: &'static str,
    /// More settings of the product.
    pub settings: Vec<(&'static str, &'static str)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { binary: None, thinks: Duration::ZERO, post_deadline: "15s", settings: Vec::new() }
    }
}

impl Rig {
    pub async fn start(shape: Shape, script: Script) -> Result<Self> {
        Self::start_with(shape, script, Options::default()).await
    }

    pub async fn start_with(shape: Shape, script: Script, options: Options) -> Result<Self> {
        let history = History::default();
        let bot = AppendBot::start(options.thinks).await?;
        let endpoint = Endpoint::start(history.clone(), script).await?;
        let registry = registry(&bot.url(), &endpoint.url(), options.post_deadline);
        let mut settings = vec![("egress.allow", "127.0.0.0/8"), ("log.level", "info")];
        settings.extend(options.settings);
        let binary = options.binary.map_or_else(binary, Ok)?;
        let system = System::start(&binary, shape, &registry, &settings).await?;
        let line = |path: String, asynchronous| Line {
            hosts: system.hosts(),
            path,
            client_id: CLIENT_ID.to_owned(),
            secret: SECRET.to_owned(),
            asynchronous,
        };
        let synchronous = line(format!("/chatbot/hooks/{BOT_ID}"), false);
        let asynchronous = line(format!("/chatbot/hooks/{BOT_ID}/hookInstance/{ASYNC_ID}"), true);
        Ok(Self { system, history, synchronous, asynchronous, _bot: bot, _endpoint: endpoint })
    }

    /// Speaks on both channels, half of the conversations on each, until all is said or the plan's stop.
    pub async fn load(&self, plan: &Plan) -> Result<()> {
        let (first, second) = halves(plan);
        tokio::try_join!(
            load::run(&self.synchronous, &first, &self.history),
            load::run(&self.asynchronous, &second, &self.history),
        )?;
        Ok(())
    }

    /// Waits for the last deliveries, reads every list and judges.
    pub async fn verdict(&self, plan: &Plan) -> Result<Verdict> {
        self.settle().await;
        let (first, second) = halves(plan);
        load::probe(&self.synchronous, &first, &self.history).await?;
        load::probe(&self.asynchronous, &second, &self.history).await?;
        let deadline = Instant::now() + SETTLE_MAX;
        while !self.probed() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(check::check(&self.history.threads()))
    }

    /// Returns when every accepted message of the asynchronous channel has been answered, or when that
    /// takes too long: the checker then says what is missing.
    async fn settle(&self) {
        let deadline = Instant::now() + SETTLE_MAX;
        while self.open() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Accepted asynchronous messages without a successful POST.
    fn open(&self) -> usize {
        let threads = self.history.threads();
        let asynchronous = threads.values().filter(|thread| thread.asynchronous);
        asynchronous
            .map(|thread| {
                let done = thread.posts.iter().filter(|post| (200..300).contains(&post.status));
                let done: HashSet<_> = done.filter_map(|post| post.list.last()).collect();
                let accepted = thread.sends.iter().filter(|send| send.fate == Fate::Accepted);
                accepted.filter(|send| !done.contains(&send.seq)).count()
            })
            .sum()
    }

    fn probed(&self) -> bool {
        self.history.threads().values().all(|thread| thread.last.is_some())
    }
}

fn halves(plan: &Plan) -> (Plan, Plan) {
    let conversations = plan.conversations / 2;
    let first = Plan { conversations, ..plan.clone() };
    let second = Plan {
        first: plan.first + conversations,
        conversations: plan.conversations - conversations,
        ..plan.clone()
    };
    (first, second)
}

/// The built binary: it lies beside, or one folder above, the one that runs.
pub fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("switchhook")).find(|path| path.is_file());
    found.context("switchhook is not built: run `cargo build -p switchhook` with the same profile")
}

fn registry(bot: &str, endpoint: &str, post_deadline: &str) -> String {
    format!(
        r#"
[[apps]]
name = "e2e"
id = "{CLIENT_ID}"
secret = "{SECRET}"

[[bots]]
name = "append"
id = "{BOT_ID}"
http = "{bot}"
http_attempts = 3
permits = 128

[[channels]]
name = "sync"
bot = "append"
app = "e2e"
approve = true
rate = 1000
burst = 1000

[[channels]]
name = "async"
bot = "append"
app = "e2e"
approve = true
id = "{ASYNC_ID}"
post_url = "{endpoint}"
post_deadline = "{post_deadline}"
retry = "200ms,500ms,1s,2s,5s,5s,10s,10s,10s,30s,30s,30s"
rate = 1000
burst = 1000
post_permits = 128
"#
    )
}

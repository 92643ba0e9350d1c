//! A product with everything around it: the append bot, the endpoint that writes down, two channels, and
//! the history that all of them share.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::proxy::Proxy;
use testkit::system::{Shape, System};
use testkit::wait;
use tokio::sync::mpsc;

use crate::bot::{AppendBot, Thinks};
use crate::check::{self, Verdict};
use crate::endpoint::{Endpoint, Manners, access_token};
use crate::history::{Conversation, Fate, History, Thread, tenant_of};
use crate::journal::Journal;
use crate::load::{self, Line, Plan};

pub const SECRET: &str = "end-to-end-tests-only-never-a-real-secret-012345";
/// How long the deliveries of a whole run may take to arrive after the load.
const SETTLE_MAX: Duration = Duration::from_mins(5);

/// Ends when dropped.
pub struct Rig {
    pub system: System,
    pub history: History,
    pub synchronous: Line,
    pub asynchronous: Line,
    /// The second tenant's two channels, where there is one.
    pub mirror: Option<(Line, Line)>,
    /// What stands before the ingresses, where something does.
    pub balancer: Option<Proxy>,
    _bot: AppendBot,
    pub endpoint: Endpoint,
}

/// What a run may want otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None`: the one that lies beside this program.
    pub binary: Option<PathBuf>,
    /// How long the bot takes for an answer.
    pub thinks: Duration,
    /// How much longer at most, told by the message.
    pub thinks_more: Duration,
    /// Turns of a bot at once, in each dispatcher.
    pub permits: u32,
    /// The deadline of one POST.
    pub post_deadline: &'static str,
    /// More settings of the product.
    pub settings: Vec<(&'static str, &'static str)>,
    /// A second tenant, whose users have the same ids and say the same.
    pub mirrored: bool,
    /// Clients reach the ingresses through a load balancer.
    pub balanced: bool,
    /// Where every event is written down.
    pub journal: Option<Arc<Journal>>,
    /// Who is told of each run over a deadly message, which is never answered.
    pub deadly: Option<mpsc::UnboundedSender<String>>,
    /// Messages a second, and at once, of one conversation; `None`: as many as one likes.
    pub rate: Option<(u32, u32)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            binary: None,
            thinks: Duration::ZERO,
            thinks_more: Duration::ZERO,
            permits: 128,
            post_deadline: "15s",
            settings: Vec::new(),
            mirrored: false,
            balanced: false,
            journal: None,
            deadly: None,
            rate: None,
        }
    }
}

impl Rig {
    pub async fn start(shape: Shape, manners: impl Into<Manners>) -> Result<Self> {
        Self::start_with(shape, manners, Options::default()).await
    }

    pub async fn start_with(
        shape: Shape,
        manners: impl Into<Manners>,
        options: Options,
    ) -> Result<Self> {
        let history = options.journal.clone().map_or_else(History::default, History::with_journal);
        let thinks = Thinks { at_least: options.thinks, more: options.thinks_more };
        let bot = AppendBot::start(thinks, options.deadly.clone(), history.clone()).await?;
        let endpoint = Endpoint::start(history.clone(), manners.into()).await?;
        let tenants = if options.mirrored { 2 } else { 1 };
        let registry: String =
            (0..tenants).map(|n| registry(n, &bot.url(n), &endpoint.url(n), &options)).collect();
        let mut settings = vec![("egress.allow", "127.0.0.0/8"), ("log.level", "info")];
        settings.extend(options.settings);
        let binary = options.binary.map_or_else(binary, Ok)?;
        let system = System::start(&binary, shape, &registry, &settings).await?;
        let mut balancer = None;
        let mut hosts = system.hosts();
        if options.balanced {
            let proxy = Proxy::start(ports(&system)).await?;
            hosts = vec![format!("http://127.0.0.1:{}", proxy.port())];
            balancer = Some(proxy);
        }
        let (synchronous, asynchronous) = lines(0, &hosts);
        let mirror = options.mirrored.then(|| lines(1, &hosts));
        Ok(Self {
            system,
            history,
            synchronous,
            asynchronous,
            mirror,
            balancer,
            _bot: bot,
            endpoint,
        })
    }

    /// Synchronous and asynchronous channels, tenant by tenant.
    fn pairs(&self) -> impl Iterator<Item = (&Line, &Line)> {
        let first = std::iter::once((&self.synchronous, &self.asynchronous));
        first.chain(
            self.mirror.iter().map(|(synchronous, asynchronous)| (synchronous, asynchronous)),
        )
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

    /// Speaks on all channels of all tenants until the plan's stop; see [`load::renew`].
    pub async fn renewed_load(&self, plan: &Plan) -> Result<()> {
        let (first, second) = halves(plan);
        let all = self.pairs().flat_map(|(synchronous, asynchronous)| {
            [
                load::renew(synchronous, &first, &self.history),
                load::renew(asynchronous, &second, &self.history),
            ]
        });
        futures_util::future::try_join_all(all).await?;
        Ok(())
    }

    /// Waits for the last deliveries, reads every list and judges.
    pub async fn verdict(&self, plan: &Plan) -> Result<Verdict> {
        self.settle().await;
        let (first, second) = halves(plan);
        load::probe(&self.synchronous, &first, &self.history).await?;
        load::probe(&self.asynchronous, &second, &self.history).await?;
        self.read().await;
        Ok(check::check(&self.history.threads()))
    }

    /// As [`Rig::verdict`], over everything that was ever said.
    pub async fn whole_verdict(&self) -> Result<Verdict> {
        self.settle().await;
        for (tenant, (synchronous, asynchronous)) in self.pairs().enumerate() {
            for line in [synchronous, asynchronous] {
                let own = |(conversation, thread): (&Conversation, &mut Thread)| {
                    let own = tenant_of(*conversation) == tenant
                        && thread.asynchronous == line.asynchronous;
                    own.then_some(*conversation)
                };
                let conversations =
                    self.history.all(|threads| threads.iter_mut().filter_map(own).collect());
                load::probe_these(line, conversations, &self.history).await?;
            }
        }
        self.read().await;
        Ok(self.history.all(|threads| check::check(threads)))
    }

    /// Returns when every list has been read, or when that takes too long.
    async fn read(&self) {
        let read = |threads: &mut BTreeMap<Conversation, Thread>| {
            threads.values().all(|thread| thread.last.is_some())
        };
        // The checker says what was not read.
        let _ = wait("every list", SETTLE_MAX, || async { self.history.all(read) }).await;
    }

    /// Returns when every accepted message of the asynchronous channels has been answered, or when that
    /// takes too long: the checker then says what is missing.
    async fn settle(&self) {
        let _ = wait("every answer", SETTLE_MAX, || async { self.open() == 0 }).await;
    }

    /// How many of the numbers that were said once and accepted are not delivered.
    pub fn undelivered(&self, accepted: &BTreeSet<u32>) -> usize {
        let delivered: BTreeSet<u32> = self.history.all(|threads| {
            let posts = threads.values().flat_map(|thread| &thread.posts);
            let done = posts.filter(|post| (200..300).contains(&post.status));
            done.filter_map(|post| post.list.last().copied()).collect()
        });
        accepted.difference(&delivered).count()
    }

    /// Accepted asynchronous messages without a successful POST.
    fn open(&self) -> usize {
        let of = |thread: &Thread| {
            let done = thread.posts.iter().filter(|post| (200..300).contains(&post.status));
            let done: HashSet<_> = done.filter_map(|post| post.list.last()).collect();
            let accepted = thread.sends.iter().filter(|send| send.fate == Fate::Accepted);
            accepted.filter(|send| !done.contains(&send.seq)).count()
        };
        self.history
            .all(|threads| threads.values().filter(|thread| thread.asynchronous).map(of).sum())
    }
}

/// The ports of the ingresses that run.
pub fn ports(system: &System) -> Vec<u16> {
    let ingresses = system.room("ingress").into_iter();
    ingresses.filter(|process| process.alive()).map(testkit::system::Process::port).collect()
}

/// A tenant's synchronous and asynchronous channel.
fn lines(tenant: usize, hosts: &[String]) -> (Line, Line) {
    let bot = id("st", tenant, 2);
    let line = |path: String, asynchronous| Line {
        hosts: hosts.to_vec(),
        path,
        client_id: id("cs", tenant, 2),
        secret: SECRET.to_owned(),
        asynchronous,
        tenant,
    };
    let instance = id("ivrInst", tenant, 3);
    (
        line(format!("/chatbot/hooks/{bot}"), false),
        line(format!("/chatbot/hooks/{bot}/hookInstance/{instance}"), true),
    )
}

/// An id that says whose it is.
fn id(what: &str, tenant: usize, n: usize) -> String {
    format!("{what}-0000000{tenant}-0000-5000-8000-0000000000e{n}")
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

/// What one tenant brings: an app, a bot, two channels.
fn registry(tenant: usize, bot: &str, endpoint: &str, options: &Options) -> String {
    let Options { permits, post_deadline, .. } = options;
    let (client_id, bot_id, instance) =
        (id("cs", tenant, 2), id("st", tenant, 2), id("ivrInst", tenant, 3));
    let access_token = access_token(tenant);
    let (rate, burst) = options.rate.unwrap_or((1000, 1000));
    format!(
        r#"
[[apps]]
name = "e2e-{tenant}"
id = "{client_id}"
secret = "{SECRET}"

[[bots]]
name = "append-{tenant}"
id = "{bot_id}"
http = "{bot}"
http_attempts = 3
session_timeout = "24h"
permits = {permits}

[[channels]]
name = "sync"
bot = "append-{tenant}"
app = "e2e-{tenant}"
approve = true
rate = {rate}
burst = {burst}

[[channels]]
name = "async"
bot = "append-{tenant}"
app = "e2e-{tenant}"
approve = true
id = "{instance}"
post_url = "{endpoint}"
access_token = "{access_token}"
post_deadline = "{post_deadline}"
retry = "200ms,500ms,1s,2s,5s,5s,10s,10s,10s,30s,30s,30s"
rate = {rate}
burst = {burst}
post_permits = 128

"#
    )
}

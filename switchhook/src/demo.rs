//! The demo of an empty installation: one app, one echo bot, a synchronous and an asynchronous channel,
//! and a receiving endpoint for the latter. It is a registry like any other; only the receiving
//! endpoint and the printed commands are the demo's own.

pub(crate) mod file;
mod seed;
pub(crate) mod sink;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use shared::clock::Clock;
use shared::domain::turn::Mode;
use shared::entropy::Entropy;
use shared::registry::{App, Channel, Registry, RegistryStore};

use crate::office::{find, token};
use file::{DemoApp, DemoBot, DemoChannel, DemoFile};
use sink::Sink;

/// How long the printed tokens are valid. Every start prints new ones.
const TOKEN_MS: u64 = 7 * 24 * 3_600_000;
const USER: &str = "demo-user";

/// Where clients and operators reach this process.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    pub(crate) host: String,
    pub(crate) admin: String,
}

/// A demo that is there.
pub(crate) struct Demo {
    app: App,
    bot: DemoBot,
    data: PathBuf,
    pub(crate) sink: Option<Sink>,
}

/// Finds the demo of this data folder, or seeds one where the registry is empty. A start that was killed
/// while it seeded is taken up where it ended.
pub(crate) async fn prepare<S: RegistryStore>(
    store: &S,
    data: &Path,
    entropy: &Entropy,
) -> anyhow::Result<Option<Demo>> {
    let path = data.join(file::NAME);
    let mut registry = store.registry().await?;
    let empty = registry.apps.is_empty() && registry.bots.is_empty();
    let (bot_id, sink) = if empty || seed::is_unfinished(data) {
        seed::begin(data)?;
        let known = find::bot(&registry, seed::BOT).ok();
        let known = known.and_then(|bot| sink_address(&registry, bot.id.as_str()));
        let sink = match known {
            Some(address) => Sink::bind(address)?,
            None => Sink::bind_somewhere(entropy)?,
        };
        let bot_id = seed::seed(store, &registry, entropy, sink.address()).await?;
        registry = store.registry().await?;
        (bot_id, Some(sink))
    } else {
        let Some(bot_id) = file::bot_id(&path) else { return Ok(None) };
        if !registry.bots.contains_key(&bot_id.as_str().into()) {
            return Ok(None);
        }
        let sink = sink_address(&registry, &bot_id).and_then(bind_again);
        (bot_id, sink)
    };
    found(&registry, &bot_id, data.to_owned(), sink).map(Some)
}

fn bind_again(address: SocketAddr) -> Option<Sink> {
    let bound = Sink::bind(address);
    if let Err(error) = &bound {
        tracing::warn!(
            %error, %address, "the demo's receiving endpoint cannot listen; its POSTs will wait"
        );
    }
    bound.ok()
}

/// The channels of a bot, the first one first.
fn channels<'a>(registry: &'a Registry, bot_id: &str) -> Vec<&'a Channel> {
    let mut channels: Vec<&Channel> = registry
        .channels
        .values()
        .map(AsRef::as_ref)
        .filter(|channel| channel.bot.as_str() == bot_id)
        .collect();
    channels.sort_by_key(|channel| channel.ordinal);
    channels
}

fn sink_address(registry: &Registry, bot_id: &str) -> Option<SocketAddr> {
    let mut endpoints = channels(registry, bot_id).into_iter().filter_map(|c| c.endpoint.as_ref());
    endpoints.find_map(|endpoint| {
        let url = &endpoint.post_url;
        let address = format!("{}:{}", url.host_str()?, url.port()?).parse::<SocketAddr>().ok()?;
        address.ip().is_loopback().then_some(address)
    })
}

fn found(
    registry: &Registry,
    bot_id: &str,
    data: PathBuf,
    sink: Option<Sink>,
) -> anyhow::Result<Demo> {
    let channels = channels(registry, bot_id);
    let first = channels.first().context("the demo's bot has no channel")?;
    let app = find::app(registry, first.client.as_str()).map_err(|why| anyhow!(why))?;
    let bot = DemoBot {
        bot_id: bot_id.to_owned(),
        name: find::bot(registry, bot_id).map_err(|why| anyhow!(why))?.name.clone(),
        channels: channels.into_iter().map(DemoChannel::of).collect(),
    };
    Ok(Demo { app: app.as_ref().clone(), bot, data, sink })
}

impl Demo {
    /// Writes `demo.json`, readable by its owner only.
    pub(crate) fn write(&mut self, urls: &Urls) -> std::io::Result<()> {
        for channel in &mut self.bot.channels {
            channel.url = format!("{}{}", urls.host, channel.path);
        }
        let file = DemoFile {
            host_url: urls.host.clone(),
            admin_url: urls.admin.clone(),
            apps: vec![DemoApp::of(&self.app)],
            bots: vec![self.bot.clone()],
        };
        file::write(&self.data.join(file::NAME), &file)?;
        seed::finish(&self.data)
    }

    /// Commands that can be pasted as they stand.
    pub(crate) fn commands(&self, clock: &Clock) -> Result<String, String> {
        let token = token::mint(&self.app, "1234567890", Some(TOKEN_MS), clock.unix_ms())?.token;
        let mut text = String::new();
        for channel in &self.bot.channels {
            let (mode, then) = if channel.mode == crate::office::views::mode(Mode::Sync) {
                ("synchronous", "the answer comes in the response")
            } else {
                ("asynchronous", "the answer is POSTed to the receiving endpoint and printed here")
            };
            let url = &channel.url;
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\n# {mode}: {then}\n\
                 curl -sS -X POST '{url}' \\\n  \
                 -H 'Authorization: bearer {token}' \\\n  \
                 -H 'Content-Type: application/json' \\\n  \
                 -d '{{\"session\":{{\"new\":false}},\"message\":{{\"text\":\"hello\"}},\
                 \"from\":{{\"id\":\"{USER}\"}}}}'\n"
            );
        }
        Ok(text)
    }
}

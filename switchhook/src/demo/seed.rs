//! Puts the demo into a registry. A marker in the data folder stands for the time in between: a start
//! that is killed leaves neither half a demo nor none.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::{Value, json};
use shared::entropy::Entropy;
use shared::registry::{Registry, RegistryStore};

use crate::office::{find, validate};

/// Names of the app and the bot.
const APP: &str = "demo";
pub(super) const BOT: &str = "echo";
const MARKER: &str = "demo.unfinished";

fn marker(data: &Path) -> PathBuf {
    data.join(MARKER)
}

pub(super) fn is_unfinished(data: &Path) -> bool {
    marker(data).exists()
}

pub(super) fn begin(data: &Path) -> std::io::Result<()> {
    std::fs::write(marker(data), b"")
}

pub(super) fn finish(data: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(marker(data)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Adds what is missing of the demo. Returns the bot's id.
pub(super) async fn seed<S: RegistryStore>(
    store: &S,
    known: &Registry,
    entropy: &Entropy,
    sink: SocketAddr,
) -> anyhow::Result<String> {
    let refused = |why: String| anyhow!("the demo: {why}");
    let client = if let Ok(app) = find::app(known, APP) {
        app.client_id.clone()
    } else {
        let draft = serde_json::from_value(json!({"name": APP}))?;
        let app = validate::app(&draft, entropy).map_err(refused)?;
        store.add_app(&app).await?;
        app.client_id
    };
    let bot = if let Ok(bot) = find::bot(known, BOT) {
        bot.id.clone()
    } else {
        let draft = serde_json::from_value(json!({"name": BOT}))?;
        let bot = validate::bot(&draft, entropy).map_err(refused)?;
        store.add_bot(&bot).await?;
        bot.id
    };
    for draft in channels(entropy, sink) {
        let draft = serde_json::from_value(draft)?;
        let (bot, client) = (bot.clone(), client.clone());
        let channel = validate::channel(&draft, bot, client, entropy).map_err(refused)?;
        let is_known = |other: &&std::sync::Arc<shared::registry::Channel>| {
            other.bot == channel.bot && other.name == channel.name
        };
        if known.channels.values().find(is_known).is_none() {
            store.add_channel(&channel).await?;
        }
    }
    Ok(bot.to_string())
}

/// The synchronous one first: it gets the short URL.
fn channels(entropy: &Entropy, sink: SocketAddr) -> [Value; 2] {
    let sync = json!({"bot": BOT, "app": APP, "name": "sync", "approve": true});
    let mut post = sync.clone();
    post["name"] = "async".into();
    post["post_url"] = format!("http://{sink}/").into();
    post["access_token"] = entropy.hex(16).into();
    [sync, post]
}

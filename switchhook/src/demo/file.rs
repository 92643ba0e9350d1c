//! `demo.json`: what a script needs to talk to the demo.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use shared::registry::{App, Channel};

use crate::office::views;

/// The file in the data folder.
pub(crate) const NAME: &str = "demo.json";

#[derive(Serialize, Deserialize)]
pub(crate) struct DemoFile {
    pub(crate) host_url: String,
    pub(crate) admin_url: String,
    pub(crate) apps: Vec<DemoApp>,
    pub(crate) bots: Vec<DemoBot>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DemoApp {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DemoBot {
    pub(crate) bot_id: String,
    pub(crate) name: String,
    pub(crate) channels: Vec<DemoChannel>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DemoChannel {
    pub(crate) webhook_id: String,
    pub(crate) mode: String,
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) post_url: Option<String>,
    #[serde(skip)]
    pub(crate) path: String,
}

impl DemoApp {
    pub(crate) fn of(app: &App) -> Self {
        Self {
            client_id: app.client_id.to_string(),
            client_secret: app.secret.expose_secret().to_owned(),
        }
    }
}

impl DemoChannel {
    pub(crate) fn of(channel: &Channel) -> Self {
        Self {
            webhook_id: channel.id.to_string(),
            mode: views::mode(channel.mode()).to_owned(),
            url: String::new(),
            client_id: channel.client.to_string(),
            post_url: channel.endpoint.as_ref().map(|endpoint| endpoint.post_url.to_string()),
            path: channel.path(),
        }
    }
}

/// The demo's bot as an earlier start has written it.
pub(crate) fn bot_id(path: &Path) -> Option<String> {
    let file: DemoFile = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    file.bots.into_iter().next().map(|bot| bot.bot_id)
}

/// Complete before it has its name: who finds the file can use it.
pub(crate) fn write(path: &Path, file: &DemoFile) -> std::io::Result<()> {
    let draft = path.with_extension("json.new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut text = serde_json::to_vec_pretty(file)?;
    text.push(b'\n');
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut out| out.write_all(&text))?;
    std::fs::rename(&draft, path)
}

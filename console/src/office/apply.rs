//! A registry file brought into the registry: what is missing is added, what is there the same is left
//! alone, and what is there otherwise is refused, for a change of a live bot is a decision of its own.
//! Everything is checked before anything is written; a second run finishes what a first left undone.

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::entropy::Entropy;
use shared::registry::spec::{BotSpec, ChannelSpec};
use shared::registry::{App, Bot, Channel, Registry, RegistryError, RegistryStore};

use super::drafts::{AppDraft, BotDraft, ChannelDraft};
use super::{beside, find, validate};

/// The file (`docs/registry-file.md`).
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFile {
    #[serde(default)]
    pub apps: Vec<AppDraft>,
    #[serde(default)]
    pub bots: Vec<BotDraft>,
    #[serde(default)]
    pub channels: Vec<ChannelDraft>,
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `app`, `bot` or `channel`.
    pub what: String,
    pub name: String,
    pub id: String,
    /// `added`, `approved` or `unchanged`.
    pub done: String,
    /// The secret that was made for it, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What is to be done.
enum Step {
    Keep(Line),
    App(App, Line),
    Bot(Bot, Line),
    Channel(Box<Channel>, Line),
    Approve(Box<Channel>, Line),
}

pub async fn apply<S: RegistryStore>(
    store: &S,
    file: &RegistryFile,
    entropy: &Entropy,
) -> Result<Vec<Line>, String> {
    let registry = store.registry().await.map_err(|error| error.to_string())?;
    let steps = plan(&registry, file, entropy)?;
    let mut lines = Vec::new();
    for step in steps {
        let (written, line) = match step {
            Step::Keep(line) => (Ok(()), line),
            Step::App(app, line) => (store.add_app(&app).await, line),
            Step::Bot(bot, line) => (store.add_bot(&bot).await, line),
            Step::Channel(channel, line) => (store.add_channel(&channel).await.map(|_| ()), line),
            Step::Approve(channel, line) => {
                (store.act(&channel.id, ChannelAction::Approve).await.map(|_| ()), line)
            }
        };
        written.map_err(|error: RegistryError| {
            let written = lines.iter().map(|line: &Line| format!("{} {}", line.what, line.name));
            let written = written.collect::<Vec<_>>().join(", ");
            format!("{} {}: {error} (done before: {written})", line.what, line.name)
        })?;
        lines.push(line);
    }
    Ok(lines)
}

fn plan(registry: &Registry, file: &RegistryFile, entropy: &Entropy) -> Result<Vec<Step>, String> {
    let mut known = Known {
        apps: registry.apps.values().map(|app| app.as_ref().clone()).collect(),
        bots: registry.bots.values().map(|bot| bot.as_ref().clone()).collect(),
        channels: registry.channels.values().map(|channel| channel.as_ref().clone()).collect(),
    };
    let (mut steps, mut wrong) = (Vec::new(), Vec::new());
    let mut take = |what: &str, name: &str, step: Result<Step, String>| match step {
        Ok(step) => steps.push(step),
        Err(why) => {
            wrong.extend(why.lines().map(|line| format!("{what} {name:?}: {line}")));
        }
    };
    for draft in &file.apps {
        take("app", &draft.name, known.app(draft, entropy));
    }
    for draft in &file.bots {
        take("bot", &draft.name, known.bot(draft, entropy));
    }
    for draft in &file.channels {
        take("channel", &draft.name, known.channel(draft, entropy));
    }
    if wrong.is_empty() { Ok(steps) } else { Err(wrong.join("\n")) }
}

/// What there will be, as the plan goes on.
struct Known {
    apps: Vec<App>,
    bots: Vec<Bot>,
    channels: Vec<Channel>,
}

const DIFFERS: &str =
    "is there already with other settings; a file adds and approves, it does not change";

impl Known {
    fn registry(&self) -> Registry {
        Registry::new(self.apps.clone(), self.bots.clone(), self.channels.clone())
    }

    fn app(&mut self, draft: &AppDraft, entropy: &Entropy) -> Result<Step, String> {
        let mut app = validate::app(draft, entropy)?;
        let same = |old: &&App| {
            old.name == app.name || draft.id.as_deref() == Some(old.client_id.as_str())
        };
        if let Some(old) = self.apps.iter().find(same) {
            if draft.id.is_none() {
                app.client_id = old.client_id.clone();
            }
            if draft.secret.is_none() && draft.public_key.is_none() {
                app.secret = old.secret.clone();
            }
            let differs = old.client_id != app.client_id
                || old.name != app.name
                || old.algorithm != app.algorithm
                || old.rules != app.rules
                || old.secret.expose_secret() != app.secret.expose_secret();
            return kept(differs, line("app", &old.name, old.client_id.as_str(), "unchanged"));
        }
        self.apps.push(app.clone());
        let mut line = line("app", &app.name, app.client_id.as_str(), "added");
        let made = draft.secret.is_none() && draft.public_key.is_none();
        line.secret = made.then(|| app.secret.expose_secret().to_owned());
        Ok(Step::App(app, line))
    }

    fn bot(&mut self, draft: &BotDraft, entropy: &Entropy) -> Result<Step, String> {
        let mut bot = validate::bot(draft, entropy)?;
        beside::resolve(&mut bot, &self.registry())?;
        let same =
            |old: &&Bot| old.name == bot.name || draft.id.as_deref() == Some(old.id.as_str());
        if let Some(old) = self.bots.iter().find(same) {
            if draft.id.is_none() {
                bot.id = old.id.clone();
            }
            let differs = old.id != bot.id
                || old.name != bot.name
                || text(&BotSpec::of(old))? != text(&BotSpec::of(&bot))?
                || exposed(BotSpec::secret(old)) != exposed(BotSpec::secret(&bot));
            return kept(differs, line("bot", &old.name, old.id.as_str(), "unchanged"));
        }
        self.bots.push(bot.clone());
        let line = line("bot", &bot.name, bot.id.as_str(), "added");
        Ok(Step::Bot(bot, line))
    }

    fn channel(&mut self, draft: &ChannelDraft, entropy: &Entropy) -> Result<Step, String> {
        let registry = self.registry();
        let bot = find::bot(&registry, &draft.bot)?.id.clone();
        let client = find::app(&registry, &draft.app)?.client_id.clone();
        let mut channel = validate::channel(draft, bot, client, entropy)?;
        let same = |old: &&Channel| {
            draft.id.as_deref() == Some(old.id.as_str())
                || (old.bot == channel.bot && old.name == channel.name)
        };
        if let Some(old) = self.channels.iter().find(same).cloned() {
            adopt(&mut channel, &old, draft);
            if differ(&old, &channel)? {
                return Err(DIFFERS.to_owned());
            }
            let mut line = line("channel", &old.name, old.id.as_str(), "unchanged");
            if draft.approve && old.state == ChannelState::AwaitingApproval {
                "approved".clone_into(&mut line.done);
                return Ok(Step::Approve(Box::new(old), line));
            }
            return Ok(Step::Keep(line));
        }
        self.channels.push(channel.clone());
        let mut line = line("channel", &channel.name, channel.id.as_str(), "added");
        line.secret = channel
            .endpoint
            .as_ref()
            .filter(|_| draft.signing_secret.is_none())
            .map(|endpoint| endpoint.signing_secret.expose_secret().to_owned());
        Ok(Step::Channel(Box::new(channel), line))
    }
}

/// What was made by chance is as it was made the first time.
fn adopt(channel: &mut Channel, old: &Channel, draft: &ChannelDraft) {
    if draft.id.is_none() {
        channel.id = old.id.clone();
    }
    if let (Some(new), Some(old)) = (&mut channel.endpoint, &old.endpoint)
        && draft.signing_secret.is_none()
    {
        new.signing_secret = old.signing_secret.clone();
    }
}

fn differ(old: &Channel, new: &Channel) -> Result<bool, String> {
    let secrets = |channel: &Channel| {
        let endpoint = channel.endpoint.as_ref();
        endpoint.map(|endpoint| {
            (exposed(endpoint.token.as_ref()), exposed(Some(&endpoint.signing_secret)))
        })
    };
    Ok(old.id != new.id
        || old.bot != new.bot
        || old.client != new.client
        || old.name != new.name
        || text(&ChannelSpec::of(old))? != text(&ChannelSpec::of(new))?
        || secrets(old) != secrets(new))
}

fn kept(differs: bool, line: Line) -> Result<Step, String> {
    if differs { Err(DIFFERS.to_owned()) } else { Ok(Step::Keep(line)) }
}

fn exposed(secret: Option<&secrecy::SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

fn text<T: Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

fn line(what: &str, name: &str, id: &str, done: &str) -> Line {
    Line {
        what: what.to_owned(),
        name: name.to_owned(),
        id: id.to_owned(),
        done: done.to_owned(),
        secret: None,
    }
}

//! What a file would do to the registry as it is edited, step by step, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use shared::domain::channel::ChannelState;
use shared::domain::ids::BotId;
use shared::entropy::Entropy;
use shared::registry::spec::BotSpec;
use shared::registry::{App, Bot, Channel, Registry};

use super::super::apps::AppPatch;
use super::super::book::Book;
use super::super::copies::{self, BOT_SECRETS, CHANNEL_SECRETS};
use super::super::diff::diff;
use super::super::drafts::{AppDraft, BotDraft, ChannelDraft};
use super::super::problem::Problem;
use super::super::views::AppView;
use super::super::{back, beside, bots, find, validate};
use super::{Line, RegistryFile};

/// What is to be done with an entry.
pub(super) enum Deed {
    Nothing,
    AddApp(AppDraft),
    ChangeApp(AppPatch),
    AddBot(Box<BotDraft>),
    ChangeBot(Map<String, Value>),
    AddChannel(Box<ChannelDraft>),
    ChangeChannel(Map<String, Value>),
    Approve,
    /// A bot, with these channels.
    Publish(Vec<String>),
}

pub(super) struct Step {
    pub(super) deed: Deed,
    pub(super) line: Line,
}

/// Tells every mistake of the file at once.
pub(super) fn plan(
    book: &Book,
    file: &RegistryFile,
    entropy: &Entropy,
) -> Result<Vec<Step>, Problem> {
    let mut known = Known::new(book, entropy)?;
    let (mut steps, mut wrong) = (Vec::new(), Vec::new());
    let mut take = |what: &str, name: &str, step: Result<Step, Problem>| match step {
        Ok(step) => steps.push(step),
        Err(why) => {
            wrong.extend(why.words.lines().map(|line| format!("{what} {name:?}: {line}")));
        }
    };
    for draft in &file.apps {
        take("app", &draft.name, known.app(draft));
    }
    for draft in &file.bots {
        take("bot", &draft.name, known.bot(draft));
    }
    for draft in &file.channels {
        take("channel", &draft.name, known.channel(draft));
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong.join("\n")));
    }
    let approvals = known.approvals();
    let is_told = |step: &Step| {
        let unchanged = matches!(step.deed, Deed::Nothing);
        unchanged && approvals.iter().any(|approval| approval.line.id == step.line.id)
    };
    steps.retain(|step| !is_told(step));
    steps.extend(approvals);
    Ok(steps)
}

/// What there will be, as the plan goes on: of bots and channels the copies that are edited.
struct Known<'b> {
    book: &'b Book,
    entropy: &'b Entropy,
    apps: Vec<App>,
    bots: Vec<Bot>,
    channels: Vec<Channel>,
    /// Bots of which something waits to be published.
    waits: BTreeSet<BotId>,
    /// By bot, the channels that the file approves, and whether each is there already.
    approved: BTreeMap<BotId, Vec<(Channel, bool)>>,
}

impl<'b> Known<'b> {
    fn new(book: &'b Book, entropy: &'b Entropy) -> Result<Self, Problem> {
        let Registry { apps, bots, channels, .. } = &*book.registry;
        let mut known = Self {
            book,
            entropy,
            apps: apps.values().map(|app| app.as_ref().clone()).collect(),
            bots: Vec::new(),
            channels: Vec::new(),
            waits: BTreeSet::new(),
            approved: BTreeMap::new(),
        };
        for row in bots.values() {
            let edited = copies::bot(book, row, entropy)?;
            if edited.differs {
                known.waits.insert(row.id.clone());
            }
            known.bots.push(edited.value);
        }
        for row in channels.values() {
            let edited = copies::channel(book, row, entropy)?;
            if edited.differs {
                known.waits.insert(row.bot.clone());
            }
            known.channels.push(edited.value);
        }
        Ok(known)
    }

    fn registry(&self) -> Registry {
        Registry::new(self.apps.clone(), self.bots.clone(), self.channels.clone())
    }

    fn app(&mut self, draft: &AppDraft) -> Result<Step, Problem> {
        let mut app = validate::app(draft, self.entropy)?;
        let same = |old: &&mut App| {
            old.name == app.name || draft.id.as_deref() == Some(old.client_id.as_str())
        };
        let Some(old) = self.apps.iter_mut().find(same) else {
            let line = line("app", &app.name, draft.id.as_deref().unwrap_or_default(), "added");
            self.apps.push(app);
            return Ok(Step { deed: Deed::AddApp(draft.clone()), line });
        };
        the_same(draft.id.as_deref(), old.client_id.as_str())?;
        app.client_id = old.client_id.clone();
        if draft.secret.is_none() && draft.public_key.is_none() {
            app.secret = old.secret.clone();
        }
        if old.algorithm != app.algorithm
            || old.secret.expose_secret() != app.secret.expose_secret()
        {
            let words = "its key is another: `switchhook app rotate` gives it one, with an overlap";
            return Err(Problem::conflict(words));
        }
        let (before, after) = (plain_app(old)?, plain_app(&app)?);
        let id = old.client_id.to_string();
        let differences = diff(&id, Some(&before), &after, &[]);
        if differences.is_empty() {
            let line = line("app", &app.name, &id, "unchanged");
            return Ok(Step { deed: Deed::Nothing, line });
        }
        (old.name, old.rules) = (app.name, app.rules);
        let patch = AppPatch { name: Some(draft.name.clone()), rules: Some(draft.rules.clone()) };
        let line = Line { differences, ..line("app", &draft.name, &id, "changed") };
        Ok(Step { deed: Deed::ChangeApp(patch), line })
    }

    fn bot(&mut self, draft: &BotDraft) -> Result<Step, Problem> {
        let registry = self.registry();
        let same =
            |old: &&mut Bot| old.name == draft.name || draft.id.as_deref() == Some(old.id.as_str());
        let Some(old) = self.bots.iter_mut().find(same) else {
            let mut bot = validate::bot(draft, self.entropy)?;
            beside::resolve(&mut bot, &registry)?;
            let line = line("bot", &bot.name, draft.id.as_deref().unwrap_or_default(), "added");
            self.bots.push(bot);
            return Ok(Step { deed: Deed::AddBot(Box::new(draft.clone())), line });
        };
        the_same(draft.id.as_deref(), old.id.as_str())?;
        let mut new = copies::revive_bot(old, draft.clone(), self.entropy)?;
        beside::resolve(&mut new, &registry)?;
        let secret = |bot| BotSpec::secret(bot).map(|secret| secret.expose_secret().to_owned());
        let secrets = given(draft, BOT_SECRETS, secret(old) != secret(&new))?;
        let before = copies::plain(&back::bot(old), BOT_SECRETS)?;
        let after = copies::plain(&back::bot(&new), BOT_SECRETS)?;
        let change = Change { what: "bot", name: &new.name, id: old.id.as_str(), before, after };
        let is_published = bots::is_published(self.book, &old.id);
        let Some((patch, line)) = change.told(secrets, is_published) else {
            let line = line("bot", &new.name, old.id.as_str(), "unchanged");
            return Ok(Step { deed: Deed::Nothing, line });
        };
        if is_published {
            self.waits.insert(old.id.clone());
        }
        *old = new;
        Ok(Step { deed: Deed::ChangeBot(patch), line })
    }

    fn channel(&mut self, draft: &ChannelDraft) -> Result<Step, Problem> {
        let registry = self.registry();
        let bot = find::bot(&registry, &draft.bot)?.id.clone();
        let client = find::app(&registry, &draft.app)?.client_id.clone();
        let same = |old: &&mut Channel| {
            draft.id.as_deref() == Some(old.id.as_str())
                || (old.bot == bot && old.name == draft.name)
        };
        let Some(old) = self.channels.iter_mut().find(same) else {
            let channel = validate::channel(draft, bot.clone(), client, self.entropy)?;
            let id = draft.id.as_deref().unwrap_or_default();
            let line = line("channel", &channel.name, id, "added");
            if draft.approve {
                self.approved.entry(bot).or_default().push((channel.clone(), false));
            }
            self.channels.push(channel);
            return Ok(Step { deed: Deed::AddChannel(Box::new(draft.clone())), line });
        };
        the_same(draft.id.as_deref(), old.id.as_str())?;
        if old.bot != bot {
            return Err(Problem::conflict("it is there already, of another bot"));
        }
        let draft = ChannelDraft { app: client.to_string(), ..draft.clone() };
        let approve = draft.approve;
        let new = copies::revive_channel(old, draft.clone(), self.entropy)?;
        let secrets = given(&draft, CHANNEL_SECRETS, secrets_of(old) != secrets_of(&new))?;
        let before = copies::plain(&back::channel(old), CHANNEL_SECRETS)?;
        let after = copies::plain(&back::channel(&new), CHANNEL_SECRETS)?;
        let change =
            Change { what: "channel", name: &new.name, id: old.id.as_str(), before, after };
        let waits = copies::edits_wait(old.state);
        let told = change.told(secrets, waits);
        let line = line("channel", &new.name, old.id.as_str(), "unchanged");
        *old = new;
        if approve {
            self.approved.entry(bot.clone()).or_default().push((old.clone(), true));
        }
        let Some((patch, line)) = told else { return Ok(Step { deed: Deed::Nothing, line }) };
        if waits {
            self.waits.insert(bot);
        }
        Ok(Step { deed: Deed::ChangeChannel(patch), line })
    }

    /// What the file approves: a channel by itself, or its bot published where something of it waits.
    fn approvals(self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (bot, approved) in &self.approved {
            let unseen = |channel: &Channel| {
                use ChannelState as S;
                matches!(channel.state, S::Draft | S::Rejected | S::Disabled)
            };
            if self.waits.contains(bot) || approved.iter().any(|(channel, _)| unseen(channel)) {
                let row = self.bots.iter().find(|row| row.id == *bot);
                let name = row.map_or("", |row| row.name.as_str());
                let runs = self.channels.iter().filter(|c| c.bot == *bot);
                let runs = runs.filter(|c| c.state == ChannelState::Live);
                let all = runs.chain(approved.iter().map(|(channel, _)| channel));
                let all: BTreeSet<_> = all.map(|channel| channel.name.clone()).collect();
                let line = line("bot", name, bot.as_str(), "published");
                steps.push(Step { deed: Deed::Publish(all.into_iter().collect()), line });
                continue;
            }
            let waiting = approved.iter().filter(|(channel, is_there)| {
                *is_there && channel.state == ChannelState::AwaitingApproval
            });
            steps.extend(waiting.map(|(channel, _)| Step {
                deed: Deed::Approve,
                line: line("channel", &channel.name, channel.id.as_str(), "approved"),
            }));
        }
        steps
    }
}

/// An entry that is there.
struct Change<'c> {
    what: &'c str,
    name: &'c str,
    id: &'c str,
    before: Map<String, Value>,
    after: Map<String, Value>,
}

impl Change<'_> {
    /// The patch that makes it what the file says; `None` where it is that already.
    fn told(self, secrets: Map<String, Value>, waits: bool) -> Option<(Map<String, Value>, Line)> {
        let words: Vec<_> = secrets.keys().cloned().collect();
        let differences = diff(self.id, Some(&self.before), &self.after, &words);
        if differences.is_empty() {
            return None;
        }
        let mut patch = patch(&self.before, &self.after);
        patch.extend(secrets);
        let done = if waits { "edited" } else { "changed" };
        Some((patch, Line { differences, ..line(self.what, self.name, self.id, done) }))
    }
}

/// RFC 7396: what turns one object into another. What stands in an object in it is a word of its own, and is
/// replaced as a whole: a message of a channel's may be an object, too.
fn patch(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    words(before, after, &|old, new| match (old, new) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            Value::Object(words(old, new, &|_, new| new.clone()))
        }
        (_, new) => new.clone(),
    })
}

fn words(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    one: &dyn Fn(Option<&Value>, &Value) -> Value,
) -> Map<String, Value> {
    let gone = before.keys().filter(|word| !after.contains_key(*word));
    let mut all: Map<_, _> = gone.map(|word| (word.clone(), Value::Null)).collect();
    let changed = after.iter().filter(|(word, new)| before.get(*word) != Some(*new));
    all.extend(changed.map(|(word, new)| (word.clone(), one(before.get(word), new))));
    all
}

/// The secrets of a draft, where they change something.
fn given(
    draft: &impl serde::Serialize,
    secrets: &[&str],
    changes: bool,
) -> Result<Map<String, Value>, Problem> {
    if !changes {
        return Ok(Map::new());
    }
    let mut whole = copies::plain(draft, &[])?;
    whole.retain(|word, value| secrets.contains(&word.as_str()) && !value.is_null());
    Ok(whole)
}

fn secrets_of(channel: &Channel) -> Option<(Option<String>, String)> {
    let endpoint = channel.endpoint.as_ref()?;
    let token = endpoint.token.as_ref().map(|token| token.expose_secret().to_owned());
    Some((token, endpoint.signing_secret.expose_secret().to_owned()))
}

fn plain_app(app: &App) -> Result<Map<String, Value>, Problem> {
    let AppView { name, rules, .. } = AppView::of(app, false);
    copies::plain(&json!({"name": name, "rules": rules}), &[])
}

/// An id that the file gives is the one that is there.
fn the_same(given: Option<&str>, id: &str) -> Result<(), Problem> {
    if given.is_none_or(|given| given == id) {
        return Ok(());
    }
    Err(Problem::conflict(format!("it is there already, with the id {id}")))
}

fn line(what: &str, name: &str, id: &str, done: &str) -> Line {
    Line {
        what: what.to_owned(),
        name: name.to_owned(),
        id: id.to_owned(),
        done: done.to_owned(),
        differences: Vec::new(),
        secret: None,
    }
}

//! A bot with its channels as one JSON document, without secrets; and back in, where the channels are
//! placeholders until they are given an app.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::channel::ChannelState;
use shared::registry::control::{Kind, Record, Write};
use shared::store::Store;

use super::actor::{Actor, Scope};
use super::book::{self, Book};
use super::copies::{self, BOT_SECRETS, CHANNEL_SECRETS};
use super::decide::{Log, Plan};
use super::drafts::{BotDraft, ChannelDraft};
use super::execute::Desk;
use super::problem::Problem;
use super::views::{BotView, ChannelView};
use super::{back, find, validate};
use crate::ids;

pub mod schema;

/// What the document says that it is.
const FORMAT: &str = "switchhook.bot";
const VERSION: u32 = 1;
const CHANNELS_MAX: usize = 1_000;
/// Words of a bot that stay where it is: ids, secrets, files, other bots.
const NOT_OF_BOT: &[&str] =
    &["id", "script", "authorization", "env", "fallback", "shadow", "canary", "canary_percent"];
const NOT_OF_CHANNEL: &[&str] = &["id", "bot", "app", "approve", "access_token", "signing_secret"];

/// The document; [`schema::schema`] describes it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// A bot without id and secrets, and without the bots beside it.
    #[schemars(schema_with = "schema::bot")]
    pub bot: Map<String, Value>,
    /// Channels without ids, bot, app and secrets.
    #[schemars(schema_with = "schema::channels")]
    pub channels: Vec<Map<String, Value>>,
}

impl Document {
    /// From the text of a file.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        // A list of values in the order of the fields would be read as an object.
        serde_json::from_str::<Map<String, Value>>(text)?;
        serde_json::from_str(text)
    }
}

/// What an import made.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    pub bot: BotView,
    pub placeholders: Vec<PlaceholderView>,
}

/// An imported channel that has no app yet: it has no URL and answers nobody.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlaceholderView {
    pub placeholder_id: String,
    pub bot_id: String,
    pub name: String,
    /// `sync` or `async`.
    pub mode: String,
}

/// What a placeholder needs to become a channel.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Association {
    /// The app, by client id or name.
    pub app: String,
    /// For an asynchronous channel whose receiver wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Placeholder {
    bot: String,
    channel: Map<String, Value>,
}

impl<S: Store> Desk<S> {
    /// A bot as it is edited, with its channels.
    pub async fn export(&self, name: &str) -> Result<Document, Problem> {
        let book = self.book().await?;
        let row = find::bot(&book.registry, name)?;
        let bot = copies::bot(&book, &row, &self.entropy)?.value;
        let mut rows: Vec<_> =
            book.registry.channels.values().filter(|channel| channel.bot == row.id).collect();
        rows.sort_by_key(|channel| channel.ordinal);
        let mut channels = Vec::new();
        for row in rows {
            let channel = copies::channel(&book, row, &self.entropy)?.value;
            let mut plain = copies::plain(&back::channel(&channel), CHANNEL_SECRETS)?;
            plain.retain(|word, _| !NOT_OF_CHANNEL.contains(&word.as_str()));
            channels.push(plain);
        }
        let mut bot = copies::plain(&back::bot(&bot), BOT_SECRETS)?;
        bot.retain(|word, _| !NOT_OF_BOT.contains(&word.as_str()));
        Ok(Document { format: FORMAT.to_owned(), version: VERSION, bot, channels })
    }

    /// Makes a new bot of a document. `name` is another than the document's, if that is taken.
    pub async fn import(
        &self,
        actor: &Actor,
        document: &Document,
        name: Option<&str>,
    ) -> Result<Imported, Problem> {
        actor.need(Scope::Configure)?;
        let Document { format, version, bot, channels } = document;
        if format != FORMAT || *version != VERSION {
            return Err(Problem::invalid(format!("this is no {FORMAT} of version {VERSION}")));
        }
        if channels.len() > CHANNELS_MAX {
            return Err(Problem::invalid(format!("at most {CHANNELS_MAX} channels")));
        }
        known(bot, NOT_OF_BOT)?;
        let mut draft: BotDraft = copies::read(bot.clone())?;
        if let Some(name) = name {
            // Its own is of a document that has to be good as a whole.
            let mut wrong = validate::Wrong::new();
            validate::name(&draft.name, &mut wrong);
            validate::finish(&wrong, ())?;
            name.clone_into(&mut draft.name);
        }
        let bot = validate::bot(&draft, &self.entropy)?;
        let mut placeholders = Vec::new();
        for channel in channels {
            known(channel, NOT_OF_CHANNEL)?;
            placeholders.push(placeholder(bot.id.as_str(), channel, &self.entropy)?);
        }
        self.decide(actor, |book| {
            if book.registry.bots.values().any(|other| other.name == bot.name) {
                let words = format!("a bot is named {:?} already: give another name", bot.name);
                return Err(Problem::conflict(words));
            }
            let mut writes = vec![Write::Bot(Box::new(bot.clone()))];
            let (records, views): (Vec<_>, Vec<_>) = placeholders.iter().cloned().unzip();
            writes
                .extend(records.into_iter().map(|record| Write::Record { record, expires: None }));
            let detail = json!({"bot": back::bot(&bot), "channels": views.len()});
            let log = vec![Log::new("bot.import", bot.id.as_str(), detail)];
            let answer = Imported { bot: BotView::of(&bot), placeholders: views };
            Ok(Plan { writes, log, answer })
        })
        .await
    }

    pub async fn placeholders(&self, bot: Option<&str>) -> Result<Vec<PlaceholderView>, Problem> {
        let book = self.book().await?;
        let bot = bot.map(|name| find::bot(&book.registry, name)).transpose()?;
        let mut views = Vec::new();
        for record in book.all(Kind::Placeholder) {
            let Placeholder { bot: of, channel } = book::body(record)?;
            if bot.as_ref().is_none_or(|bot| bot.id.as_str() == of) {
                views.push(shown(&record.id, &of, &channel));
            }
        }
        Ok(views)
    }

    /// Gives a placeholder its app: it becomes a draft of a channel, with a URL.
    pub async fn associate(
        &self,
        actor: &Actor,
        id: &str,
        with: &Association,
    ) -> Result<ChannelView, Problem> {
        actor.need(Scope::Configure)?;
        let associated = self
            .decide(actor, |book| {
                let Placeholder { bot, channel: mut plain } = book::body(kept(book, id)?)?;
                let bot = find::bot(&book.registry, &bot)?.id.clone();
                let app = find::app(&book.registry, &with.app)?.client_id.clone();
                plain.insert("bot".to_owned(), bot.as_str().into());
                plain.insert("app".to_owned(), app.as_str().into());
                plain.insert("id".to_owned(), id.into());
                if let Some(token) = &with.access_token {
                    plain.insert("access_token".to_owned(), token.as_str().into());
                }
                let draft: ChannelDraft = copies::read(plain)?;
                let mut channel = validate::channel(&draft, bot, app, &self.entropy)?;
                channel.state = ChannelState::Draft;
                super::channels::free(book, &channel)?;
                let detail = json!({"app": channel.client.as_str()});
                let log = vec![Log::new("channel.associate", id, detail)];
                let answer = ChannelView::of(&channel, &self.host_url, true);
                let gone = Write::RemoveRecord(Kind::Placeholder, id.to_owned());
                let writes = vec![Write::AddChannel(Box::new(channel)), gone];
                Ok(Plan { writes, log, answer })
            })
            .await?;
        self.located(associated).await
    }

    pub async fn remove_placeholder(&self, actor: &Actor, id: &str) -> Result<(), Problem> {
        actor.need(Scope::Configure)?;
        self.decide(actor, |book| {
            kept(book, id)?;
            let log = vec![Log::new("placeholder.remove", id, Value::Null)];
            let writes = vec![Write::RemoveRecord(Kind::Placeholder, id.to_owned())];
            Ok(Plan { writes, log, answer: () })
        })
        .await
    }
}

fn known(words: &Map<String, Value>, others: &[&str]) -> Result<(), Problem> {
    match others.iter().find(|word| words.contains_key(**word)) {
        Some(word) => {
            Err(Problem::invalid(format!("{word}: an exported bot has none; set it afterwards")))
        }
        None => Ok(()),
    }
}

fn kept<'b>(book: &'b Book, id: &str) -> Result<&'b Record, Problem> {
    book.record(Kind::Placeholder, id).ok_or_else(|| Problem::missing("placeholder", id))
}

fn placeholder(
    bot: &str,
    channel: &Map<String, Value>,
    entropy: &shared::entropy::Entropy,
) -> Result<(Record, PlaceholderView), Problem> {
    let id = ids::channel(entropy).to_string();
    let mut whole = channel.clone();
    whole.extend([("bot".to_owned(), bot.into()), ("app".to_owned(), Value::from(""))]);
    let draft: ChannelDraft = copies::read(whole)?;
    // Wrong settings are told now, and not when somebody gives it an app.
    validate::channel(&draft, bot.into(), "".into(), entropy)?;
    let body = json!(Placeholder { bot: bot.to_owned(), channel: channel.clone() }).to_string();
    let view = shown(&id, bot, channel);
    Ok((Record { kind: Kind::Placeholder, id, body, sealed: None }, view))
}

fn shown(id: &str, bot: &str, channel: &Map<String, Value>) -> PlaceholderView {
    let name = channel.get("name").and_then(Value::as_str).unwrap_or_default();
    let mode = if channel.contains_key("post_url") { "async" } else { "sync" };
    PlaceholderView {
        placeholder_id: id.to_owned(),
        bot_id: bot.to_owned(),
        name: name.to_owned(),
        mode: mode.to_owned(),
    }
}

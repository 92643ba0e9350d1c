//! Bot logic behind one trait. One file per kind.

pub mod connector;
pub mod echo;
pub mod http;
pub mod script;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use shared::config;
use shared::domain::ids::ConversationId;
use shared::domain::turn::Turn;
use shared::domain::wider::{Change, Kept, Scope};
use shared::entropy::Entropy;
use shared::registry::{self, Channel, Logic};
use shared::wire::v1::{BotMessage, TaskEnd};
use tokio::time::Instant;

use crate::domain::clean;
use crate::domain::overrides::Spoken;
use crate::domain::session::Session;

/// How a bot's run ended well.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TurnEnd {
    /// Whether and how a task ended, when the bot says so.
    pub task: Option<TaskEnd>,
}

/// How a bot's run failed, by what the user's turn becomes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BotError {
    #[error("the bot did not answer within its deadline")]
    TimedOut,
    #[error("the bot failed: {0}")]
    Failed(String),
    /// A script threw, or was ended. A dialog that was open ends. The detail may hold what the user or the
    /// script said: it is for the ledger, not for the log.
    #[error("the script failed at {place}")]
    Script { place: String, detail: String },
}

impl BotError {
    /// Whether an open dialog is over: what would be replayed would fail again.
    pub const fn ends_dialog(&self) -> bool {
        matches!(self, Self::Script { .. })
    }

    /// For the turn's row.
    pub fn into_detail(self) -> String {
        match self {
            Self::TimedOut | Self::Failed(_) => self.to_string(),
            Self::Script { detail, .. } => clean::text(detail),
        }
    }
}

/// Runs turns. It may be dropped where it waits, and the same turn may be run again, so what it does
/// to the outside should carry the turn's id.
pub trait Bot: Send + Sync {
    fn turn(&self, turn: &TurnContext) -> impl Future<Output = Result<TurnEnd, BotError>> + Send;
}

/// The kinds that the registry knows.
#[derive(Clone, Debug)]
pub struct Kinds {
    pub egress: shared::egress::Client,
    pub entropy: Entropy,
    pub scripts: script::Scripts,
    pub callbacks: connector::Callbacks,
}

impl Bot for Kinds {
    async fn turn(&self, turn: &TurnContext) -> Result<TurnEnd, BotError> {
        match &turn.bot.logic {
            Logic::Echo => echo::Echo.turn(turn).await,
            Logic::Http(logic) => {
                let http = http::HttpBot { logic, egress: &self.egress, entropy: &self.entropy };
                http.turn(turn).await
            }
            Logic::Script(logic) => {
                let script =
                    script::ScriptBot { logic, scripts: &self.scripts, egress: &self.egress };
                script.turn(turn).await
            }
            Logic::Connector(logic) => {
                let connector = connector::ConnectorBot {
                    logic,
                    egress: &self.egress,
                    entropy: &self.entropy,
                    callbacks: &self.callbacks,
                };
                connector.turn(turn).await
            }
        }
    }
}

/// What a bot may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub messages_max: usize,
    /// Bytes of one message's text.
    pub message_max: usize,
    /// Bytes of the stored session.
    pub session_max: usize,
}

impl Limits {
    pub fn of(settings: &config::Dispatcher) -> Self {
        Self {
            messages_max: usize::try_from(settings.messages_max).unwrap_or(usize::MAX),
            message_max: settings.message_max.0,
            session_max: settings.session_max.0,
        }
    }
}

/// One turn as bot logic sees it.
#[derive(Debug)]
pub struct TurnContext {
    pub turn: Arc<Turn>,
    pub conversation: ConversationId,
    pub bot: Arc<registry::Bot>,
    pub channel: Arc<Channel>,
    pub traceparent: Option<String>,
    /// When the run ends, whatever it does.
    pub deadline: Instant,
    pub limits: Limits,
    /// What is kept beyond the conversation, as of the start of the turn: of the scopes of [`scopes`].
    pub wider: Vec<Kept>,
    /// Whether the bot is only tried out, on a turn that is settled already.
    pub is_shadow: bool,
    out: Mutex<Out>,
}

/// What a run has come to so far.
#[derive(Clone, Debug)]
pub struct Out {
    pub session: Session,
    pub messages: Vec<Spoken>,
    /// What is to be changed beyond the conversation.
    pub wider: Vec<Change>,
}

/// What a context is made of.
#[derive(Clone, Debug)]
pub struct Subject {
    pub turn: Arc<Turn>,
    pub conversation: ConversationId,
    pub bot: Arc<registry::Bot>,
    pub channel: Arc<Channel>,
    pub traceparent: Option<String>,
    pub wider: Vec<Kept>,
    pub is_shadow: bool,
}

/// What a bot's logic wants to see beyond the conversation.
pub fn scopes(bot: &registry::Bot, turn: &Turn) -> Vec<Scope> {
    match &bot.logic {
        Logic::Script(logic) => script::scopes(&logic.source, turn),
        Logic::Echo | Logic::Http(_) | Logic::Connector(_) => Vec::new(),
    }
}

impl TurnContext {
    pub fn new(subject: Subject, session: Session, deadline: Instant, limits: Limits) -> Self {
        let Subject { turn, conversation, bot, channel, traceparent, wider, is_shadow } = subject;
        let out = Mutex::new(Out { session, messages: Vec::new(), wider: Vec::new() });
        Self {
            turn,
            conversation,
            bot,
            channel,
            traceparent,
            deadline,
            limits,
            wider,
            is_shadow,
            out,
        }
    }

    /// Says one message. NUL is replaced here, before anything is stored. An object of `key` and `message` is a
    /// message with a key.
    pub fn say(&self, message: BotMessage) -> Result<(), BotError> {
        let message = match message {
            BotMessage::Text(text) => BotMessage::Text(clean::text(text)),
            BotMessage::Template(value) => BotMessage::Template(clean::value(value)),
        };
        let spoken = Spoken::of(message);
        let Limits { messages_max, message_max, .. } = self.limits;
        if spoken.message.to_text(false).len() > message_max {
            return Err(BotError::Failed(format!("a message is larger than {message_max} bytes")));
        }
        let mut out = self.out();
        if out.messages.len() >= messages_max {
            return Err(BotError::Failed(format!("it said more than {messages_max} messages")));
        }
        out.messages.push(spoken);
        Ok(())
    }

    /// The session as it stands.
    pub fn session(&self) -> Session {
        self.out().session.clone()
    }

    /// Replaces what the session keeps (`BotUserSession`).
    pub fn set_session(&self, bot_user: Map<String, Value>) -> Result<(), BotError> {
        let dialog = self.out().session.dialog.take();
        self.set_state(bot_user, dialog.map(|dialog| *dialog))
    }

    /// The same, and where a script waits.
    pub fn set_state(
        &self,
        bot_user: Map<String, Value>,
        dialog: Option<Value>,
    ) -> Result<(), BotError> {
        let mut out = self.out();
        let dialog = dialog.map(clean::value).map(Box::new);
        let session = Session { bot_user: clean::object(bot_user), dialog, ..out.session.clone() };
        let max = self.limits.session_max;
        if session.to_bytes().len() > max {
            return Err(BotError::Failed(format!("the session is larger than {max} bytes")));
        }
        out.session = session;
        Ok(())
    }

    /// Bytes that may be kept beside `bot_user` and the session's own words.
    pub fn room(&self, bot_user: &Map<String, Value>) -> usize {
        let session = Session { bot_user: bot_user.clone(), dialog: None, ..self.session() };
        self.limits.session_max.saturating_sub(session.to_bytes().len())
    }

    /// Ends the session with this turn: what it keeps is gone, and so is a place where a script waits.
    pub fn close_session(&self) {
        let mut out = self.out();
        let session =
            Session { bot_user: Map::new(), dialog: None, closed: true, ..out.session.clone() };
        out.session = session;
    }

    /// Changes something beyond the conversation, with the turn's commit.
    pub fn change_wider(&self, changes: Vec<Change>) {
        self.out().wider.extend(changes);
    }

    /// What a call to the outside carries, so that a repeat of it is known. A bot that stands beside the
    /// turn's own has keys of its own: it must not be answered with what the other was told.
    pub fn key(&self) -> String {
        let turn = self.turn.id;
        if self.bot.id == self.turn.bot {
            turn.to_string()
        } else {
            format!("{turn}-{}", self.bot.id)
        }
    }

    pub fn into_out(self) -> Out {
        self.out.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the user: what the request says of them.
pub(crate) fn user_context(turn: &TurnContext, payload: &Value) -> Map<String, Value> {
    let info = &payload["from"]["userInfo"];
    let user = turn.turn.user.as_str();
    let known = json!({
        "_id": user,
        "emailId": info["email"],
        "firstName": info["firstName"],
        "lastName": info["lastName"],
        "identities": [{"val": user, "type": "ivr"}],
    });
    match known {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

//! A conversation with a bot without broker, store and clients: what `switchhook bot test` and the tests of
//! the documents run. The bot logic, its session and its limits are those of a dispatcher.

mod conversation;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use shared::clock::Clock;
use shared::config::Settings;
use shared::domain::channel::ChannelState;
use shared::domain::ids::{ChannelId, ConversationKey, TurnId, UserId};
use shared::domain::turn::{Mode, Turn};
use shared::domain::wider::{self, Change, Effect, Kept};
use shared::egress;
use shared::entropy::Entropy;
use shared::registry::{Bot as Registered, Channel, Compatibility, Overrides, Rate};
use shared::wire::v1::BotMessage;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::StartError;
use crate::bots::connector::Callbacks;
use crate::bots::script::Scripts;
use crate::bots::{Bot as _, BotError, Kinds, Limits, Subject, TurnContext};
use crate::domain::session;

pub use conversation::{Difference, Line, Mistake, read};

/// One conversation. Its script hosts end with it.
#[derive(Debug)]
pub struct Rehearsal {
    kinds: Kinds,
    limits: Limits,
    turn_deadline: Duration,
    bot: Arc<Registered>,
    channel: Arc<Channel>,
    state: Bytes,
    /// What is kept beyond the conversation, for as long as the rehearsal.
    wider: Vec<Kept>,
    _keeping: JoinSet<()>,
}

/// What the user does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    pub new_session: bool,
    /// Other fields of the request's body, such as `customData`.
    pub more: Map<String, Value>,
}

impl Rehearsal {
    pub fn new(bot: Registered, settings: &Settings) -> Result<Self, StartError> {
        let egress = egress::Client::new(&settings.egress, crate::own_listeners(settings))
            .map_err(|error| StartError::Tls(error.to_string()))?;
        let scripts = Scripts::new(&settings.script);
        let mut keeping = JoinSet::new();
        keeping.spawn(scripts.keep(CancellationToken::new()));
        let channel = Channel {
            id: ChannelId::from("ivrInst-00000000-0000-5000-8000-000000000000"),
            bot: bot.id.clone(),
            client: "cs-00000000-0000-5000-8000-000000000000".into(),
            name: "test".to_owned(),
            ordinal: 1,
            endpoint: None,
            state: ChannelState::Live,
            deadline: Channel::DEADLINE,
            compatibility: Compatibility::default(),
            overrides: Overrides::NONE,
            while_busy: shared::registry::WhileBusy::Queue,
            rate: Rate::default(),
        };
        Ok(Self {
            kinds: Kinds {
                egress,
                entropy: Entropy::Real,
                scripts,
                callbacks: Callbacks::default(),
            },
            limits: Limits::of(&settings.dispatcher),
            turn_deadline: settings.dispatcher.turn_deadline,
            bot: Arc::new(bot),
            channel: Arc::new(channel),
            state: Bytes::new(),
            wider: Vec::new(),
            _keeping: keeping,
        })
    }

    /// Begins from nothing: another user, as it were.
    pub fn reset(&mut self) {
        self.state = Bytes::new();
    }

    /// One turn. When it fails the session is what it was, as in a dispatcher.
    pub async fn say(&mut self, said: &Said) -> Result<Vec<BotMessage>, BotError> {
        let turn = self.turn(said);
        let rules = session::Rules {
            turn: turn.id,
            idle: Duration::ZERO,
            timeout: self.bot.session_timeout,
            wants_new: said.new_session,
        };
        let opened = session::open(&self.state, rules);
        let subject = Subject {
            conversation: ConversationKey::new(turn.channel.clone(), turn.user.clone()).id(),
            turn: Arc::new(turn),
            bot: Arc::clone(&self.bot),
            channel: Arc::clone(&self.channel),
            traceparent: None,
            wider: self.wider.clone(),
            is_shadow: false,
        };
        let deadline = Instant::now() + self.turn_deadline;
        let context = TurnContext::new(subject, opened.clone(), deadline, self.limits);
        let ended = tokio::time::timeout_at(deadline, self.kinds.turn(&context)).await;
        match ended.unwrap_or(Err(BotError::TimedOut)) {
            Ok(_) => {
                let out = context.into_out();
                self.state = out.session.to_bytes();
                self.change(&out.wider);
                Ok(out.messages.into_iter().map(|spoken| spoken.message).collect())
            }
            Err(error) => {
                let dialog = opened.dialog.clone().filter(|_| !error.ends_dialog());
                self.state = session::Session { dialog, ..opened }.to_bytes();
                Err(error)
            }
        }
    }

    fn change(&mut self, changes: &[Change]) {
        for Change { scope, key, effect } in wider::fold(changes) {
            let at = self.wider.iter().position(|kept| kept.scope == scope && kept.key == key);
            let before = at.map(|at| self.wider.swap_remove(at).value);
            let value = match effect {
                Effect::Put(value, _) => value,
                Effect::Add(by) => wider::sum(before.as_deref(), by),
                Effect::Delete => continue,
            };
            self.wider.push(Kept { scope, key, value });
        }
    }

    fn turn(&self, said: &Said) -> Turn {
        let user = UserId::from("test-user");
        let mut payload = json!({
            "session": {"new": said.new_session},
            "message": {"text": said.text},
            "from": {"id": user.as_str()},
        });
        if let Value::Object(payload) = &mut payload {
            payload.extend(said.more.clone());
        }
        Turn {
            id: TurnId::new(Entropy::Real.uuid_v7(Clock::Real.unix_ms())),
            client: self.channel.client.clone(),
            channel: self.channel.id.clone(),
            bot: self.bot.id.clone(),
            user,
            mode: Mode::Sync,
            new_session: said.new_session,
            text: said.text.clone(),
            payload: payload.to_string(),
        }
    }

    /// Holds a whole conversation and compares, from a new session. Ends at the first difference.
    pub async fn hold(&mut self, lines: &[Line]) -> Result<(), Difference> {
        self.reset();
        let mut before = Vec::new();
        for exchange in conversation::exchanges(lines) {
            let got = match self.say(exchange.said).await {
                Ok(messages) => messages.into_iter().map(conversation::shown).collect(),
                Err(error) => vec![Line::Fails(error.into_detail())],
            };
            if !conversation::are_same(&exchange.answers, &got) {
                return Err(Difference {
                    before,
                    said: exchange.said.clone(),
                    expected: exchange.answers,
                    got,
                });
            }
            before.push(Line::User(exchange.said.clone()));
            before.extend(got);
        }
        Ok(())
    }
}

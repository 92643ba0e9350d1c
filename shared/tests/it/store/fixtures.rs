//! A small world to test in: one app, one bot, one live asynchronous channel, and short ways to talk.

use std::time::Duration;

use bytes::Bytes;
use shared::clock::Clock;
use shared::domain::channel::ChannelAction;
use shared::domain::channel::ChannelState;
use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::{BotId, ChannelId, ClientId, ConversationId, ConversationKey, TurnId};
use shared::domain::outcome::Outcome;
use shared::domain::retry::Policy;
use shared::entropy::Entropy;
use shared::registry::{
    Algorithm, App, Bot, Channel, Compatibility, Endpoint, Logic, Overrides, Rate,
    RegistryStore as _, TokenRules,
};
use shared::store::{
    AttemptRecord, Claim, Claimed, Committed, Conversation, Deliveries as _, Session, SettledTurn,
    Settlement, TurnCommit, TurnRecord, Turns as _, Upkeep as _, Verdict,
};

use super::harness::Harness;

/// A lease that no test outlives.
pub(super) const LEASE: Duration = Duration::from_mins(5);

pub(super) struct World<H: Harness> {
    pub(super) h: H,
    pub(super) s: H::S,
    pub(super) client: ClientId,
    pub(super) bot: BotId,
    pub(super) channel: ChannelId,
}

/// One committed turn.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) turn: TurnId,
    pub(super) conversation: ConversationId,
    pub(super) done: Committed,
}

impl Said {
    /// The place of the turn's `index`-th delivery.
    pub(super) fn place(&self, index: i64) -> Place {
        Place { conversation: self.conversation, number: self.done.first_delivery + index }
    }
}

impl<H: Harness> World<H> {
    pub(super) async fn new(h: H) -> Self {
        let s = h.store();
        s.migrate().await.unwrap();
        let (client, bot) = (ClientId::from(id("cs-")), BotId::from(id("st-")));
        s.add_app(&app(&client)).await.unwrap();
        s.add_bot(&echo(&bot)).await.unwrap();
        let channel = ChannelId::from(id("ivrInst-"));
        let world = Self { h, s, client, bot, channel };
        world.open(&world.channel).await;
        world
    }

    /// Adds one more live asynchronous channel.
    pub(super) async fn another_channel(&self) -> ChannelId {
        let channel = ChannelId::from(id("ivrInst-"));
        self.open(&channel).await;
        channel
    }

    async fn open(&self, channel: &ChannelId) {
        let row = asynchronous(channel, &self.bot, &self.client);
        self.s.add_channel(&row).await.unwrap();
        self.s.act(channel, ChannelAction::Approve).await.unwrap();
    }

    pub(super) fn user(&self, user: &str) -> ConversationKey {
        ConversationKey::new(self.channel.clone(), user.into())
    }

    /// A turn to commit: it says `deliveries`, and the session remembers nothing but the turn.
    pub(super) fn draft(
        &self,
        key: &ConversationKey,
        version: i64,
        turn: TurnId,
        deliveries: &[&str],
    ) -> TurnCommit {
        TurnCommit {
            conversation: key.clone(),
            version,
            session: Session { state: format!(r#"{{"turn":"{turn}"}}"#).into() },
            record: TurnRecord {
                turn,
                client: self.client.clone(),
                channel: key.channel.clone(),
                outcome: Outcome::Answered,
                detail: String::new(),
                reply: format!(r#"{{"text":"answer to {turn}"}}"#).into(),
                parked: None,
                queued_ms: 3,
                bot_ms: 5,
            },
            deliveries: deliveries.iter().map(|text| Bytes::from((*text).to_owned())).collect(),
            wider: Vec::new(),
        }
    }

    /// Loads, and commits a new turn that says `deliveries`.
    pub(super) async fn say(&self, key: &ConversationKey, deliveries: &[&str]) -> Said {
        self.say_as(key, turn(), deliveries).await
    }

    pub(super) async fn say_as(
        &self,
        key: &ConversationKey,
        turn: TurnId,
        deliveries: &[&str],
    ) -> Said {
        let (conversation, settled) = self.s.load(key, turn).await.unwrap();
        assert_eq!(settled, None, "a new turn has no row");
        let draft = self.draft(key, conversation.version, turn, deliveries);
        let done = self.s.commit(draft).await.unwrap();
        Said { turn, conversation: conversation.id, done }
    }

    pub(super) async fn conversation(&self, key: &ConversationKey) -> Conversation {
        self.s.load(key, turn()).await.unwrap().0
    }

    pub(super) async fn settled(&self, key: &ConversationKey, turn: TurnId) -> Option<SettledTurn> {
        self.s.load(key, turn).await.unwrap().1
    }

    pub(super) async fn claim(&self, place: Place, seen: u32) -> Delivery {
        claimed(self.s.claim(place, seen, LEASE).await.unwrap()).delivery
    }

    /// The unclaimed first POST of a fresh doorbell, or the POST after a claim that shows `seen`.
    pub(super) async fn settle(&self, place: Place, seen: u32, verdict: Verdict) -> Settlement {
        let log = attempt(seen.max(1));
        self.s.settle(place, seen, Some(log), verdict).await.unwrap()
    }

    /// Brings the lowest delivery of a conversation home; its number.
    pub(super) async fn deliver(&self, conversation: ConversationId) -> i64 {
        let lowest = self.s.lowest(conversation).await.unwrap().expect("something is unsettled");
        let claim = self.claim(lowest.delivery.place, lowest.delivery.attempt).await;
        let written = self.settle(claim.place, claim.attempt, Verdict::Delivered).await;
        assert!(matches!(written, Settlement::Written { .. }), "{written:?}");
        claim.place.number
    }

    /// The number of the conversation's lowest unsettled delivery.
    pub(super) async fn lowest(&self, conversation: ConversationId) -> Option<i64> {
        let lowest = self.s.lowest(conversation).await.unwrap()?;
        Some(lowest.delivery.place.number)
    }
}

pub(super) fn claimed(answer: Claimed) -> Claim {
    match answer {
        Claimed::Yes(claim) => claim,
        other => panic!("the claim was not granted: {other:?}"),
    }
}

pub(super) fn attempt(number: u32) -> AttemptRecord {
    AttemptRecord {
        attempt: number,
        status: 500,
        error: None,
        took_ms: 7,
        response: Bytes::from_static(b"the receiver's words"),
    }
}

/// A turn made now.
pub(super) fn turn() -> TurnId {
    turn_aged(Duration::ZERO)
}

/// A turn whose id was made this long ago.
pub(super) fn turn_aged(age: Duration) -> TurnId {
    let age = u64::try_from(age.as_millis()).unwrap();
    TurnId::new(Entropy::Real.uuid_v7(Clock::Real.unix_ms() - age))
}

pub(super) const fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

pub(super) fn id(prefix: &str) -> String {
    format!("{prefix}{}", Entropy::Real.uuid_v5_shape())
}

pub(super) fn app(client: &ClientId) -> App {
    App {
        client_id: client.clone(),
        name: format!("app {client}"),
        algorithm: Algorithm::Hs256,
        secret: "a secret of more than thirty-two bytes in all".into(),
        previous: None,
        rules: TokenRules::default(),
    }
}

pub(super) fn echo(bot: &BotId) -> Bot {
    Bot {
        id: bot.clone(),
        name: format!("bot {bot}"),
        logic: Logic::Echo,
        error_message: Bot::ERROR_MESSAGE.to_owned(),
        session_timeout: Bot::SESSION_TIMEOUT,
        permits: Bot::PERMITS,
        beside: shared::registry::Beside::default(),
    }
}

pub(super) fn synchronous(channel: &ChannelId, bot: &BotId, client: &ClientId) -> Channel {
    Channel {
        id: channel.clone(),
        bot: bot.clone(),
        client: client.clone(),
        name: format!("channel {channel}"),
        ordinal: 0,
        endpoint: None,
        state: ChannelState::AwaitingApproval,
        deadline: Channel::DEADLINE,
        compatibility: Compatibility::default(),
        overrides: Overrides::NONE,
        while_busy: shared::registry::WhileBusy::Queue,
        rate: Rate::default(),
    }
}

pub(super) fn asynchronous(channel: &ChannelId, bot: &BotId, client: &ClientId) -> Channel {
    let endpoint = Endpoint {
        post_url: "https://receiver.example/hook".parse().unwrap(),
        token_header: Endpoint::TOKEN_HEADER.to_owned(),
        token: Some("Bearer an access token".into()),
        signing_secret: "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQ=".into(),
        retry: Policy::default(),
        deadline: Endpoint::DEADLINE,
        permits: Endpoint::PERMITS,
        disabled: false,
    };
    Channel { endpoint: Some(endpoint), ..synchronous(channel, bot, client) }
}

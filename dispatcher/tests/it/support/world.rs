//! Engines in a folder, bots and channels, what an ingress would publish, and dispatchers that can be
//! stopped or killed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dispatcher::bots::Bot as BotLogic;
use serde_json::{Value, json};
use shared::admin::Readiness;
use shared::broker::{Acker as _, Broker as _, Consumer as _, ReplyAddress};
use shared::clock::Clock;
use shared::config::{Settings, load_from};
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::domain::ids::{BotId, ChannelId, ClientId, ConversationKey, TurnId};
use shared::domain::retry::Policy;
use shared::domain::turn::{Mode, Turn};
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lifecycle::{Drained, Lifecycle};
use shared::registry::cache::Cache;
use shared::registry::{
    Algorithm, App, Bot, Channel, Compatibility, Endpoint, Logic, Overrides, Rate,
    RegistryStore as _, TokenRules,
};
use shared::store::{Intake as _, SettledTurn, Turns as _};
use shared::topology::Queue;
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;
use shared::wire::jobs::{DeliveryJob, Replies, Reply, TurnJob};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::faulty::Faulty;
use super::{SOON, a_turn_id, until};
use testkit::pair::{Embedded, Pair};

const CLIENT: &str = "cs-00000000-0000-5000-8000-000000000001";
pub(crate) const SORRY: &str = "Sorry.";

pub(crate) struct World<P: Pair = Embedded> {
    pair: P,
    pub(crate) broker: P::B,
    pub(crate) store: Faulty<P::S>,
    pub(crate) keys: Keys,
    bot: BotId,
    sync: ChannelId,
    asynchronous: ChannelId,
    replies: Arc<Mutex<HashMap<TurnId, Vec<Bytes>>>>,
    _listening: JoinSet<()>,
}

/// A dispatcher at work, on a runtime of its own so that it can be killed.
pub(crate) struct Dispatcher {
    lifecycle: Lifecycle,
    metrics: prometheus::Registry,
    runtime: Option<tokio::runtime::Runtime>,
}

pub(crate) fn an_endpoint() -> Endpoint {
    Endpoint {
        post_url: "http://127.0.0.1:9/".parse().unwrap(),
        token_header: Endpoint::TOKEN_HEADER.to_owned(),
        token: None,
        signing_secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
        retry: Policy::default(),
        deadline: Endpoint::DEADLINE,
        permits: Endpoint::PERMITS,
        disabled: false,
    }
}

/// An echo bot that fails with [`SORRY`].
pub(crate) fn a_bot() -> Bot {
    Bot {
        id: format!("st-{}", Entropy::Real.uuid_v5_shape()).into(),
        name: "bot".to_owned(),
        logic: Logic::Echo,
        error_message: SORRY.to_owned(),
        session_timeout: Bot::SESSION_TIMEOUT,
        permits: Bot::PERMITS,
        beside: shared::registry::Beside::default(),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(a_bot()).await
    }

    pub(crate) async fn with(bot: Bot) -> Self {
        Self::on(Embedded::start(Clock::Real).await.unwrap(), bot).await
    }
}

impl<P: Pair> World<P> {
    /// With one bot, which has a synchronous and an asynchronous channel.
    pub(crate) async fn on(pair: P, bot: Bot) -> Self {
        let (broker, store) = pair.process().await.unwrap();
        let store = Faulty::new(store);
        let keys = Keys::new(&[vec![1; 32]]).unwrap();
        let app = App {
            client_id: CLIENT.into(),
            name: "app".to_owned(),
            algorithm: Algorithm::Hs256,
            secret: "tests-only-never-a-real-secret-0123456789".into(),
            previous: None,
            rules: TokenRules::default(),
        };
        store.add_app(&app).await.unwrap();
        let replies = Arc::default();
        let mut listening = JoinSet::new();
        listening.spawn(listen(broker.replies().unwrap(), keys.clone(), Arc::clone(&replies)));
        let mut world = Self {
            pair,
            broker,
            store,
            keys,
            bot: bot.id.clone(),
            sync: "".into(),
            asynchronous: "".into(),
            replies,
            _listening: listening,
        };
        (world.sync, world.asynchronous) = world.add(&bot).await;
        world
    }

    /// One more bot, with its two channels.
    pub(crate) async fn add(&self, bot: &Bot) -> (ChannelId, ChannelId) {
        self.store.add_bot(bot).await.unwrap();
        let endpoint = an_endpoint();
        (self.channel(&bot.id, None).await, self.channel(&bot.id, Some(endpoint)).await)
    }

    async fn channel(&self, bot: &BotId, endpoint: Option<Endpoint>) -> ChannelId {
        self.channel_of(bot, |channel| channel.endpoint = endpoint).await
    }

    /// One more channel of the bot, synchronous unless it is changed.
    pub(crate) async fn channel_with(&self, change: impl FnOnce(&mut Channel)) -> ChannelId {
        self.channel_of(&self.bot, change).await
    }

    async fn channel_of(&self, bot: &BotId, change: impl FnOnce(&mut Channel)) -> ChannelId {
        let id = ChannelId::from(format!("ivrInst-{}", Entropy::Real.uuid_v5_shape()));
        let mut channel = Channel {
            id: id.clone(),
            bot: bot.clone(),
            client: CLIENT.into(),
            name: id.to_string(),
            ordinal: 0,
            endpoint: None,
            state: ChannelState::AwaitingApproval,
            deadline: Channel::DEADLINE,
            compatibility: Compatibility::default(),
            overrides: Overrides::NONE,
            while_busy: shared::registry::WhileBusy::Queue,
            rate: Rate::default(),
        };
        change(&mut channel);
        self.store.add_channel(&channel).await.unwrap();
        self.store.act(&id, ChannelAction::Approve).await.unwrap();
        id
    }

    /// A turn as ingress makes it.
    pub(crate) fn turn(&self, mode: Mode, user: &str, text: &str) -> Turn {
        let payload = json!({
            "session": {"new": false},
            "message": {"text": text, "attachments": [{"url": "https://example.com/a.png"}]},
            "from": {"id": user},
            "customData": {"userToken": "t0ken"},
        });
        Turn {
            id: a_turn_id(),
            client: ClientId::from(CLIENT),
            channel: if mode == Mode::Sync { &self.sync } else { &self.asynchronous }.clone(),
            bot: self.bot.clone(),
            user: user.into(),
            mode,
            new_session: false,
            text: text.to_owned(),
            payload: payload.to_string(),
        }
    }

    /// Publishes a turn; of a synchronous one the answer is waited for.
    pub(crate) async fn publish(&self, turn: &Turn) {
        let waits = turn.mode == Mode::Sync;
        let address = self.broker.reply_address().borrow().clone();
        let reply_to = address.filter(|_| waits).map(|ReplyAddress(to)| to);
        let job = TurnJob { turn: turn.clone(), reply_to, traceparent: None };
        let sealed = job.seal(&self.keys).unwrap();
        self.publish_raw(&turn.conversation(), turn.id, sealed).await;
    }

    pub(crate) async fn publish_raw(&self, key: &ConversationKey, turn: TurnId, body: Bytes) {
        let partition = self.broker.topology().partition(key);
        self.broker.publish(Queue::Turns, partition, turn, body).await.unwrap();
    }

    /// Says something synchronously; nobody waits.
    pub(crate) async fn say(&self, user: &str, text: &str) -> Turn {
        let turn = self.turn(Mode::Sync, user, text);
        self.publish(&turn).await;
        turn
    }

    /// Says something synchronously and waits for the answer.
    pub(crate) async fn ask(&self, user: &str, text: &str) -> Value {
        let turn = self.say(user, text).await;
        self.answer(&turn).await
    }

    /// Waits for the first answer to a turn.
    pub(crate) async fn answer(&self, turn: &Turn) -> Value {
        serde_json::from_slice(&self.answers(turn, 1).await[0]).unwrap()
    }

    /// Waits for that many answers to a turn.
    pub(crate) async fn answers(&self, turn: &Turn, count: usize) -> Vec<Bytes> {
        let got = || self.replies.lock().unwrap().get(&turn.id).cloned().unwrap_or_default();
        until(&format!("{count} answers to {}", turn.text), || async { got().len() >= count })
            .await;
        got()
    }

    /// The turn's row, when it has one.
    pub(crate) async fn row(&self, turn: &Turn) -> Option<SettledTurn> {
        let asked = [(turn.client.clone(), turn.id)];
        let found = self.store.store().outcomes(&asked).await.unwrap();
        found.into_iter().next().map(|(_, settled)| settled)
    }

    /// Waits for the turn's row.
    pub(crate) async fn settled(&self, turn: &Turn) -> SettledTurn {
        until(&format!("{} is settled", turn.text), || async { self.row(turn).await.is_some() })
            .await;
        self.row(turn).await.unwrap()
    }

    /// What the bot has kept of a user of the synchronous channel.
    pub(crate) async fn kept(&self, user: &str) -> Value {
        let turn = self.turn(Mode::Sync, user, "");
        let (conversation, _) =
            self.store.store().load(&turn.conversation(), turn.id).await.unwrap();
        let state: Value = serde_json::from_slice(&conversation.session.state).unwrap_or_default();
        state["BotUserSession"].clone()
    }

    /// Waits until no turn is queued or unacknowledged.
    pub(crate) async fn idle(&self) {
        until("all is acknowledged", || async {
            let mut depth = 0;
            for partition in self.broker.topology().partitions() {
                depth += self.broker.depth(Queue::Turns, partition).await.unwrap();
            }
            depth == 0
        })
        .await;
    }

    /// Takes the next doorbell of a conversation's partition.
    pub(crate) async fn bell(&self, key: &ConversationKey) -> DeliveryJob {
        let partition = self.broker.topology().partition(key);
        let mut consumer = self.broker.consume(Queue::Deliveries, partition).await.unwrap();
        let job = tokio::time::timeout(SOON, consumer.next()).await.unwrap().unwrap();
        consumer.acker().ack(job.tag).unwrap();
        consumer.close().await;
        DeliveryJob::open(&self.keys, &job.body).unwrap()
    }

    /// The doorbells that wait in a conversation's partition.
    pub(crate) async fn bells(&self, key: &ConversationKey) -> u64 {
        let partition = self.broker.topology().partition(key);
        self.broker.depth(Queue::Deliveries, partition).await.unwrap()
    }

    pub(crate) async fn dispatcher<L: BotLogic + Clone + 'static>(&self, bot: &L) -> Dispatcher {
        self.dispatcher_with(bot, &[]).await
    }

    /// With other settings than the usual.
    pub(crate) async fn dispatcher_with<L: BotLogic + Clone + 'static>(
        &self,
        bot: &L,
        flags: &[(&str, &str)],
    ) -> Dispatcher {
        let bot = bot.clone();
        self.start(flags, async move |ground, settings| {
            dispatcher::start_with(ground, &settings, bot).await.unwrap();
        })
        .await
    }

    /// With the logic that the registry names.
    pub(crate) async fn dispatcher_of_registry(&self, flags: &[(&str, &str)]) -> Dispatcher {
        self.start(flags, async |ground, settings| {
            dispatcher::start(ground, &settings).await.unwrap();
        })
        .await
    }

    async fn start<F>(
        &self,
        flags: &[(&str, &str)],
        start: impl FnOnce(Ground<P::B, Faulty<P::S>>, Settings) -> F + Send + 'static,
    ) -> Dispatcher
    where
        F: Future<Output = ()> + Send,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        // A killed process takes its engines' tasks with it.
        let pair = self.pair.clone();
        let (broker, store) =
            runtime.spawn(async move { pair.process().await.unwrap() }).await.unwrap();
        let lifecycle = Lifecycle::new();
        let metrics = prometheus::Registry::new();
        let ground = Ground {
            broker,
            store: self.store.over(store),
            registry: Cache::new(self.store.heard().await),
            keys: self.keys.clone(),
            clock: Clock::Real,
            entropy: Entropy::Real,
            lease: shared::lease::Lease::eternal(),
            lifecycle: lifecycle.clone(),
            metrics: metrics.clone(),
            readiness: Readiness::default(),
            tracer: Tracer::off(),
            process: Uuid::from_u128(Entropy::Real.u64().into()),
        };
        let flags: Vec<_> = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let settings = load_from(None, &flags, []).unwrap();
        runtime.spawn(async move { start(ground, settings).await }).await.unwrap();
        Dispatcher { lifecycle, metrics, runtime: Some(runtime) }
    }
}

async fn listen(
    mut replies: tokio::sync::mpsc::Receiver<Bytes>,
    keys: Keys,
    book: Arc<Mutex<HashMap<TurnId, Vec<Bytes>>>>,
) {
    while let Some(sealed) = replies.recv().await {
        for Reply { turn, answer, .. } in Replies::open(&keys, &sealed).unwrap().0 {
            book.lock().unwrap().entry(turn).or_default().push(answer);
        }
    }
}

impl Dispatcher {
    /// As on SIGTERM.
    pub(crate) async fn stop(mut self) -> Drained {
        let runtime = self.runtime.take().unwrap();
        let lifecycle = self.lifecycle.clone();
        let drained = runtime.spawn(async move { lifecycle.drain(SOON).await }).await.unwrap();
        runtime.shutdown_background();
        drained
    }

    /// As kill -9: everything ends where it is. Waits until nothing of it is left.
    pub(crate) async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(SOON));
        ended.await.unwrap();
    }

    /// The sum of a metric's values, over those of its labels that have the value `label`.
    pub(crate) fn metric(&self, name: &str, label: Option<&str>) -> i64 {
        let name = format!("switchhook_dispatcher_{name}");
        let families = self.metrics.gather();
        let found = families.iter().filter(|family| family.name() == name);
        let values = found.flat_map(prometheus::proto::MetricFamily::get_metric).filter(|metric| {
            label.is_none_or(|label| metric.get_label().iter().any(|pair| pair.value() == label))
        });
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value() + metric.get_gauge().get_value()
        };
        #[expect(clippy::cast_possible_truncation, reason = "all that is asked for is counted")]
        let sum = values.map(value).sum::<f64>() as i64;
        sum
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A time-out that is short for a bot that hangs, and long for everything else.
pub(crate) const SHORT: (&str, &str) = ("dispatcher.turn_deadline", "300ms");

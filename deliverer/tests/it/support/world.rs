//! Engines in a folder, channels, what a dispatcher would commit, and deliverers that can be stopped or
//! killed.

use std::time::Duration;

use bytes::Bytes;
use shared::admin::Readiness;
use shared::broker::Broker as _;
use shared::clock::Clock;
use shared::config::{Settings, load_from};
use shared::domain::channel::{ChannelAction, ChannelState};
use shared::domain::delivery::{Delivery, Place};
use shared::domain::ids::{BotId, ChannelId, ClientId, ConversationKey, DeliveryId, TurnId};
use shared::domain::outcome::Outcome;
use shared::domain::retry::{Policy, Spacing};
use shared::engines;
use shared::entropy::Entropy;
use shared::ground::Ground;
use shared::lifecycle::{Drained, Lifecycle};
use shared::registry::cache::Cache;
use shared::registry::{
    Algorithm, App, Bot, Channel, Compatibility, Endpoint, Logic, Overrides, Rate,
    RegistryStore as _, TokenRules,
};
use shared::store::{
    Deliveries as _, Lowest, Session, TurnCommit, TurnRecord, Turns as _, Upkeep as _,
};
use shared::topology::Queue;
use shared::tracer::Tracer;
use shared::wire::envelope::Keys;
use shared::wire::jobs::{DeliveryJob, Fresh};
use shared::wire::v1;
use uuid::Uuid;

use super::until;
use testkit::pair::{Embedded, Pair};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BOT: &str = "st-00000000-0000-5000-8000-000000000001";
const CLIENT: &str = "cs-00000000-0000-5000-8000-000000000001";

pub(crate) struct World<P: Pair = Embedded> {
    pair: P,
    pub(crate) broker: P::B,
    pub(crate) store: P::S,
    pub(crate) channel: ChannelId,
    keys: Keys,
}

/// The deliveries of one committed turn.
pub(crate) struct Said {
    key: ConversationKey,
    pub(crate) turn: TurnId,
    pub(crate) rows: Vec<Delivery>,
}

/// A deliverer at work, on a runtime of its own so that it can be killed.
pub(crate) struct Deliverer {
    lifecycle: Lifecycle,
    pub(crate) metrics: prometheus::Registry,
    runtime: Option<tokio::runtime::Runtime>,
}

/// An endpoint that is tried again at once, again and again.
pub(crate) fn endpoint(post_url: url::Url) -> Endpoint {
    Endpoint {
        post_url,
        token_header: Endpoint::TOKEN_HEADER.to_owned(),
        token: Some("Bearer t0ken".into()),
        signing_secret: SECRET.into(),
        retry: waits(&[50; 20]),
        deadline: Duration::from_secs(15),
        permits: Endpoint::PERMITS,
        disabled: false,
    }
}

/// A schedule of these waits in milliseconds, without jitter.
pub(crate) fn waits(waits_ms: &[u64]) -> Policy {
    let waits = waits_ms.iter().copied().map(Duration::from_millis).collect();
    Policy { spacing: Spacing::List(waits), jitter: 0.0 }
}

impl World {
    pub(crate) async fn new(endpoint: Endpoint) -> Self {
        Self::at(endpoint, Clock::Real).await
    }

    /// With a clock of the database's own.
    pub(crate) async fn at(endpoint: Endpoint, clock: Clock) -> Self {
        Self::on(Embedded::start(clock).await.unwrap(), endpoint).await
    }
}

impl<P: Pair> World<P> {
    pub(crate) async fn on(pair: P, endpoint: Endpoint) -> Self {
        let (broker, store) = pair.process().await.unwrap();
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
        let bot = Bot {
            id: BOT.into(),
            name: "bot".to_owned(),
            logic: Logic::Echo,
            error_message: Bot::ERROR_MESSAGE.to_owned(),
            session_timeout: Bot::SESSION_TIMEOUT,
            permits: Bot::PERMITS,
            beside: shared::registry::Beside::default(),
        };
        store.add_bot(&bot).await.unwrap();
        let channel = ChannelId::from("");
        let mut world = Self { pair, broker, store, channel, keys };
        world.channel = world.channel(endpoint).await;
        world
    }

    /// One more live channel of the bot.
    pub(crate) async fn channel(&self, endpoint: Endpoint) -> ChannelId {
        let id = ChannelId::from(format!("ivrInst-{}", Entropy::Real.uuid_v5_shape()));
        let channel = Channel {
            id: id.clone(),
            bot: BotId::from(BOT),
            client: ClientId::from(CLIENT),
            name: id.to_string(),
            ordinal: 0,
            endpoint: Some(endpoint),
            state: ChannelState::AwaitingApproval,
            deadline: Channel::DEADLINE,
            compatibility: Compatibility::default(),
            overrides: Overrides::NONE,
            while_busy: shared::registry::WhileBusy::Queue,
            rate: Rate::default(),
        };
        self.store.add_channel(&channel).await.unwrap();
        self.store.act(&id, ChannelAction::Approve).await.unwrap();
        id
    }

    pub(crate) fn user(&self, user: &str) -> ConversationKey {
        ConversationKey::new(self.channel.clone(), user.into())
    }

    /// What a dispatcher does: commits a turn that says `texts`, and rings.
    pub(crate) async fn say(&self, key: &ConversationKey, texts: &[&str]) -> Said {
        let said = self.commit(key, texts).await;
        self.ring(&said).await;
        said
    }

    /// Commits a turn that says `texts`; nobody rings.
    pub(crate) async fn commit(&self, key: &ConversationKey, texts: &[&str]) -> Said {
        self.commit_at(key, texts, Clock::Real.unix_ms()).await
    }

    /// As [`World::commit`], of a turn that was taken in at that time.
    pub(crate) async fn commit_at(
        &self,
        key: &ConversationKey,
        texts: &[&str],
        unix_ms: u64,
    ) -> Said {
        let turn = TurnId::new(Entropy::Real.uuid_v7(unix_ms));
        let (conversation, _) = self.store.load(key, turn).await.unwrap();
        let bodies: Vec<_> =
            texts.iter().map(|text| v1::post_body(text, key.user.as_str(), BOT)).collect();
        let commit = TurnCommit {
            conversation: key.clone(),
            version: conversation.version,
            session: Session::default(),
            record: TurnRecord {
                turn,
                client: CLIENT.into(),
                channel: key.channel.clone(),
                outcome: Outcome::Answered,
                detail: String::new(),
                reply: Bytes::from_static(br#"{"text":[]}"#),
                parked: None,
                queued_ms: 0,
                bot_ms: 0,
            },
            deliveries: bodies.clone(),
            wider: Vec::new(),
        };
        let committed = self.store.commit(commit).await.unwrap();
        let rows = bodies.into_iter().zip(0..).map(|(body, index)| Delivery {
            place: Place {
                conversation: conversation.id,
                number: committed.first_delivery + i64::from(index),
            },
            id: DeliveryId { turn, index },
            channel: key.channel.clone(),
            body,
            attempt: 0,
            failures: 0,
            deferrals: 0,
            redriven: false,
        });
        Said { key: key.clone(), turn, rows: rows.collect() }
    }

    /// Rings a fresh doorbell for each delivery of a turn.
    pub(crate) async fn ring(&self, said: &Said) {
        for row in &said.rows {
            let fresh = Fresh { delivery: row.clone(), rung_unix_ms: Clock::Real.unix_ms() };
            let job = DeliveryJob {
                place: row.place,
                channel: said.key.channel.to_string(),
                fresh: Some(fresh),
                traceparent: None,
            };
            self.publish(&said.key, said.turn, job.seal(&self.keys).unwrap()).await;
        }
    }

    pub(crate) async fn publish(&self, key: &ConversationKey, turn: TurnId, body: Bytes) {
        let partition = self.broker.topology().partition(key);
        self.broker.publish(Queue::Deliveries, partition, turn, body).await.unwrap();
    }

    pub(crate) async fn lowest(&self, key: &ConversationKey) -> Option<Lowest> {
        self.store.lowest(key.id()).await.unwrap()
    }

    /// Waits until nothing of a conversation is unsettled.
    pub(crate) async fn settled(&self, key: &ConversationKey) {
        until("everything is settled", || async { self.lowest(key).await.is_none() }).await;
    }

    /// Puts a conversation's parked deliveries back.
    pub(crate) async fn redrive(&self, key: &ConversationKey) -> u64 {
        self.store.redrive(key.id()).await.unwrap()
    }

    pub(crate) async fn deliverer(&self) -> Deliverer {
        self.deliverer_with(&[]).await
    }

    /// With other settings than the usual.
    pub(crate) async fn deliverer_with(&self, flags: &[(&str, &str)]) -> Deliverer {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let lifecycle = Lifecycle::new();
        let metrics = prometheus::Registry::new();
        let pair = self.pair.clone();
        let (broker, store) =
            runtime.spawn(async move { pair.process().await.unwrap() }).await.unwrap();
        let ground = Ground {
            broker,
            store,
            registry: Cache::load(&self.store).await.unwrap(),
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
        let settings = settings(flags);
        let started = runtime.spawn(async move {
            engines::keep(&ground).unwrap();
            deliverer::start(ground, &settings).await.unwrap();
        });
        started.await.unwrap();
        Deliverer { lifecycle, metrics, runtime: Some(runtime) }
    }
}

fn settings(flags: &[(&str, &str)]) -> Settings {
    let usual = [("egress.allow", "127.0.0.0/8")];
    let given = |key: &str| flags.iter().any(|(flag, _)| *flag == key);
    let usual = usual.iter().filter(|(key, _)| !given(key));
    let flags: Vec<_> =
        flags.iter().chain(usual).map(|(key, value)| (*key, (*value).to_owned())).collect();
    load_from(None, &flags, []).unwrap()
}

impl Deliverer {
    /// As on SIGTERM.
    pub(crate) async fn stop(mut self) -> Drained {
        let runtime = self.runtime.take().unwrap();
        let lifecycle = self.lifecycle.clone();
        let drained = runtime.spawn(async move { lifecycle.drain(super::SOON).await });
        let drained = drained.await.unwrap();
        runtime.shutdown_background();
        drained
    }

    /// As kill -9: everything ends where it is.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// The sum of a metric's values, over those of its labels that have the value `label`.
    pub(crate) fn metric(&self, name: &str, label: Option<&str>) -> i64 {
        let families = self.metrics.gather();
        let found = families.iter().filter(|family| family.name() == format!("switchhook_{name}"));
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

impl Drop for Deliverer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

//! Apps, bots and channels come back as they were put in.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use shared::domain::channel::ChannelAction::{Approve, Suspend};
use shared::domain::channel::ChannelState::{AwaitingApproval, Live, Suspended};
use shared::domain::ids::{BotId, ChannelId, ClientId};
use shared::domain::retry::{Policy, Spacing};
use shared::domain::turn::Mode;
use shared::registry::{
    Algorithm, Channel, Compatibility, HttpLogic, Logic, Rate, RegistryError, RegistryStore as _,
    ScriptLogic,
};
use tokio::task::JoinSet;

use super::fixtures::{World, app, asynchronous, echo, id, synchronous};
use super::harness::Harness;

conformance! {
    apps_come_back_with_their_secrets,
    bots_come_back_with_their_logic,
    a_bot_that_cannot_be_read_takes_no_other_away,
    channels_come_back_with_every_field,
    secrets_are_nowhere_in_the_clear,
    ordinals_count_from_one_and_are_the_stores_own,
    channels_added_at_one_moment_get_ordinals_of_their_own,
    a_name_is_taken_once_within_a_bot,
    an_id_is_taken_once,
    an_unknown_bot_or_app_is_refused_in_words,
    actions_follow_the_table_and_refusals_say_why,
    actions_at_one_moment_apply_once,
}

fn words<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> String {
    match result {
        Err(RegistryError::Invalid(words)) => words,
        other => panic!("not refused in words: {other:?}"),
    }
}

/// An operator reads this: no database's own language.
fn assert_plain(words: &str) {
    assert!(!words.is_empty());
    for jargon in ["constraint", "FOREIGN KEY", "foreign key", "violates", "UNIQUE", "SQLSTATE"] {
        assert!(!words.contains(jargon), "{words}");
    }
}

async fn apps_come_back_with_their_secrets<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for (algorithm, secret) in
        [(Algorithm::Hs256, "s".repeat(32)), (Algorithm::Hs512, "Zoë 😀 ".repeat(40))]
    {
        let client = ClientId::from(id("cs-"));
        let mut put = app(&client);
        put.algorithm = algorithm;
        put.secret = secret.clone().into();
        "the \"bank's\" app; drop table app".clone_into(&mut put.name);
        world.s.add_app(&put).await.unwrap();
        let registry = other.registry().await.unwrap();
        let got = &registry.apps[&client];
        assert_eq!(got.name, put.name);
        assert_eq!((&got.client_id, got.algorithm), (&client, algorithm));
        assert_eq!(got.secret.expose_secret(), secret);
    }
}

async fn bots_come_back_with_their_logic<H: Harness>(h: H) {
    let world = World::new(h).await;
    let http = |authorization: Option<&str>| {
        Logic::Http(HttpLogic {
            url: "https://bot.example:8443/turn?x=1".parse().unwrap(),
            authorization: authorization.map(Into::into),
            deadline: Duration::from_millis(2_500),
            attempts_max: 3,
        })
    };
    let script = |env: Option<&str>| {
        let (name, source) = ("bot.js".to_owned(), "say('ä – \\u0000')\n".into());
        let (env, restart_dialogs) = (env.map(Into::into), env.is_none());
        Logic::Script(ScriptLogic { name, source, env, restart_dialogs })
    };
    let (plain, secret) = (script(None), script(Some(r#"{"KEY":"THE-BOTS-VALUE"}"#)));
    for logic in [Logic::Echo, http(None), http(Some("Bearer THE-BOTS-TOKEN")), plain, secret] {
        let mut put = echo(&BotId::from(id("st-")));
        put.logic = logic;
        put.error_message = "Tut mir leid – später nochmal.".into();
        put.session_timeout = Duration::from_mins(7);
        put.permits = 3;
        world.s.add_bot(&put).await.unwrap();
        let registry = world.s.registry().await.unwrap();
        let got = &registry.bots[&put.id];
        assert_eq!(format!("{got:?}"), format!("{put:?}"));
        if let (Logic::Http(got), Logic::Http(put)) = (&got.logic, &put.logic) {
            let secret = |logic: &HttpLogic| {
                logic.authorization.as_ref().map(|text| text.expose_secret().to_owned())
            };
            assert_eq!(secret(got), secret(put));
        }
        if let (Logic::Script(got), Logic::Script(put)) = (&got.logic, &put.logic) {
            let env = |logic: &ScriptLogic| {
                logic.env.as_ref().map(|text| text.expose_secret().to_owned())
            };
            assert_eq!(env(got), env(put));
        }
    }
}

/// Equal in every field, secrets included, but for what the store decides itself.
fn assert_same(got: &Channel, put: &Channel) {
    let put = Channel { ordinal: got.ordinal, ..put.clone() };
    assert_eq!(format!("{got:?}"), format!("{put:?}"));
    let secrets = |channel: &Channel| {
        channel.endpoint.as_ref().map(|endpoint| {
            let token = endpoint.token.as_ref().map(|token| token.expose_secret().to_owned());
            (token, endpoint.signing_secret.expose_secret().to_owned())
        })
    };
    assert_eq!(secrets(got), secrets(&put));
}

async fn a_bot_that_cannot_be_read_takes_no_other_away<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (other, later) = (world.h.other().await, BotId::from(id("st-")));
    let mut put = echo(&later);
    "of a later release".clone_into(&mut put.name);
    world.s.add_bot(&put).await.unwrap();
    let before = other.registry().await.unwrap();
    assert!(before.bots.contains_key(&later) && before.unreadable.is_empty());
    let spec =
        r#"{"logic":{"kind":"telepathy"},"error_message":"","session_timeout_ms":1,"permits":1}"#;
    world.h.write_spec(later.as_str(), spec).await;
    for store in [&world.s, &other] {
        let after = store.registry().await.unwrap();
        assert_eq!(
            (after.bots.len() + 1, after.channels.len()),
            (before.bots.len(), before.channels.len())
        );
        let bot = &after.unreadable[&later];
        assert_eq!((after.unreadable.len(), bot.name.as_str()), (1, "of a later release"));
        assert!(bot.why.contains("telepathy"), "{}", bot.why);
    }
    // Whoever changes something else finds the same.
    let client = ClientId::from(id("cs-"));
    world.s.add_app(&app(&client)).await.unwrap();
    assert!(other.registry().await.unwrap().apps.contains_key(&client));
}

async fn channels_come_back_with_every_field<H: Harness>(h: H) {
    let world = World::new(h).await;
    let new = || ChannelId::from(id("ivrInst-"));
    let plain = synchronous(&new(), &world.bot, &world.client);
    let mut switched = synchronous(&new(), &world.bot, &world.client);
    switched.compatibility = Compatibility { single_as_string: false, escape_templates: false };
    switched.deadline = Duration::from_millis(1_234);
    switched.rate = Rate { per_second: 77, burst: 1_000 };
    switched.state = Live;
    let mut listed = asynchronous(&new(), &world.bot, &world.client);
    let endpoint = listed.endpoint.as_mut().unwrap();
    endpoint.post_url = "https://receiver.example:8443/p%20q?a=b&c=%C3%A9".parse().unwrap();
    endpoint.token_header = "x-token".into();
    endpoint.token = None;
    endpoint.deadline = Duration::from_millis(4_321);
    endpoint.permits = 5;
    let waits = [1, 250, 60_000, 86_400_000].map(Duration::from_millis);
    endpoint.retry = Policy { spacing: Spacing::List(waits.to_vec()), jitter: 0.25 };
    let mut growing = asynchronous(&new(), &world.bot, &world.client);
    growing.endpoint.as_mut().unwrap().retry = Policy {
        spacing: Spacing::Exponential {
            initial: Duration::from_millis(1_500),
            factor: 1.75,
            max: Duration::from_hours(3),
            attempts_max: 12,
        },
        jitter: 0.0,
    };
    let mut once = asynchronous(&new(), &world.bot, &world.client);
    once.endpoint.as_mut().unwrap().retry =
        Policy { spacing: Spacing::List(Vec::new()), jitter: 1.0 };
    for put in [&plain, &switched, &listed, &growing, &once] {
        let ordinal = world.s.add_channel(put).await.unwrap();
        let registry = world.s.registry().await.unwrap();
        let got = &registry.channels[&put.id];
        assert_eq!(got.ordinal, ordinal);
        assert_same(got, put);
        let mode = if put.endpoint.is_some() { Mode::Async } else { Mode::Sync };
        assert_eq!(got.mode(), mode);
    }
}

async fn secrets_are_nowhere_in_the_clear<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut put = app(&ClientId::from(id("cs-")));
    put.secret = "CANARY-APP-SECRET-CANARY-APP-SECRET".into();
    world.s.add_app(&put).await.unwrap();
    let mut bot = echo(&BotId::from(id("st-")));
    bot.logic = Logic::Http(HttpLogic {
        url: "https://bot.example/".parse().unwrap(),
        authorization: Some("Bearer CANARY-BOT".into()),
        deadline: Duration::from_secs(1),
        attempts_max: 1,
    });
    world.s.add_bot(&bot).await.unwrap();
    let mut channel = asynchronous(&ChannelId::from(id("ivrInst-")), &bot.id, &put.client_id);
    let endpoint = channel.endpoint.as_mut().unwrap();
    endpoint.token = Some("Bearer CANARY-TOKEN".into());
    endpoint.signing_secret = "whsec_CANARYSIGNINGSECRET".into();
    world.s.add_channel(&channel).await.unwrap();
    assert_eq!(world.h.traces("CANARY").await, Vec::<String>::new());
    assert_ne!(world.h.traces(put.client_id.as_str()).await, Vec::<String>::new());
}

async fn ordinals_count_from_one_and_are_the_stores_own<H: Harness>(h: H) {
    let world = World::new(h).await;
    let bots = [BotId::from(id("st-")), BotId::from(id("st-"))];
    for bot in &bots {
        world.s.add_bot(&echo(bot)).await.unwrap();
    }
    for expected in 1..=4 {
        for bot in &bots {
            let mut put = synchronous(&ChannelId::from(id("ivrInst-")), bot, &world.client);
            put.ordinal = 99;
            assert_eq!(world.s.add_channel(&put).await.unwrap(), expected);
        }
    }
    let registry = world.s.registry().await.unwrap();
    for bot in &bots {
        let first = registry.channel(bot, None).unwrap();
        assert_eq!(first.ordinal, 1);
        assert_eq!(first.path(), format!("/chatbot/hooks/{bot}"));
    }
}

async fn channels_added_at_one_moment_get_ordinals_of_their_own<H: Harness>(h: H) {
    let world = World::new(h).await;
    let bot = BotId::from(id("st-"));
    world.s.add_bot(&echo(&bot)).await.unwrap();
    let other = world.h.other().await;
    let mut running = JoinSet::new();
    for n in 0..12 {
        let store = if n % 2 == 0 { world.s.clone() } else { other.clone() };
        let put = synchronous(&ChannelId::from(id("ivrInst-")), &bot, &world.client);
        running.spawn(async move { store.add_channel(&put).await.unwrap() });
    }
    let mut ordinals = running.join_all().await;
    ordinals.sort_unstable();
    assert_eq!(ordinals, (1..=12).collect::<Vec<_>>());
}

async fn a_name_is_taken_once_within_a_bot<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = BotId::from(id("st-"));
    world.s.add_bot(&echo(&other)).await.unwrap();
    let named = |bot: &BotId| {
        let mut channel = synchronous(&ChannelId::from(id("ivrInst-")), bot, &world.client);
        channel.name = "the shop".into();
        channel
    };
    world.s.add_channel(&named(&world.bot)).await.unwrap();
    let refusal = words(world.s.add_channel(&named(&world.bot)).await);
    assert_plain(&refusal);
    assert!(refusal.contains("the shop"), "{refusal}");
    world.s.add_channel(&named(&other)).await.unwrap();
    let registry = world.s.registry().await.unwrap();
    let channels = registry.channels.values().filter(|channel| channel.name == "the shop");
    assert_eq!(channels.count(), 2);
}

async fn an_id_is_taken_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut again = app(&world.client);
    again.secret = "another secret of more than thirty-two bytes".into();
    assert_plain(&words(world.s.add_app(&again).await));
    let registry = world.s.registry().await.unwrap();
    let kept = registry.apps[&world.client].secret.expose_secret();
    assert_eq!(kept, app(&world.client).secret.expose_secret());
    assert_plain(&words(world.s.add_bot(&echo(&world.bot)).await));
    let mut channel = synchronous(&world.channel, &world.bot, &world.client);
    channel.name = "another name".into();
    assert_plain(&words(world.s.add_channel(&channel).await));
}

async fn an_unknown_bot_or_app_is_refused_in_words<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (bot, client) = (BotId::from(id("st-")), ClientId::from(id("cs-")));
    let channel = ChannelId::from(id("ivrInst-"));
    let refusal = words(world.s.add_channel(&synchronous(&channel, &bot, &world.client)).await);
    assert_plain(&refusal);
    assert!(refusal.contains(bot.as_str()), "{refusal}");
    let refusal = words(world.s.add_channel(&synchronous(&channel, &world.bot, &client)).await);
    assert_plain(&refusal);
    assert!(refusal.contains(client.as_str()), "{refusal}");
    let registry = world.s.registry().await.unwrap();
    assert!(!registry.channels.contains_key(&channel));
    let refusal = words(world.s.act(&channel, Approve).await);
    assert_plain(&refusal);
    assert!(refusal.contains(channel.as_str()), "{refusal}");
}

async fn actions_follow_the_table_and_refusals_say_why<H: Harness>(h: H) {
    let world = World::new(h).await;
    let put = synchronous(&ChannelId::from(id("ivrInst-")), &world.bot, &world.client);
    world.s.add_channel(&put).await.unwrap();
    let state = async || world.s.registry().await.unwrap().channels[&put.id].state;
    assert_eq!(state().await, AwaitingApproval);
    let refusal = words(world.s.act(&put.id, Suspend).await);
    assert_eq!(refusal, "a channel that is awaiting approval cannot be suspended");
    assert_eq!(world.s.act(&put.id, Approve).await.unwrap(), Live);
    assert_eq!(state().await, Live);
    let refusal = words(world.s.act(&put.id, Approve).await);
    assert_eq!(refusal, "a channel that is live cannot be approved");
    assert_eq!(world.s.act(&put.id, Suspend).await.unwrap(), Suspended);
    assert_eq!(state().await, Suspended);
    assert_eq!(world.s.act(&put.id, Approve).await.unwrap(), Live);
    assert_eq!(state().await, Live);
}

async fn actions_at_one_moment_apply_once<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    for _ in 0..10 {
        let put = synchronous(&ChannelId::from(id("ivrInst-")), &world.bot, &world.client);
        world.s.add_channel(&put).await.unwrap();
        let (a, b) = tokio::join!(world.s.act(&put.id, Approve), other.act(&put.id, Approve));
        let done = [&a, &b].into_iter().filter(|result| result.is_ok()).count();
        assert_eq!(done, 1, "{a:?} {b:?}");
    }
}

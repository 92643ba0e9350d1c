//! The control plane's documents, and changes that are made all or nothing on what was read.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use shared::domain::channel::ChannelAction::Approve;
use shared::domain::channel::ChannelState::{Disabled, Live};
use shared::domain::ids::{BotId, ChannelId, ClientId};
use shared::entropy::Entropy;
use shared::registry::control::{
    Audit, Change, ChangeError, ControlStore as _, Kind, Record, Resealed, Write,
};
use shared::registry::{
    Algorithm, Bot, Logic, PreviousSecret, RegistryStore as _, ScriptLogic, TokenRules,
};
use shared::store::{Retention, Upkeep as _};
use shared::vault::Vault;
use tokio::task::JoinSet;

use super::fixtures::{World, app, asynchronous, days, echo, id, synchronous};
use super::harness::Harness;

conformance! {
    an_app_comes_back_with_its_previous_secret_and_its_rules,
    a_change_is_made_only_on_what_was_read,
    of_changes_at_one_moment_on_one_reading_one_is_made,
    a_change_is_made_whole_or_not_at_all,
    every_change_of_the_registry_moves_the_counter,
    a_channel_is_replaced_but_for_its_bot_ordinal_and_mark,
    records_come_back_and_history_by_the_page,
    records_go_when_their_time_is_over_and_are_cleaned,
    the_audit_log_is_read_newest_first_and_by_subject,
    a_script_that_is_replaced_is_kept_for_a_time_and_so_many_of_a_bot,
    sealed_parts_of_records_are_nowhere_in_the_clear,
    a_new_vault_key_takes_over_from_the_old_one_page_by_page,
}

fn record(kind: Kind, id: &str) -> Record {
    Record { kind, id: id.to_owned(), body: format!(r#"{{"of":"{id}"}}"#), sealed: None }
}

fn put(kind: Kind, id: &str) -> Write {
    Write::Record { record: record(kind, id), expires: None }
}

fn entry(id: &str, subject: &str) -> Audit {
    Audit {
        id: id.to_owned(),
        actor: "ann".to_owned(),
        action: "bot.rename".to_owned(),
        subject: subject.to_owned(),
        detail: r#"{"before":"ä","after":"ö"}"#.to_owned(),
    }
}

fn change(writes: Vec<Write>) -> Change {
    Change { writes, audit: Vec::new() }
}

impl<H: Harness> World<H> {
    async fn change(&self, writes: Vec<Write>) {
        let base = self.s.revision().await.unwrap();
        assert_eq!(self.s.change(base, change(writes)).await, Ok(base + 1));
    }
}

async fn an_app_comes_back_with_its_previous_secret_and_its_rules<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut put = app(&ClientId::from(id("cs-")));
    put.algorithm = Algorithm::Rs512;
    put.previous = Some(PreviousSecret { secret: "the one before".into(), until_ms: 1 << 41 });
    put.rules = TokenRules {
        age_max: Some(Duration::from_millis(90_500)),
        networks: vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        single_use: true,
    };
    world.s.add_app(&put).await.unwrap();
    let get = async || world.s.registry().await.unwrap().apps[&put.client_id].clone();
    let got = get().await;
    assert_eq!((got.algorithm, &got.rules), (put.algorithm, &put.rules));
    let previous = got.previous.as_ref().unwrap();
    assert_eq!(previous.secret.expose_secret(), "the one before");
    assert_eq!(previous.until_ms, 1 << 41);
    put.previous = None;
    put.secret = "another secret of more than thirty-two bytes".into();
    put.rules = TokenRules::default();
    world.change(vec![Write::App(Box::new(put.clone()))]).await;
    let got = get().await;
    assert_eq!(got.secret.expose_secret(), put.secret.expose_secret());
    assert!(got.previous.is_none() && got.rules == TokenRules::default());
}

async fn a_change_is_made_only_on_what_was_read<H: Harness>(h: H) {
    let world = World::new(h).await;
    let before = world.s.control().await.unwrap();
    assert!(before.registry.bots.contains_key(&world.bot));
    world.change(vec![put(Kind::Parent, "one")]).await;
    let late = world.s.change(before.revision, change(vec![put(Kind::Parent, "two")])).await;
    assert_eq!(late, Err(ChangeError::Moved));
    let after = world.s.control().await.unwrap();
    assert_eq!(after.revision, before.revision + 1);
    assert_eq!(world.s.registry().await.unwrap().revision, after.revision);
    assert_eq!(after.records.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["one"]);
}

async fn of_changes_at_one_moment_on_one_reading_one_is_made<H: Harness>(h: H) {
    let world = World::new(h).await;
    let other = world.h.other().await;
    let base = world.s.revision().await.unwrap();
    let mut running = JoinSet::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { world.s.clone() } else { other.clone() };
        let write = put(Kind::Parent, &n.to_string());
        running.spawn(async move { store.change(base, change(vec![write])).await });
    }
    let results = running.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|r| **r == Err(ChangeError::Moved)).count(), 7);
    assert_eq!(world.s.control().await.unwrap().records.len(), 1);
}

async fn a_change_is_made_whole_or_not_at_all<H: Harness>(h: H) {
    let world = World::new(h).await;
    let base = world.s.revision().await.unwrap();
    let orphan =
        synchronous(&ChannelId::from(id("ivrInst-")), &BotId::from(id("st-")), &world.client);
    let writes = vec![put(Kind::Parent, "one"), Write::AddChannel(Box::new(orphan))];
    let audit = vec![entry("1", "one")];
    let refused = world.s.change(base, Change { writes, audit }).await;
    assert!(matches!(refused, Err(ChangeError::Registry(_))), "{refused:?}");
    let control = world.s.control().await.unwrap();
    assert_eq!((control.revision, control.records.len()), (base, 0));
    assert!(world.s.audit(None, None, 10).await.unwrap().is_empty());
}

async fn every_change_of_the_registry_moves_the_counter<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut last = world.s.revision().await.unwrap();
    let mut moved = async || {
        let now = world.s.revision().await.unwrap();
        std::mem::replace(&mut last, now) < now
    };
    world.s.add_app(&app(&ClientId::from(id("cs-")))).await.unwrap();
    assert!(moved().await, "an app");
    world.s.add_bot(&echo(&BotId::from(id("st-")))).await.unwrap();
    assert!(moved().await, "a bot");
    let channel = synchronous(&ChannelId::from(id("ivrInst-")), &world.bot, &world.client);
    world.s.add_channel(&channel).await.unwrap();
    assert!(moved().await, "a channel");
    world.s.act(&channel.id, Approve).await.unwrap();
    assert!(moved().await, "an action");
    assert!(!moved().await, "nothing");
}

async fn a_script_that_is_replaced_is_kept_for_a_time_and_so_many_of_a_bot<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut bot = echo(&BotId::from(id("st-")));
    let mut put = async |source: &str| {
        let (name, source) = ("bot.js".to_owned(), source.into());
        bot.logic = Logic::Script(ScriptLogic { name, source, env: None, restart_dialogs: false });
        world.change(vec![Write::Bot(Box::new(bot.clone()))]).await;
        bot.clone()
    };
    let kept = async |bot: &BotId, source: &str| {
        let version = ScriptLogic::version(source);
        world.s.replaced_script(bot, &version).await.unwrap().is_some()
    };
    let first = put("say(1)").await;
    let renamed = Bot { name: "a new name".to_owned(), ..first.clone() };
    world.change(vec![Write::Bot(Box::new(renamed))]).await;
    assert!(!kept(&first.id, "say(1)").await, "it is the bot's still");
    put("say(2)").await;
    assert_eq!(
        world.s.replaced_script(&first.id, &ScriptLogic::version("say(1)")).await.unwrap(),
        Some("say(1)".to_owned())
    );
    assert!(!kept(&world.bot, "say(1)").await, "of another bot");
    // What was kept once and came back is as new.
    world.h.pass(days(20)).await;
    put("say(1)").await;
    put("say(2)").await;
    world.h.pass(days(20)).await;
    world.s.clean(Retention::default()).await.unwrap();
    assert!(kept(&first.id, "say(1)").await && kept(&first.id, "say(2)").await);
    world.h.pass(days(11)).await;
    assert!(!kept(&first.id, "say(1)").await, "31 days later");
    let rows = async || world.h.rows().await["script_version"];
    assert_eq!(rows().await, 2);
    world.s.clean(Retention::default()).await.unwrap();
    assert_eq!(rows().await, 0);
    for n in 3..30 {
        put(&format!("say({n})")).await;
    }
    assert_eq!(rows().await, i64::from(ScriptLogic::KEPT_MAX));
    assert!(kept(&first.id, "say(28)").await && !kept(&first.id, "say(3)").await);
    let echo = Bot { logic: Logic::Echo, ..first.clone() };
    world.change(vec![Write::Bot(Box::new(echo))]).await;
    assert!(kept(&first.id, "say(29)").await);
    world.change(vec![Write::RemoveBot(first.id.clone())]).await;
    assert_eq!(rows().await, 0);
}

async fn a_channel_is_replaced_but_for_its_bot_ordinal_and_mark<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut put = asynchronous(&ChannelId::from(id("ivrInst-")), &world.bot, &world.client);
    put.endpoint.as_mut().unwrap().disabled = true;
    world.change(vec![Write::AddChannel(Box::new(put.clone()))]).await;
    let get = async || world.s.registry().await.unwrap().channels[&put.id].clone();
    let first = get().await;
    assert_eq!(first.ordinal, 2);
    let mut new = put.clone();
    "a new name".clone_into(&mut new.name);
    new.state = Disabled;
    new.ordinal = 77;
    let endpoint = new.endpoint.as_mut().unwrap();
    endpoint.post_url = "https://elsewhere.example/".parse().unwrap();
    endpoint.disabled = false;
    let write = |enable| Write::Channel { channel: Box::new(new.clone()), enable };
    world.change(vec![write(false)]).await;
    let got = get().await;
    assert_eq!((got.name.as_str(), got.state, got.ordinal), ("a new name", Disabled, 2));
    let endpoint = got.endpoint.as_ref().unwrap();
    assert_eq!(endpoint.post_url.as_str(), "https://elsewhere.example/");
    assert!(endpoint.disabled, "the receiver's 410 stands");
    world.change(vec![write(true)]).await;
    assert!(!get().await.endpoint.as_ref().unwrap().disabled);
    new.endpoint = None;
    new.state = Live;
    world.change(vec![Write::Channel { channel: Box::new(new), enable: false }]).await;
    assert!(get().await.endpoint.is_none());
    world.change(vec![Write::RemoveChannel(put.id.clone())]).await;
    assert!(!world.s.registry().await.unwrap().channels.contains_key(&put.id));
    // Its ordinal is never given again.
    let next = synchronous(&ChannelId::from(id("ivrInst-")), &world.bot, &world.client);
    assert_eq!(world.s.add_channel(&next).await.unwrap(), 3);
}

async fn records_come_back_and_history_by_the_page<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut sealed = record(Kind::Edit, "ä 😀");
    sealed.sealed = Some(r#"{"token":"s3cret"}"#.into());
    let mut writes = vec![Write::Record { record: sealed.clone(), expires: None }];
    writes.extend((0..5).map(|n| put(Kind::Decided, &format!("d{n}"))));
    world.change(writes).await;
    let control = world.s.control().await.unwrap();
    assert_eq!(control.records.len(), 1, "history is not among them");
    let got = &control.records[0];
    assert_eq!((got.kind, &got.id, &got.body), (Kind::Edit, &sealed.id, &sealed.body));
    let secret = got.sealed.as_ref().unwrap().expose_secret();
    assert_eq!(secret, sealed.sealed.as_ref().unwrap().expose_secret());
    let page = async |before| {
        let records = world.s.records(Kind::Decided, before, 2).await.unwrap();
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ["d4", "d3"]);
    assert_eq!(page(Some("d3")).await, ["d2", "d1"]);
    assert_eq!(page(Some("d1")).await, ["d0"]);
    assert!(world.s.record(Kind::Decided, "d2").await.unwrap().is_some());
    assert!(world.s.record(Kind::Edit, "d2").await.unwrap().is_none());
    world.change(vec![Write::RemoveRecord(Kind::Edit, sealed.id.clone())]).await;
    assert!(world.s.control().await.unwrap().records.is_empty());
}

async fn records_go_when_their_time_is_over_and_are_cleaned<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = Write::Record { record: record(Kind::Key, "k"), expires: Some(days(1)) };
    world.change(vec![key, put(Kind::Operator, "ann")]).await;
    assert!(world.s.record(Kind::Key, "k").await.unwrap().is_some());
    world.h.pass(days(1) + Duration::from_secs(1)).await;
    assert!(world.s.record(Kind::Key, "k").await.unwrap().is_none());
    world.s.clean(shared::store::Retention::default()).await.unwrap();
    assert_eq!(world.h.rows().await["record"], 1, "what has no end stays");
}

async fn the_audit_log_is_read_newest_first_and_by_subject<H: Harness>(h: H) {
    let world = World::new(h).await;
    for (n, subject) in ["x", "y", "x", "y", "x"].into_iter().enumerate() {
        let base = world.s.revision().await.unwrap();
        let audit = vec![entry(&format!("e{n}"), subject)];
        world.s.change(base, Change { writes: Vec::new(), audit }).await.unwrap();
    }
    let page = async |subject, before| {
        let entries = world.s.audit(subject, before, 2).await.unwrap();
        entries.into_iter().map(|e| e.entry.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, None).await, ["e4", "e3"]);
    assert_eq!(page(None, Some("e1")).await, ["e0"]);
    assert_eq!(page(Some("x"), None).await, ["e4", "e2"]);
    assert_eq!(page(Some("x"), Some("e2")).await, ["e0"]);
    let one = world.s.audit(None, None, 1).await.unwrap().remove(0);
    assert_eq!(one.entry, entry("e4", "x"));
    assert!(one.at_ms > 1_700_000_000_000);
    world.h.pass(days(731)).await;
    world.s.clean(shared::store::Retention::default()).await.unwrap();
    assert!(world.s.audit(None, None, 10).await.unwrap().is_empty());
}

async fn sealed_parts_of_records_are_nowhere_in_the_clear<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut sealed = record(Kind::Edit, "edited");
    sealed.sealed = Some("CANARY-RECORD".into());
    let mut app = app(&ClientId::from(id("cs-")));
    app.previous = Some(PreviousSecret { secret: "CANARY-PREVIOUS".into(), until_ms: 1 });
    let record = Write::Record { record: sealed, expires: None };
    world.change(vec![record, Write::App(Box::new(app))]).await;
    assert_eq!(world.h.traces("CANARY").await, Vec::<String>::new());
    assert_ne!(world.h.traces("edited").await, Vec::<String>::new());
}

async fn a_new_vault_key_takes_over_from_the_old_one_page_by_page<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut put = app(&ClientId::from(id("cs-")));
    put.previous = Some(PreviousSecret { secret: "the one before".into(), until_ms: 1 << 41 });
    let secret = |n: usize| Write::Record {
        record: Record {
            sealed: Some(format!("secret {n}").into()),
            ..record(Kind::Edit, &n.to_string())
        },
        expires: None,
    };
    world.change(vec![Write::App(Box::new(put))]).await;
    // More than one page.
    world.change((0..1_001).map(secret).collect()).await;
    let before = world.s.control().await.unwrap();
    let [old, new] = [[7; 32], [8; 32]];
    let both = world.h.keyed(Vault::with_previous(&new, &[old], Entropy::Real)).await;
    let alone = world.h.keyed(Vault::new(&new, Entropy::Real)).await;
    assert!(alone.control().await.is_err(), "nothing opens with the new key yet");
    let done = both.reseal().await.unwrap();
    assert!(done.resealed == done.secrets && done.secrets > 1_003, "{done:?}");
    let after = alone.control().await.unwrap();
    assert_eq!(after.revision, before.revision);
    // By their ids: a database may give rows that were written anew in another order.
    let secrets = |records: &[Record]| -> BTreeMap<String, String> {
        let secret = |record: &Record| {
            Some((record.id.clone(), record.sealed.as_ref()?.expose_secret().to_owned()))
        };
        records.iter().filter_map(secret).collect()
    };
    assert!(secrets(&after.records).len() == 1_001);
    assert!(secrets(&after.records) == secrets(&before.records), "a secret is another");
    for (id, app) in &before.registry.apps {
        let same = after.registry.apps[id].secret.expose_secret() == app.secret.expose_secret();
        assert!(same, "{id}");
    }
    assert!(world.s.control().await.is_err(), "nothing opens with the old key any more");
    assert_eq!(alone.reseal().await, Ok(Resealed { resealed: 0, ..done }));
    // Who knows neither key changes nothing.
    let stranger = world.h.keyed(Vault::new(&[9; 32], Entropy::Real)).await;
    assert!(stranger.reseal().await.is_err());
    assert!(alone.control().await.is_ok());
}

//! Every list that is served, on PostgreSQL with 10,000 bots, 50,000 channels and 200,000 turns, or as many as
//! are asked for. That each statement finds its rows by an index is shown where the store's own tests are.

use console::api::ROUTES;
use console::office::actor::Actor;
use console::{PAGES, Right};
use reqwest::Method;
use serde_json::json;
use shared::domain::channel::ChannelState;
use shared::entropy::Entropy;
use shared::registry::control::{Change, ControlStore as _, Write};
use shared::registry::{App, Channel};
use testkit::pair::Served;
use testkit::timed::{LIST_MAX, Timed};

use crate::support::api::Api;
use crate::support::from;
use crate::support::pages::Browser;

const BOTS: usize = 10_000;
const CHANNELS: usize = 50_000;
const APPS: usize = 1_000;
const ASYNCHRONOUS: usize = 1_000;
/// Writes of one change: it has a deadline.
const AT_ONCE: usize = 100;
const ROUNDS: usize = 10;

/// One thing of each kind, made by the office; the others are made like it.
async fn furnish(api: &Api<Served>) {
    api.shop().await;
    let local = Actor::command_line();
    for name in ["live", "edited", "asked for"] {
        let draft = json!({"bot": "clerk", "app": "shop", "name": name});
        api.desk.add_channel(&local, &from(draft), ChannelState::Live).await.unwrap();
    }
    let edit = json!({"deadline": "7s"});
    assert_eq!(api.ask(Method::PATCH, "/channels/edited", Some(edit)).await.status, 200);
    let ask = json!({"channels": ["edited"], "comment": "please"});
    let asked = api.post("/bots/clerk/publish-requests", ask.clone()).await;
    let path = format!("/publish-requests/{}", asked.body["request_id"].as_str().unwrap());
    assert_eq!(api.post(&format!("{path}/reject"), json!({"why": "no"})).await.status, 200);
    assert_eq!(api.post("/bots/clerk/publish-requests", ask).await.status, 201);
    let document = api.get("/bots/clerk/export").await.body;
    assert_eq!(api.post("/bots/import?name=twin", document).await.status, 201);
}

/// Apps and asynchronous channels: their secrets are sealed where they stand, and are not copied by statements.
async fn sealed(api: &Api<Served>) {
    let store = &api.desk.store;
    let hook = json!({"bot": "clerk", "app": "shop", "name": "hook", "post_url": "https://receiver.example/in"});
    assert_eq!(api.post("/channels", hook).await.status, 201);
    let before = store.control().await.unwrap();
    let app = before.registry.apps.values().next().unwrap();
    let mut channels = before.registry.channels.values();
    let hook = channels.find(|channel| channel.endpoint.is_some()).unwrap();
    let mut writes = Vec::new();
    for n in 0..APPS {
        let (client_id, name) = (format!("cs-scale-{n:05}").as_str().into(), format!("app {n}"));
        writes.push(Write::App(Box::new(App { client_id, name, ..app.as_ref().clone() })));
    }
    for n in 0..ASYNCHRONOUS {
        let (id, name) = (format!("ivrInst-hook-{n:05}").as_str().into(), format!("hook {n}"));
        writes.push(Write::AddChannel(Box::new(Channel { id, name, ..hook.as_ref().clone() })));
    }
    let mut revision = before.revision;
    while !writes.is_empty() {
        let rest = writes.split_off(writes.len().min(AT_ONCE));
        let change = Change { writes, audit: Vec::new() };
        revision = store.change(revision, change).await.unwrap();
        writes = rest;
    }
}

/// Turns of the last day; `SWITCHHOOK_TEST_TURNS` says how many.
#[expect(clippy::disallowed_methods, reason = "a test is told by the environment")]
fn turns() -> u64 {
    const USUAL: u64 = 200_000;
    std::env::var("SWITCHHOOK_TEST_TURNS").map_or(USUAL, |text| text.parse().unwrap())
}

/// Copies of rows, with other ids.
async fn fill(pair: &Served, turns: u64) {
    let id = "create function pg_temp.of(what text, n int8) returns text language sql immutable as
      $f$ select what || '-' || overlay(md5(what || n)::uuid::text placing '5000-8' from 15 for 6) $f$;";
    let registry = format!(
        "insert into bot (id, name, spec, last_ordinal)
           select pg_temp.of('st', n), 'bot ' || n, spec, 5
             from bot, generate_series(1, {BOTS}) n where name = 'clerk';
         insert into channel (id, bot_id, client_id, name, ordinal, state, spec)
           select pg_temp.of('ivrInst', n), pg_temp.of('st', 1 + n % {BOTS}),
                  'cs-scale-' || lpad((n % {APPS})::text, 5, '0'), 'channel ' || n, 1 + n / {BOTS},
                  case when n % 500 = 0 then 'awaiting approval' when n % 11 = 0 then 'suspended' else 'live' end,
                  spec
             from channel, generate_series(0, {CHANNELS} - 1) n where name = 'live';"
    );
    let records = "
      create temp table one as
        select r.kind, r.body, b.id as bot, c.id as channel from record r, bot b, channel c
         where b.name = 'clerk' and c.name = 'edited';
      create temp table many as
        select kind, n, replace(replace(body, bot, pg_temp.of('st', n)), channel, pg_temp.of('ivrInst', n - 1)) as body
          from one, generate_series(1, 20000) n
         where (kind = 'edit' and n <= 2000) or (kind = 'request' and n <= 300) or kind = 'decided';
      insert into record (kind, id, body)
        select kind, case kind when 'edit' then pg_temp.of('ivrInst', n - 1) else lpad(to_hex(n), 32, '0') end, body
          from many;
      insert into record (kind, id, body)
        select kind, pg_temp.of('ivrInst', 1000000 + n), body
          from (select kind, body from record where kind = 'placeholder' limit 1) r, generate_series(1, 2000) n;
      insert into record (kind, id, body)
        select kind, 'operator ' || n, replace(body, '\"dev\"', '\"operator ' || n || '\"')
          from record, generate_series(1, 900) n where kind = 'operator' and id = 'dev';
      insert into record (kind, id, body)
        select kind, md5('token' || n), replace(body, id, md5('token' || n))
          from (select * from record where kind = 'token' limit 1) r, generate_series(1, 2000) n;
      insert into audit (id, at, actor, action, subject, detail)
        select '0' || md5(n::text), now() - n * interval '1 minute', 'ann', 'channel.change',
               pg_temp.of('ivrInst', n % 1000), detail
          from (select detail from audit where action = 'channel.change' limit 1) a, generate_series(1, 200000) n;";
    let (users, waiting) = (turns / 10, 4_000);
    let (late, posted) = (turns - waiting, turns / 4);
    let turns = format!("
      create temp table n as
        select i, now() - (({turns} - i) * 86400000 / {turns} || ' ms')::interval as at,
               md5('conversation ' || i % {users})::uuid as conversation,
               pg_temp.of('ivrInst', case when i % 2 = 0 then 1 else 1 + i % 40 end) as channel
          from generate_series(0, {turns} - 1::int8) i;
      alter table n add column turn uuid;
      update n set turn = (lpad(to_hex((extract(epoch from at) * 1000)::int8), 12, '0')
        || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid;
      insert into conversation
        select distinct on (conversation) conversation, channel, 'user ' || i % {users}, i, 1, 1, '', at,
               (at at time zone 'UTC')::date from n;
      insert into turn
        select turn, conversation, 'cs-scale', channel, case when i % 50 = 0 then 2 else 1 end, '',
               convert_to('{{\"text\":[\"what was said\"]}}', 'UTF8'), null, i % 10, i % 500, at from n;
      insert into delivery
        select conversation, i, turn, 0, channel, i, convert_to('{{\"text\":\"what is sent\"}}', 'UTF8'),
               case when i >= {late} then 0 when i % 21 = 0 then 2 else 1 end, null, 1, 0, 0, false,
               i >= {late}, at, at, null, case when i < {late} then at end from n where i >= {posted};
      insert into attempt
        select turn, 0, 1, 200, null, 5, '', at from n where i >= {posted};
      insert into replay (id, fingerprint, actor, channel_id, from_ms, to_ms, state, ended_at)
        select md5('replay' || i)::uuid, '', 'ann', channel, 0, 1, 1, at from n where i < 1000;
      update registry_revision set revision = revision + 1;
      analyze;"
    );
    pair.execute(&[id, &registry, records, &turns].concat()).await.unwrap();
}

/// Every list of the API by itself, and what narrows it.
fn lists(turn: &str, channel: &str) -> Vec<String> {
    let is_list = |route: &&console::api::Route| format!("{:?}", route.answer).starts_with("Page");
    let mut all: Vec<String> = ROUTES
        .iter()
        .filter(is_list)
        .map(|route| route.path.replace("{turn}", turn))
        .inspect(|path| assert!(!path.contains('{'), "{path}"))
        .collect();
    for narrow in [
        "/channels?bot=bot%207",
        "/placeholders?bot=twin",
        "/publish-requests?state=decided",
        "/turns?outcome=bot_failed",
        "/turns?outcome=parked",
        "/deliveries?state=delivered",
        "/deliveries?state=parked",
    ] {
        all.push(narrow.to_owned());
    }
    all.push(format!("/audit?subject={channel}"));
    all.push(format!("/turns?channel={channel}"));
    all.push(format!("/deliveries?state=delivered&channel={channel}"));
    all.push(format!("/turns?channel={channel}&user=user%202"));
    all
}

/// Every page that needs no more than its address, and the lists with what narrows them.
fn pages(turn: &str, channel: &str) -> Vec<String> {
    let plain = |route: &&console::PageRoute| {
        route.method == Method::GET.as_str()
            && !route.path.contains('{')
            && route.right != Right::Anybody
            && !route.path.ends_with("/new")
    };
    let mut all: Vec<String> =
        PAGES.iter().filter(plain).map(|route| route.path.to_owned()).collect();
    for narrow in [
        "/bots?q=bot%2077",
        "/channels?q=channel%20777",
        "/channels?state=suspended",
        "/channels?bot=bot%207",
        "/apps?q=none",
        "/approvals?state=decided",
        "/turns?outcome=bot_failed",
        "/deliveries?state=parked",
        "/tokens?q=x",
        "/operators?q=x",
    ] {
        all.push(narrow.to_owned());
    }
    all.push(format!("/turns/{turn}"));
    all.push(format!("/channels/{channel}"));
    all.push(format!("/turns?channel={channel}"));
    all.push(format!("/analytics?channel={channel}"));
    all
}

/// Asks again and again, and tells what it took.
async fn timed(what: String, call: impl AsyncFn() -> (u16, String)) -> Timed {
    let look =
        |what: &str, (status, text): (u16, String)| assert_eq!(status, 200, "{what}: {text}");
    Timed::of(what, ROUNDS, call, look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_and_every_page_of_much_is_served_in_time() {
    let pair = Served::start().await.unwrap();
    let api = Api::start(&pair).await;
    furnish(&api).await;
    sealed(&api).await;
    fill(&pair, turns()).await;
    let ann = Browser::signed_in(&api, "ann").await;
    let some = api.get("/turns?limit=1").await.body["items"][0].clone();
    let [turn, channel] = ["turn_id", "channel_id"].map(|word| some[word].as_str().unwrap());
    let mut all = Vec::new();
    for path in lists(turn, channel) {
        let first = api.get(&path).await;
        let get = async |path: &str| {
            let answer = api.get(path).await;
            (answer.status, answer.text)
        };
        all.push(timed(format!("GET {path}"), || get(&path)).await);
        let Some(next) = first.body["next_cursor"].as_str() else { continue };
        let start = if path.contains('?') { '&' } else { '?' };
        let next = format!("{path}{start}limit=200&cursor={next}");
        all.push(timed(format!("GET {path}, on, 200"), || get(&next)).await);
    }
    for path in pages(turn, channel) {
        let get = async |path: &str| {
            let shown = ann.get(path).await;
            (shown.status, shown.text)
        };
        all.push(timed(format!("page {path}"), || get(&path)).await);
    }
    let saved = async || {
        let deadline = format!("{}ms", 2_000 + Entropy::Real.u64() % 1_000);
        let patch = api.request(&Method::PATCH, "/channels/edited").bearer_auth(&api.admin);
        let patch = patch.header("if-match", "*").header("content-type", "application/json");
        let patch = patch.body(json!({"deadline": deadline}).to_string());
        let status = patch.send().await.unwrap().status();
        assert_eq!(status, 200);
        let answer = api.get("/channels?limit=1").await;
        (answer.status, answer.text)
    };
    all.push(timed("a channel is saved, and GET /channels?limit=1".to_owned(), saved).await);
    let changed = async || {
        pair.execute("update registry_revision set revision = revision + 1").await.unwrap();
        let answer = api.get("/bots?limit=1").await;
        (answer.status, answer.text)
    };
    // Somebody else's change: what is read again is everything, told and not held against a list's time.
    timed("GET /bots?limit=1 after a change of the registry".to_owned(), changed).await;
    Timed::hold(&all, LIST_MAX);
}

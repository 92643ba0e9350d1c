//! What scripts keep beyond one conversation: applied with the turn or not at all, and never half.

use std::time::Duration;

use shared::domain::ids::ConversationKey;
use shared::domain::wider::{Change, Effect, Scope};
use shared::store::{CommitError, Turns as _, Upkeep as _};
use tokio::task::JoinSet;

use super::fixtures::{World, turn};
use super::harness::Harness;

conformance! {
    what_is_put_is_read_replaced_deleted_and_forgotten_in_time,
    numbers_are_added_to_where_they_stand,
    increments_of_eight_workers_are_all_there_and_those_of_stale_commits_are_not,
    changes_of_many_keys_in_every_order_do_not_lock_each_other_out,
    what_the_database_refuses_takes_nothing_with_it,
    a_users_part_goes_with_the_erasure_of_the_user,
}

fn scope<H: Harness>(world: &World<H>) -> Scope {
    Scope::Bot(world.bot.clone())
}

fn change(scope: &Scope, key: &str, effect: Effect) -> Change {
    Change { scope: scope.clone(), key: key.to_owned(), effect }
}

fn put(value: &str) -> Effect {
    Effect::Put(value.to_owned(), None)
}

async fn commit<H: Harness>(world: &World<H>, key: &ConversationKey, wider: Vec<Change>) {
    let turn = turn();
    let (conversation, _) = world.s.load(key, turn).await.unwrap();
    let mut draft = world.draft(key, conversation.version, turn, &["x"]);
    draft.wider = wider;
    world.s.commit(draft).await.unwrap();
}

async fn read<H: Harness>(world: &World<H>, scope: &Scope) -> Vec<(String, String)> {
    let kept = world.s.wider(std::slice::from_ref(scope)).await.unwrap();
    assert!(kept.iter().all(|kept| kept.scope == *scope));
    kept.into_iter().map(|kept| (kept.key, kept.value)).collect()
}

/// Waits until the time of a key has passed.
async fn forgotten<H: Harness>(world: &World<H>, scope: &Scope, key: &str) {
    let gone = || async { read(world, scope).await.iter().all(|(kept, _)| kept != key) };
    testkit::until("it is forgotten", gone).await;
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn what_is_put_is_read_replaced_deleted_and_forgotten_in_time<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (key, bot) = (world.user("ann"), scope(&world));
    let user = Scope::User(world.client.clone(), "ann".into());
    let short = Effect::Put("1".to_owned(), Some(Duration::from_millis(1)));
    let long = Effect::Put("\"a\"".to_owned(), Some(Duration::from_mins(5)));
    let changes = vec![
        change(&bot, "short", short),
        change(&bot, "long", long),
        change(&bot, "gone", put("1")),
        change(&user, "x", put("{\"b\":[1,null]}")),
    ];
    commit(&world, &key, changes).await;
    forgotten(&world, &bot, "short").await;
    assert_eq!(read(&world, &bot).await, pairs(&[("gone", "1"), ("long", "\"a\"")]));
    assert_eq!(read(&world, &user).await, pairs(&[("x", "{\"b\":[1,null]}")]));
    let changes = vec![change(&bot, "gone", Effect::Delete), change(&bot, "long", put("2"))];
    commit(&world, &world.user("bob"), changes).await;
    assert_eq!(read(&world, &bot).await, pairs(&[("long", "2")]));
    assert_eq!(world.s.wider(&[bot, user]).await.unwrap().len(), 2);
    // Another user's, though of the same name elsewhere, is another's.
    let stranger = Scope::User("cs-another".into(), "ann".into());
    assert_eq!(read(&world, &stranger).await, []);
}

async fn numbers_are_added_to_where_they_stand<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (key, bot) = (world.user("ann"), scope(&world));
    let timed = Effect::Put("10".to_owned(), Some(Duration::from_mins(5)));
    let expired = Effect::Put("10".to_owned(), Some(Duration::from_millis(1)));
    let changes = vec![
        change(&bot, "a", put("40")),
        change(&bot, "b", put("\"text\"")),
        change(&bot, "c", put("1.5")),
        change(&bot, "d", put("-3")),
        change(&bot, "e", timed),
        change(&bot, "f", expired),
    ];
    commit(&world, &key, changes).await;
    forgotten(&world, &bot, "f").await;
    let add = |key: &str| change(&bot, key, Effect::Add(2));
    commit(&world, &key, ["a", "b", "c", "d", "e", "f", "new"].map(add).to_vec()).await;
    let expected =
        [("a", "42"), ("b", "2"), ("c", "3.5"), ("d", "-1"), ("e", "12"), ("f", "2"), ("new", "2")];
    assert_eq!(read(&world, &bot).await, pairs(&expected));
}

/// Every worker commits its own turns, and a stale copy of each.
async fn increments_of_eight_workers_are_all_there_and_those_of_stale_commits_are_not<
    H: Harness,
>(
    h: H,
) {
    const WORKERS: usize = 8;
    const TURNS: usize = 25;
    let world = std::sync::Arc::new(World::new(h).await);
    let bot = scope(&world);
    let mut workers = JoinSet::new();
    for n in 0..WORKERS {
        let (world, bot) = (std::sync::Arc::clone(&world), bot.clone());
        workers.spawn(async move {
            let key = world.user(&format!("user-{n}"));
            for _ in 0..TURNS {
                let id = turn();
                let (conversation, _) = world.s.load(&key, id).await.unwrap();
                let mut draft = world.draft(&key, conversation.version, id, &[]);
                draft.wider = vec![change(&bot, "n", Effect::Add(1))];
                let mut stale = draft.clone();
                stale.record.turn = turn();
                stale.wider.push(change(&bot, "stale", put("1")));
                world.s.commit(draft).await.unwrap();
                assert_eq!(world.s.commit(stale).await, Err(CommitError::Missed));
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    let all = (WORKERS * TURNS).to_string();
    assert_eq!(read(&world, &bot).await, pairs(&[("n", all.as_str())]));
}

async fn changes_of_many_keys_in_every_order_do_not_lock_each_other_out<H: Harness>(h: H) {
    let world = std::sync::Arc::new(World::new(h).await);
    let scopes = [scope(&world), Scope::User(world.client.clone(), "u".into())];
    let mut workers = JoinSet::new();
    for n in 0..8_usize {
        let (world, scopes) = (std::sync::Arc::clone(&world), scopes.clone());
        workers.spawn(async move {
            let key = world.user(&format!("user-{n}"));
            for round in 0..10 {
                let one = |at: usize| {
                    let effect = if at.is_multiple_of(2) { Effect::Add(1) } else { put("1") };
                    change(&scopes[at % 2], &format!("{round}-{at}"), effect)
                };
                let mut changes: Vec<_> = (0..6).map(one).collect();
                changes.rotate_left(n % 6);
                commit(&world, &key, changes).await;
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    let kept = world.s.wider(&scopes).await.unwrap();
    assert_eq!(kept.len(), 60);
    assert!(kept.iter().all(|kept| kept.value == "8" || kept.value == "1"), "{kept:?}");
}

async fn what_the_database_refuses_takes_nothing_with_it<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (key, bot) = (world.user("ann"), scope(&world));
    let id = turn();
    let (conversation, _) = world.s.load(&key, id).await.unwrap();
    let mut draft = world.draft(&key, conversation.version, id, &[]);
    let huge = format!("\"{}\"", "x".repeat(1024 * 1024));
    draft.wider = vec![change(&bot, "a", put("1")), change(&bot, "b", put(&huge))];
    let refused = world.s.commit(draft.clone()).await;
    assert!(matches!(refused, Err(CommitError::Refused(_))), "{refused:?}");
    assert_eq!(read(&world, &bot).await, []);
    draft.wider.pop();
    world.s.commit(draft).await.unwrap();
    assert_eq!(read(&world, &bot).await, pairs(&[("a", "1")]));
}

async fn a_users_part_goes_with_the_erasure_of_the_user<H: Harness>(h: H) {
    let world = World::new(h).await;
    let (key, bot) = (world.user("ann"), scope(&world));
    let user = |name: &str| Scope::User(world.client.clone(), name.into());
    let changes =
        [user("ann"), user("bob"), bot.clone()].map(|scope| change(&scope, "k", put("1")));
    commit(&world, &key, changes.to_vec()).await;
    world.s.erase(&key.channel, &key.user).await.unwrap();
    assert_eq!(read(&world, &user("ann")).await, []);
    assert_eq!(read(&world, &user("bob")).await, pairs(&[("k", "1")]));
    assert_eq!(read(&world, &bot).await, pairs(&[("k", "1")]));
}

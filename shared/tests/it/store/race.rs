//! Many workers on few conversations, with every turn given to several of them: exactly one effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::domain::ids::{ConversationKey, TurnId};
use shared::store::{
    CommitError, Deliveries as _, Session, SettledTurn, Store, StoreError, TurnCommit, Turns,
};
use testkit::lapse;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::fixtures::{World, turn};
use super::harness::{Harness, Unreliable};

conformance! {
    eight_workers_racing_over_400_turns_have_exactly_400_effects,
}
conformance! { postgres only:
    a_commit_whose_outcome_is_unknown_is_settled_by_reading_again,
    a_database_that_is_away_is_neither_a_miss_nor_a_refusal,
}

const CONVERSATIONS: usize = 5;
const PAUSE: Duration = Duration::from_millis(20);
const AGAIN: &str = "a dispatcher asks a database that is away again after a while";

/// What a winner reports: conversation, turn, first number, count.
pub(super) type Effect = (ConversationKey, TurnId, i64, usize);

/// Appends its turn to the session's list: loss, duplication and order all show in a list.
fn appended(world_draft: TurnCommit, before: &Session, turn: TurnId) -> TurnCommit {
    let mut list = read_list(before);
    list.push(turn.to_string());
    let state = serde_json::to_vec(&serde_json::json!({ "turns": list })).unwrap();
    TurnCommit { session: Session { state: state.into() }, ..world_draft }
}

fn read_list(session: &Session) -> Vec<String> {
    let state: serde_json::Value =
        serde_json::from_slice(&session.state).unwrap_or_else(|_| serde_json::json!({}));
    let list = state["turns"].as_array().cloned().unwrap_or_default();
    list.iter().map(|turn| turn.as_str().unwrap().to_owned()).collect()
}

enum Ended {
    Won(Effect),
    Duplicate(SettledTurn),
}

/// The loop of a dispatcher: load, run, commit; load again after a miss or an unknown.
async fn run<S: Store>(
    store: &S,
    key: &ConversationKey,
    turn: TurnId,
    draft: impl Fn(i64) -> TurnCommit,
) -> Ended {
    loop {
        let (conversation, settled) = match store.load(key, turn).await {
            Ok(loaded) => loaded,
            Err(StoreError::Away(_)) => {
                lapse(PAUSE, AGAIN).await;
                continue;
            }
            Err(refused) => panic!("{refused}"),
        };
        if let Some(settled) = settled {
            return Ended::Duplicate(settled);
        }
        let commit = appended(draft(conversation.version), &conversation.session, turn);
        let count = commit.deliveries.len();
        match store.commit(commit).await {
            Ok(done) => return Ended::Won((key.clone(), turn, done.first_delivery, count)),
            Err(CommitError::Missed) => {}
            Err(CommitError::Unknown(_)) => lapse(PAUSE, AGAIN).await,
            Err(refused @ CommitError::Refused(_)) => panic!("{refused}"),
        }
    }
}

/// Gives every turn to `copies` of `workers`; the effects that were seen to be won, and the turns.
pub(super) async fn race<H: Harness>(
    world: &Arc<World<H>>,
    workers: usize,
    turns: usize,
    copies: usize,
) -> (Vec<Effect>, Vec<(ConversationKey, TurnId)>) {
    let keys: Vec<_> = (0..CONVERSATIONS).map(|n| world.user(&format!("user {n}"))).collect();
    let jobs: Vec<_> = (0..turns).map(|n| (keys[n % CONVERSATIONS].clone(), turn())).collect();
    let (job_tx, job_rx) = mpsc::unbounded_channel();
    for (n, job) in jobs.iter().enumerate() {
        for _ in 0..copies {
            job_tx.send((n, job.clone())).unwrap();
        }
    }
    drop(job_tx);
    let job_rx = Arc::new(Mutex::new(job_rx));
    let mut running = JoinSet::new();
    for worker in 0..workers {
        let (world, job_rx) = (Arc::clone(world), Arc::clone(&job_rx));
        let store = if worker % 2 == 0 { world.s.clone() } else { world.h.other().await };
        running.spawn(async move {
            let mut won = Vec::new();
            loop {
                let next = job_rx.lock().await.recv().await;
                let Some((n, (key, turn))) = next else { return won };
                let texts = vec!["text"; n % 3];
                let draft = |version| world.draft(&key, version, turn, &texts);
                match run(&store, &key, turn, draft).await {
                    Ended::Won(effect) => won.push(effect),
                    Ended::Duplicate(settled) => {
                        let expected = format!(r#"{{"text":"answer to {turn}"}}"#);
                        assert_eq!(settled.reply, Bytes::from(expected));
                    }
                }
            }
        });
    }
    (running.join_all().await.concat(), jobs)
}

/// Every turn once in its conversation's list, and every delivery at a number of its own without gaps.
pub(super) async fn check<H: Harness>(world: &World<H>, jobs: &[(ConversationKey, TurnId)]) {
    let mut expected: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (key, turn) in jobs {
        expected.entry(key.user.clone()).or_default().push(turn.to_string());
    }
    for (user, mut turns) in expected {
        let key = world.user(user.as_str());
        let mut list = read_list(&world.conversation(&key).await.session);
        list.sort();
        turns.sort();
        assert_eq!(list, turns, "{user}: every turn has exactly one effect");
        let mut numbers = Vec::new();
        for (other, turn) in jobs.iter().filter(|(other, _)| *other == key) {
            let rows = world.s.unsettled(other.id(), *turn).await.unwrap();
            numbers.extend(rows.iter().map(|delivery| delivery.place.number));
        }
        numbers.sort_unstable();
        let first = world.s.lowest(key.id()).await.unwrap().unwrap().delivery.place.number;
        let dense: Vec<_> = (first..).take(numbers.len()).collect();
        assert_eq!(numbers, dense, "{user}: numbers are dense");
    }
}

fn planned_deliveries(turns: usize) -> usize {
    (0..turns).map(|n| n % 3).sum()
}

async fn eight_workers_racing_over_400_turns_have_exactly_400_effects<H: Harness>(h: H) {
    let world = Arc::new(World::new(h).await);
    let (won, jobs) = race(&world, 8, 400, 2).await;
    assert_eq!(won.len(), 400, "each turn is won once, and the winner is told so");
    assert_eq!(won.iter().map(|effect| effect.3).sum::<usize>(), planned_deliveries(400));
    check(&world, &jobs).await;
    for (key, turn, first, count) in won {
        let rows = world.s.unsettled(key.id(), turn).await.unwrap();
        let numbers: Vec<_> = rows.iter().map(|delivery| delivery.place.number).collect();
        assert_eq!(numbers, (first..).take(count).collect::<Vec<_>>());
    }
}

async fn a_commit_whose_outcome_is_unknown_is_settled_by_reading_again<H: Unreliable>(h: H) {
    let world = Arc::new(World::new(h).await);
    let racing = {
        let world = Arc::clone(&world);
        async move { race(&world, 6, 240, 2).await }
    };
    let cutting = async {
        for _ in 0..25 {
            lapse(Duration::from_millis(25), "how often connections are cut").await;
            world.h.cut().await;
        }
    };
    let ((won, jobs), ()) = tokio::join!(racing, cutting);
    // A commit that was cut off after the database had it is a duplicate to its own worker.
    assert!(won.len() <= 240);
    check(&world, &jobs).await;
}

async fn a_database_that_is_away_is_neither_a_miss_nor_a_refusal<H: Unreliable>(h: H) {
    use shared::store::Intake as _;
    let world = World::new(h).await;
    let key = world.user("ann");
    let said = world.say(&key, &["one"]).await;
    world.s.ping().await.unwrap();
    world.h.away(true).await;
    let asked = tokio::time::Instant::now();
    let ping = world.s.ping().await;
    assert!(matches!(ping, Err(StoreError::Away(_))), "{ping:?}");
    assert!(asked.elapsed() < Duration::from_secs(4), "ping took {:?}", asked.elapsed());
    let draft = world.draft(&key, said.done.version, turn(), &["two"]);
    let commit = world.s.commit(draft.clone()).await;
    assert!(matches!(commit, Err(CommitError::Unknown(_))), "{commit:?}");
    let load = world.s.load(&key, turn()).await;
    assert!(matches!(load, Err(StoreError::Away(_))), "{load:?}");
    let lowest = world.s.lowest(key.id()).await;
    assert!(matches!(lowest, Err(StoreError::Away(_))), "{lowest:?}");
    world.h.away(false).await;
    testkit::until("it comes back by itself", || world.s.ping()).await;
    if world.settled(&key, draft.record.turn).await.is_none() {
        world.s.commit(draft).await.unwrap();
    }
}

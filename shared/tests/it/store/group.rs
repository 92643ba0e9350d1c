//! Members of one commit group do not decide for each other.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::ids::ConversationKey;
use shared::store::{CommitError, Committed, Store, TurnCommit, Turns};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixtures::{World, turn};
use super::harness::Harness;

conformance! {
    a_session_over_one_mebibyte_is_refused_alone_in_a_group_of_64,
    a_session_of_one_mebibyte_is_kept,
    a_member_with_odd_bytes_never_decides_for_its_group,
    one_conversation_many_times_in_a_group_has_one_winner,
    a_group_mixes_winners_stale_members_and_duplicates,
}

const MIB: usize = 1024 * 1024;

/// Commits as a dispatcher does after an unknown: reads again, then the same result once more.
async fn commit<S: Store>(store: &S, draft: TurnCommit) -> Result<Option<Committed>, CommitError> {
    for _ in 0..10 {
        match store.commit(draft.clone()).await {
            Ok(done) => return Ok(Some(done)),
            Err(CommitError::Unknown(_)) => {
                let loaded = store.load(&draft.conversation, draft.record.turn).await;
                if loaded.is_ok_and(|(_, settled)| settled.is_some()) {
                    return Ok(None);
                }
                let pause = Duration::from_millis(10);
                testkit::lapse(pause, "a dispatcher that was told nothing asks again later").await;
            }
            Err(verdict) => return Err(verdict),
        }
    }
    Err(CommitError::Unknown("ten times".to_owned()))
}

/// Commits all at one moment; the results in the same order.
async fn together<S: Store>(
    store: &S,
    drafts: Vec<TurnCommit>,
) -> Vec<Result<Option<Committed>, CommitError>> {
    let start = Arc::new(Barrier::new(drafts.len()));
    let mut running = JoinSet::new();
    for (n, draft) in drafts.into_iter().enumerate() {
        let (store, start) = (store.clone(), Arc::clone(&start));
        running.spawn(async move {
            start.wait().await;
            (n, commit(&store, draft).await)
        });
    }
    let mut results = running.join_all().await;
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, result)| result).collect()
}

async fn members<H: Harness>(world: &World<H>, users: usize) -> Vec<(ConversationKey, TurnCommit)> {
    let mut members = Vec::with_capacity(users);
    for n in 0..users {
        let key = world.user(&format!("user {n}"));
        let version = world.conversation(&key).await.version;
        let draft = world.draft(&key, version, turn(), &["text"]);
        members.push((key, draft));
    }
    members
}

async fn a_session_over_one_mebibyte_is_refused_alone_in_a_group_of_64<H: Harness>(h: H) {
    let world = World::new(h).await;
    for bad in [0, 31, 63] {
        let mut members = members(&world, 64).await;
        let state = format!(r#"{{"much":"{}"}}"#, "x".repeat(MIB));
        members[bad].1.session.state = state.into();
        let drafts = members.iter().map(|(_, draft)| draft.clone()).collect();
        let results = together(&world.s, drafts).await;
        for (n, (key, draft)) in members.iter().enumerate() {
            let settled = world.settled(key, draft.record.turn).await;
            if n == bad {
                assert!(matches!(results[n], Err(CommitError::Refused(_))), "{:?}", results[n]);
                assert_eq!(settled, None);
                let version = world.conversation(key).await.version;
                assert_eq!(version, draft.version, "the refused member moved nothing");
            } else {
                assert!(results[n].is_ok(), "member {n}: {:?}", results[n]);
                assert!(settled.is_some(), "member {n} has its row");
            }
        }
        // What was refused can be committed with other data: its version is still good.
        let (key, draft) = members.swap_remove(bad);
        let error_reply = world.draft(&key, draft.version, draft.record.turn, &["sorry"]);
        world.s.commit(error_reply).await.unwrap();
    }
}

async fn a_session_of_one_mebibyte_is_kept<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let version = world.conversation(&key).await.version;
    let mut draft = world.draft(&key, version, turn(), &[]);
    let frame = r#"{"much":""}"#.len();
    draft.session.state = format!(r#"{{"much":"{}"}}"#, "x".repeat(MIB - frame)).into();
    assert_eq!(draft.session.state.len(), MIB);
    let state = draft.session.state.clone();
    world.s.commit(draft).await.unwrap();
    assert!(world.conversation(&key).await.session.state == state, "the same bytes");
}

async fn a_member_with_odd_bytes_never_decides_for_its_group<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut members = members(&world, 32).await;
    members[3].1.record.detail = "a NUL \0 inside".into();
    members[7].1.session.state = bytes::Bytes::from_static(b"{\"nul\":\"\\u0000\"}");
    members[11].1.session.state = bytes::Bytes::from_static(b"\xff\xfe not JSON at all");
    members[15].1.record.reply = bytes::Bytes::from_static(b"{\"text\":\"\\ud800\"}");
    members[19].1.deliveries = vec![bytes::Bytes::from_static(b"\x00\xff")];
    let odd = [3, 7, 11, 15, 19];
    let drafts = members.iter().map(|(_, draft)| draft.clone()).collect();
    let results = together(&world.s, drafts).await;
    for (n, (key, draft)) in members.iter().enumerate() {
        let settled = world.settled(key, draft.record.turn).await.is_some();
        match &results[n] {
            Ok(_) => assert!(settled, "member {n}"),
            Err(CommitError::Refused(_)) => assert!(odd.contains(&n) && !settled, "member {n}"),
            Err(other) => panic!("member {n}: {other:?}"),
        }
    }
}

async fn one_conversation_many_times_in_a_group_has_one_winner<H: Harness>(h: H) {
    let world = World::new(h).await;
    let key = world.user("ann");
    let version = world.conversation(&key).await.version;
    let drafts: Vec<_> =
        (0..32).map(|_| world.draft(&key, version, turn(), &["one", "two"])).collect();
    let results = together(&world.s, drafts.clone()).await;
    let won: Vec<_> = results.iter().filter(|result| result.is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert!(results.iter().all(|r| matches!(r, Ok(_) | Err(CommitError::Missed))), "{results:?}");
    let mut rows = 0;
    for draft in &drafts {
        rows += world.s.unsettled(key.id(), draft.record.turn).await.unwrap().len();
    }
    assert_eq!(rows, 2, "the losers left nothing");
}

async fn a_group_mixes_winners_stale_members_and_duplicates<H: Harness>(h: H) {
    let world = World::new(h).await;
    let mut drafts = Vec::new();
    for (n, (key, mut draft)) in members(&world, 60).await.into_iter().enumerate() {
        match n % 3 {
            0 => {}
            1 => draft.version -= 1,
            _ => {
                // Its turn has its row already, and the version is the current one.
                let said = world.say_as(&key, draft.record.turn, &["first"]).await;
                draft.version = said.done.version;
            }
        }
        drafts.push(draft);
    }
    let results = together(&world.s, drafts).await;
    for (n, result) in results.iter().enumerate() {
        let expected = n % 3 == 0;
        assert_eq!(result.is_ok(), expected, "member {n}: {result:?}");
        if !expected {
            assert_eq!(*result, Err(CommitError::Missed), "member {n}");
        }
    }
}

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::*;

/// The item that no group can do.
const REFUSED: u32 = 13;

type Groups = Vec<Vec<(u32, usize)>>;

/// Records its groups; items are (key, weight), key 0 standing for none.
#[derive(Clone, Debug)]
struct Recorder {
    groups: Arc<Mutex<Groups>>,
    /// A permit for each group that a worker has taken.
    taken: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

impl Recorder {
    fn closed() -> Self {
        let shut = || Arc::new(Semaphore::new(0));
        Self { groups: Arc::default(), taken: shut(), gate: shut() }
    }

    /// Waits until a worker is held up at the gate.
    async fn holds_one(&self) {
        self.taken.acquire().await.unwrap().forget();
    }
}

impl Work for Recorder {
    type Item = (u32, usize);
    type Answer = u32;
    type Key = u32;
    const GROUP: usize = 4;

    fn key(item: &Self::Item) -> Option<u32> {
        (item.0 != 0).then_some(item.0)
    }
    fn weight(item: &Self::Item) -> usize {
        item.1
    }
    async fn group(&self, items: &[Self::Item]) -> Result<Vec<u32>, StoreError> {
        self.taken.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        self.groups.lock().unwrap().push(items.to_vec());
        if items.iter().any(|item| item.0 == REFUSED) {
            return Err(StoreError::Refused("this very item".to_owned()));
        }
        Ok(items.iter().map(|item| item.0 * 10).collect())
    }
}

/// Asks for all of them at once, with the worker held up by the first; returns the groups after it.
async fn groups_of(items: &[(u32, usize)]) -> Groups {
    let recorder = Recorder::closed();
    let mut tasks = JoinSet::new();
    let batcher = Batcher::start(recorder.clone(), &mut tasks);
    let rest = async {
        recorder.holds_one().await;
        let asked = join_all(items.iter().map(|item| batcher.ask(*item)));
        // Polled in this order: the gate opens when all of them wait.
        tokio::join!(biased; asked, async { recorder.gate.add_permits(100) }).0
    };
    let (first, answers) = tokio::join!(batcher.ask((999, 0)), rest);
    assert_eq!(first, Ok(9_990));
    for (item, answer) in items.iter().zip(answers) {
        assert_eq!(answer, Ok(item.0 * 10));
    }
    let groups = recorder.groups.lock().unwrap().clone();
    groups
        .into_iter()
        .flat_map(|group| if group == [(999, 0)] { vec![] } else { vec![group] })
        .collect()
}

#[tokio::test]
async fn what_waits_goes_as_one_group_up_to_its_limit() {
    let items: Vec<_> = (1..=6).map(|n| (n, 1)).collect();
    assert_eq!(groups_of(&items).await, [items[..4].to_vec(), items[4..].to_vec()]);
}

#[tokio::test]
async fn items_of_one_key_go_in_different_groups_and_in_their_order() {
    let items = [(7, 1), (7, 2), (8, 1), (7, 3)];
    assert_eq!(groups_of(&items).await, [vec![(7, 1), (8, 1)], vec![(7, 2)], vec![(7, 3)]]);
}

#[tokio::test]
async fn items_without_a_key_share_a_group() {
    assert_eq!(groups_of(&[(0, 1), (0, 2)]).await, [vec![(0, 1), (0, 2)]]);
}

#[tokio::test]
async fn a_heavy_item_closes_its_group() {
    let heavy = [(1, GROUP_BYTES), (2, GROUP_BYTES), (3, 1)];
    assert_eq!(groups_of(&heavy).await, [vec![heavy[0]], vec![heavy[1]], vec![heavy[2]]]);
}

#[tokio::test]
async fn an_item_that_is_refused_is_found_by_halving_and_nobody_pays_for_it() {
    let recorder = Recorder::closed();
    let mut tasks = JoinSet::new();
    let batcher = Batcher::start(recorder.clone(), &mut tasks);
    let items = [1, 2, REFUSED, 4];
    let asked = join_all(items.iter().map(|item| batcher.ask((*item, 0))));
    let (answers, ()) = tokio::join!(biased; asked, async { recorder.gate.add_permits(100) });
    for (item, answer) in items.iter().zip(answers) {
        if *item == REFUSED {
            assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}");
        } else {
            assert_eq!(answer, Ok(item * 10));
        }
    }
    let done: Vec<_> = recorder.groups.lock().unwrap().concat();
    assert_eq!(done.iter().filter(|(item, _)| *item == 4).count(), 3, "whole, half, alone");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_done() {
    let recorder = Recorder::closed();
    let mut tasks = JoinSet::new();
    let batcher = Batcher::start(recorder.clone(), &mut tasks);
    {
        // The first occupies the worker, the second waits, then both callers leave.
        let (one, two) = (batcher.ask((1, 1)), batcher.ask((2, 1)));
        tokio::pin!(one, two);
        tokio::select! {
            biased;
            _ = &mut one => unreachable!("the gate is closed"),
            () = recorder.holds_one() => {}
        }
        tokio::select! {
            biased;
            _ = &mut two => unreachable!("the gate is closed"),
            () = std::future::ready(()) => {}
        }
    }
    recorder.gate.add_permits(100);
    assert_eq!(batcher.ask((3, 1)).await, Ok(30));
    assert_eq!(*recorder.groups.lock().unwrap(), [vec![(1, 1)], vec![(3, 1)]]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_hangs_is_reported_as_a_database_that_is_away() {
    let recorder = Recorder::closed();
    let mut tasks = JoinSet::new();
    let batcher = Batcher::start(recorder.clone(), &mut tasks);
    let answer = batcher.ask((1, 1)).await;
    assert!(matches!(answer, Err(StoreError::Away(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_group_with_company_the_next_waits_for_its_own_and_who_comes_alone_waits_for_nobody()
 {
    let recorder = Recorder::closed();
    recorder.gate.add_permits(100);
    let mut tasks = JoinSet::new();
    let batcher = Batcher::start(recorder.clone(), &mut tasks);
    let begun = Instant::now();
    assert_eq!(batcher.ask((1, 1)).await, Ok(10));
    assert_eq!(batcher.ask((2, 1)).await, Ok(20));
    assert_eq!(begun.elapsed(), Duration::ZERO, "one after the other, each alone");
    let company = || join_all([3, 4, 5].map(|item| batcher.ask((item, 1))));
    company().await;
    let begun = Instant::now();
    let late = async {
        tokio::time::sleep(Recorder::PACE / 2).await;
        batcher.ask((7, 1)).await
    };
    assert_eq!(tokio::join!(batcher.ask((6, 1)), late), (Ok(60), Ok(70)));
    assert!(begun.elapsed() >= Recorder::PACE, "{:?}", begun.elapsed());
    assert_eq!(recorder.groups.lock().unwrap().last(), Some(&vec![(6, 1), (7, 1)]));
    company().await;
    let begun = Instant::now();
    join_all([3, 4, 5, 6].map(|item| batcher.ask((item, 1)))).await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "a full group waits for nothing");
}

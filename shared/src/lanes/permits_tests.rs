use super::*;

async fn never(permits: &Permits<&'static str>, key: &'static str, limit: u32) {
    let waited = tokio::time::timeout(Duration::from_millis(1), permits.acquire(&key, limit)).await;
    assert!(waited.is_err(), "{key} got a permit");
}

#[tokio::test(start_paused = true)]
async fn a_key_gets_no_more_than_its_limit_and_all_keys_no_more_than_the_total() {
    let permits = Permits::new(3);
    let _a1 = permits.acquire(&"a", 2).await;
    let _a2 = permits.acquire(&"a", 2).await;
    never(&permits, "a", 2).await;
    let b1 = permits.acquire(&"b", 2).await;
    never(&permits, "b", 2).await;
    assert_eq!(permits.used(), 3);
    drop(b1);
    let _c = permits.acquire(&"c", 2).await;
    assert!(permits.try_acquire(&"b", 2).is_none());
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_the_total_does_not_hold_a_permit_of_its_key() {
    let permits = Permits::new(1);
    let held = permits.acquire(&"a", 1).await;
    let waiting = permits.acquire(&"b", 1);
    tokio::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(permits.used(), 1);
    drop(held);
    let permit = waiting.await;
    assert_eq!(permits.used(), 1);
    drop(permit);
    assert_eq!(permits.used(), 0);
    assert!(permits.0.lock().unwrap().keys.is_empty(), "idle keys are forgotten");
}

#[tokio::test(start_paused = true)]
async fn keys_with_waiters_take_turns_and_a_key_serves_its_own_in_order() {
    let permits = Permits::new(1);
    let held = permits.acquire(&"x", 1).await;
    let (order_tx, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = tokio::task::JoinSet::new();
    for (n, key) in ["a", "a", "a", "b", "b", "c"].into_iter().enumerate() {
        let (permits, order_tx) = (permits.clone(), order_tx.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire(&key, 1).await;
            order_tx.send((key, n)).unwrap();
        });
        tokio::task::yield_now().await;
    }
    drop((held, order_tx));
    while tasks.join_next().await.is_some() {}
    let mut got = Vec::new();
    while let Some(next) = order.recv().await {
        got.push(next);
    }
    assert_eq!(got, [("a", 0), ("b", 3), ("c", 5), ("a", 1), ("b", 4), ("a", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_loses_no_permit() {
    let permits = Permits::new(1);
    let held = permits.acquire(&"a", 1).await;
    {
        let gives_up = permits.acquire(&"a", 1);
        tokio::pin!(gives_up);
        assert!(futures_util::poll!(&mut gives_up).is_pending());
        drop(held);
        // The permit is on its way to it now, and nobody takes it.
    }
    assert_eq!(permits.used(), 0);
    assert!(permits.try_acquire(&"a", 1).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_first_in_line_tells_how_long_it_has_waited() {
    let permits = Permits::new(1);
    let held = permits.acquire(&"a", 1).await;
    let waiting = permits.acquire(&"a", 1);
    tokio::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(permits.waits(), [("a", Duration::from_secs(2))]);
    drop(held);
    let _permit = waiting.await;
    assert_eq!(permits.waits(), []);
}

use shared::domain::delivery::Place;
use shared::domain::ids::TurnId;
use shared::topology::Partition;
use uuid::Uuid;

use super::*;

const OPEN: Duration = Duration::from_secs(10);

fn gates(permits: u32) -> Gates {
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    Gates::new(Rules { failures: 2, open: OPEN }, permits, metrics)
}

fn conversation(n: u128) -> ConversationId {
    ConversationId::new(Uuid::from_u128(n))
}

fn endpoint() -> ChannelId {
    "ivrInst-1".into()
}

fn due(n: u128) -> Due {
    Due {
        place: Place { conversation: conversation(n), number: 1 },
        channel: endpoint(),
        turn: TurnId::new(Uuid::from_u128(n)),
        partition: Partition(0),
    }
}

fn enter(gates: &Gates, n: u128) -> Result<Pass, Shut> {
    gates.enter(&endpoint(), conversation(n), 2, None)
}

fn nothing_is_left(gates: &Gates) {
    assert!(gates.gates().is_empty(), "an idle endpoint is forgotten");
    let metrics = &gates.0.metrics;
    assert_eq!((metrics.in_flight.get(), metrics.waiting.get()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_an_endpoints_permits_enter() {
    let gates = gates(100);
    let first = enter(&gates, 1).unwrap();
    let second = enter(&gates, 2).unwrap();
    assert_eq!(enter(&gates, 3).unwrap_err(), Shut::Permits);
    drop(first);
    let third = enter(&gates, 3).unwrap();
    drop((second, third));
    nothing_is_left(&gates);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_once_in_turn_and_what_runs_is_passed_over() {
    let gates = gates(100);
    let running = enter(&gates, 1).unwrap();
    assert!(gates.wait(due(2), false), "the first to wait starts a drain");
    assert!(!gates.wait(due(2), false), "and nobody else does");
    assert!(!gates.wait(due(3), false));
    gates.refill(&endpoint(), vec![due(1), due(3), due(4)], false);
    for expected in [2, 3, 4] {
        assert_eq!(gates.next(&endpoint()), Next::Serve(due(expected)));
    }
    assert_eq!(gates.next(&endpoint()), Next::Idle);
    assert!(gates.wait(due(5), true), "a drain that is over is started anew");
    assert_eq!(gates.next(&endpoint()), Next::Serve(due(5)));
    assert_eq!(gates.next(&endpoint()), Next::Ask, "the store may have more");
    assert_eq!(gates.next(&endpoint()), Next::Idle);
    drop(running);
    nothing_is_left(&gates);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_and_what_finds_no_room_is_asked_for_later() {
    let gates = gates(100);
    for n in 0..=WAITING_MAX {
        let _drain = gates.wait(due(n as u128), false);
    }
    for n in 0..WAITING_MAX {
        assert_eq!(gates.next(&endpoint()), Next::Serve(due(n as u128)));
    }
    assert_eq!(gates.next(&endpoint()), Next::Ask);
    assert_eq!(gates.next(&endpoint()), Next::Idle);
    nothing_is_left(&gates);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_closed_then_tried_by_one_and_opened_by_its_success() {
    let gates = gates(100);
    assert!(!enter(&gates, 1).unwrap().ended(false));
    assert!(enter(&gates, 1).unwrap().ended(false), "the second failure in a row");
    assert_eq!(gates.open(), [endpoint()]);
    assert_eq!(enter(&gates, 1).unwrap_err(), Shut::Breaker);
    assert_eq!(gates.pause(&endpoint()).unwrap().0, OPEN);
    tokio::time::advance(OPEN).await;
    assert!(gates.pause(&endpoint()).is_none());
    let trial = enter(&gates, 1).unwrap();
    assert_eq!(enter(&gates, 2).unwrap_err(), Shut::Breaker, "only one tries");
    let (wait, changed) = gates.pause(&endpoint()).unwrap();
    assert_eq!(wait, Duration::ZERO);
    drop(trial);
    changed.notified().await;
    let trial = enter(&gates, 2).unwrap();
    assert!(!trial.ended(true));
    assert_eq!(gates.open(), []);
    nothing_is_left(&gates);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_all_that_waits_is_given_up() {
    let gates = gates(100);
    for n in [1, 2, 3] {
        let _drain = gates.wait(due(n), true);
    }
    assert_eq!(gates.give_up(&endpoint()), [due(1), due(2), due(3)]);
    assert_eq!(gates.0.metrics.waiting.get(), 0);
}

use proptest::prelude::*;
use shared::domain::delivery::Place;
use shared::domain::ids::{ConversationId, DeliveryId, TurnId};
use shared::domain::retry::Spacing;
use uuid::Uuid;

use super::*;

fn delivery(failures: u32, deferrals: u32) -> Delivery {
    Delivery {
        place: Place { conversation: ConversationId::new(Uuid::from_u128(1)), number: 7 },
        id: DeliveryId { turn: TurnId::new(Uuid::from_u128(2)), index: 0 },
        channel: "ivrInst-1".into(),
        body: "{}".into(),
        attempt: failures + deferrals + 1,
        failures,
        deferrals,
        redriven: false,
    }
}

fn policy() -> Policy {
    let waits = [1, 5, 30].map(Duration::from_secs).to_vec();
    Policy { spacing: Spacing::List(waits), jitter: 0.5 }
}

fn status(status: u16, retry_after: Option<u64>) -> Answer {
    Answer::Status { status, retry_after: retry_after.map(Duration::from_secs) }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn every_answer_has_the_stated_verdict() {
    let table = [
        (status(200, None), Verdict::Delivered),
        (status(204, Some(9)), Verdict::Delivered),
        (status(299, None), Verdict::Delivered),
        (status(301, None), Verdict::Retry(secs(1))),
        (status(307, Some(60)), Verdict::Retry(secs(60))),
        (status(400, None), Verdict::Retry(secs(1))),
        (status(401, None), Verdict::Retry(secs(1))),
        (status(404, Some(2)), Verdict::Retry(secs(2))),
        (status(410, Some(60)), Verdict::Park(ParkReason::Gone)),
        (status(429, None), Verdict::Retry(secs(1))),
        (status(429, Some(60)), Verdict::Defer(secs(60))),
        (status(500, None), Verdict::Retry(secs(1))),
        (status(502, Some(60)), Verdict::Retry(secs(60))),
        (status(503, Some(60)), Verdict::Defer(secs(60))),
        (status(503, Some(u64::MAX)), Verdict::Defer(WAIT_MAX)),
        (status(500, Some(u64::MAX)), Verdict::Retry(WAIT_MAX)),
        (Answer::None, Verdict::Retry(secs(1))),
        (Answer::Ours, Verdict::Ours(OURS_FIRST)),
    ];
    for (answer, expected) in table {
        assert_eq!(judge(&delivery(0, 0), answer, &policy(), 0.0), expected, "{answer:?}");
    }
}

#[test]
fn the_last_failure_of_the_schedule_parks() {
    for answer in [status(500, None), status(404, Some(60)), Answer::None] {
        let verdict = |failures| judge(&delivery(failures, 0), answer, &policy(), 0.0);
        assert!(matches!(verdict(2), Verdict::Retry(_)), "{answer:?}");
        assert_eq!(verdict(3), Verdict::Park(ParkReason::Exhausted), "{answer:?}");
    }
}

#[test]
fn after_twenty_appointments_the_next_one_is_a_failure_that_waits_as_long() {
    let answer = status(429, Some(60));
    assert_eq!(judge(&delivery(0, 19), answer, &policy(), 0.0), Verdict::Defer(secs(60)));
    assert_eq!(judge(&delivery(0, 20), answer, &policy(), 0.0), Verdict::Retry(secs(60)));
    assert_eq!(
        judge(&delivery(3, 20), answer, &policy(), 0.0),
        Verdict::Park(ParkReason::Exhausted)
    );
}

#[test]
fn our_own_faults_use_up_nothing_and_are_tried_ever_more_rarely() {
    let mut row = delivery(3, 20);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let Verdict::Ours(wait) = judge(&row, Answer::Ours, &policy(), 0.5) else {
            panic!("no fault of ours")
        };
        waits.push(wait);
        row.attempt += 1;
    }
    assert_eq!(waits[..3], [secs(15), secs(30), secs(60)]);
    assert_eq!(waits[11], OURS_MAX);
}

proptest! {
    #[test]
    fn nothing_fires_before_the_schedule_or_before_the_time_that_was_asked_for(
        code in 100u16..600, asked in proptest::option::of(0u64..200_000),
        failures in 0u32..3, deferrals in 0u32..30, chance in 0.0f64..=1.0,
    ) {
        let answer = status(code, asked);
        let floor = secs(asked.unwrap_or_default()).min(WAIT_MAX);
        let base = policy().wait(failures + 1, 0.0).unwrap();
        match judge(&delivery(failures, deferrals), answer, &policy(), chance) {
            Verdict::Retry(wait) => {
                prop_assert!(wait >= base && wait >= floor);
                prop_assert!(wait <= base.mul_f64(1.5).max(floor) + Duration::from_millis(1));
            }
            Verdict::Defer(wait) => {
                prop_assert!(wait >= floor && wait <= floor + secs(30));
                prop_assert!(asked.is_some() && [429, 503].contains(&code));
            }
            Verdict::Delivered => prop_assert!((200..300).contains(&code)),
            Verdict::Park(reason) => prop_assert!(reason == ParkReason::Gone && code == 410),
            Verdict::Ours(_) => prop_assert!(false, "the receiver has answered"),
        }
    }
}

//! Waiting ends as soon as what is waited for is there, and tells what was there instead.

use std::cell::Cell;
use std::time::Duration;

use shared::clock::Clock;
use tokio::time::Instant;

const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_what_was_found_soon_after_it_is_there() {
    let began = Instant::now();
    let there = || async { (began.elapsed() >= Duration::from_secs(10)).then_some("it") };
    assert_eq!(testkit::until("it", there).await, "it");
    let seen = began.elapsed();
    assert!(seen <= Duration::from_millis(10_100), "{seen:?}");
    testkit::until("what is there already", || async { true }).await;
    assert_eq!(began.elapsed(), seen, "it takes no time");
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_is_told_with_what_was_waited_for_and_seen_last() {
    let (began, looks) = (Instant::now(), Cell::new(0));
    let never = || async {
        looks.set(looks.get() + 1);
        Err::<(), _>(format!("look {}", looks.get()))
    };
    let late = testkit::wait("the row", WITHIN, never).await.unwrap_err().to_string();
    let looks = looks.get();
    assert_eq!(late, format!("the row: not within 30s; last seen: look {looks}"));
    assert!((200..1_000).contains(&looks), "{looks} looks in half a minute");
    assert!(began.elapsed() < WITHIN + Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_does_not_end_is_given_up_at_the_deadline() {
    let began = Instant::now();
    let hangs = || async { std::future::pending::<bool>().await };
    let late = testkit::wait("an answer", WITHIN, hangs).await.unwrap_err().to_string();
    assert!(late.contains("an answer") && late.contains("has not ended"), "{late}");
    assert_eq!(began.elapsed(), WITHIN);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a second post: not within 60s; last seen: it is not so")]
async fn a_test_fails_when_what_it_waits_for_never_comes() {
    testkit::until("a second post", || async { false }).await;
}

#[tokio::test(start_paused = true)]
async fn time_that_is_to_pass_has_passed_to_the_given_moment() {
    let (began, why) = (Instant::now(), "a test of lapses themselves");
    testkit::lapse(WITHIN, why).await;
    assert_eq!(began.elapsed(), WITHIN);
    testkit::lapse_until(began + 2 * WITHIN, why).await;
    assert_eq!(began.elapsed(), 2 * WITHIN);
    testkit::lapse_until(began, why).await;
    assert_eq!(began.elapsed(), 2 * WITHIN, "a moment that has passed is not waited for");
}

#[tokio::test]
async fn ids_of_another_millisecond_differ_in_their_times() {
    for _ in 0..20 {
        let before = Clock::Real.unix_ms();
        testkit::another_millisecond().await;
        assert!(Clock::Real.unix_ms() > before);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_what_happens_and_by_nothing_else() {
    let second = Duration::from_secs(1);
    let why = "a test of silence itself";
    let late = async { testkit::lapse(2 * second, why).await };
    assert_eq!(testkit::silence(second, why, late).await, Ok(()));
    let early = async {
        testkit::lapse(second / 2, why).await;
        "a job"
    };
    assert_eq!(testkit::silence(second, why, early).await, Err("a job"));
}

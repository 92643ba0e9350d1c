//! Many attempts with long answers: a page at a time.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use shared::domain::delivery::ParkReason;
use shared::store::{AttemptRecord, Claimed, Deliveries as _, Verdict};
use testkit::pair::Pair;

use crate::replays::waiting;
use crate::support::api::Api;
use crate::support::pages::Browser;

on_both! {
    a_turns_attempts_come_a_page_at_a_time,
    the_overview_shows_what_nobody_takes_and_what_was_said_last,
}

const TRIES: u32 = 120;
const LONG: usize = 64 * 1024;

async fn a_turns_attempts_come_a_page_at_a_time<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let (turn, conversation) = waiting(&api).await;
    let store = &api.desk.store;
    let place = store.lowest(conversation).await.unwrap().unwrap().delivery.place;
    for number in 1..=TRIES {
        let log = AttemptRecord {
            attempt: number,
            status: 500,
            error: None,
            took_ms: 1,
            response: Bytes::from(vec![b'x'; LONG]),
        };
        let seen = if number == 1 {
            0
        } else {
            let claim = store.claim(place, number - 1, Duration::from_mins(1)).await.unwrap();
            assert!(matches!(claim, Claimed::Yes(_)), "{claim:?}");
            number
        };
        store.settle(place, seen, Some(log), Verdict::Retry(Duration::ZERO)).await.unwrap();
    }
    let whole = api.get(&format!("/turns/{turn}")).await;
    assert_eq!(whole.body["attempts"].as_array().unwrap().len(), 50);
    assert_eq!(whole.body["more_attempts"], true);
    assert!(whole.text.len() < 51 * LONG, "{}", whole.text.len());
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/turns/{turn}/attempts?limit=50{cursor}");
        let page = api.ask(Method::GET, &path, None).await;
        let items = page.body["items"].as_array().unwrap();
        seen.extend(items.iter().map(|one| one["attempt"].as_u64().unwrap()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=u64::from(TRIES)).collect::<Vec<_>>());
    for wrong in ["x", "MS54", "NzAwMDAuMQ"] {
        let path = format!("/turns/{turn}/attempts?cursor={wrong}");
        assert_eq!(api.get(&path).await.status, 400, "{wrong}");
    }
    let dev = Browser::signed_in(&api, "dev").await;
    let (mut page, mut shown) = (format!("/turns/{turn}"), 0);
    loop {
        let said = dev.get(&page).await;
        assert!(said.status == 200 && said.text.len() < 200_000, "{}", said.text.len());
        shown += said.text.matches(", attempt ").count();
        let Some(rest) = said.text.split(&format!("/turns/{turn}?after=")).nth(1) else { break };
        let after = rest.split('"').next().unwrap();
        page = format!("/turns/{turn}?after={after}");
    }
    assert_eq!(shown, TRIES as usize);
}

async fn the_overview_shows_what_nobody_takes_and_what_was_said_last<P: Pair>(pair: P) {
    let api = Api::start(&pair).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let nothing = dev.get("/").await;
    assert!(!nothing.text.contains("Latest messages"), "{}", nothing.text);
    let (turn, conversation) = waiting(&api).await;
    let said = dev.get("/").await.text;
    let (parked, latest) = said.split_once("Latest messages").unwrap();
    assert!(!parked.contains("Parked deliveries"), "{parked}");
    assert!(latest.contains(&format!("href=\"/turns/{turn}\"")), "{latest}");
    let store = &api.desk.store;
    let place = store.lowest(conversation).await.unwrap().unwrap().delivery.place;
    store.settle(place, 0, None, Verdict::Park(ParkReason::Exhausted)).await.unwrap();
    let said = dev.get("/").await.text;
    let (parked, _) = said.split_once("Latest messages").unwrap();
    let (_, parked) = parked.split_once("Parked deliveries").unwrap();
    assert!(parked.contains(&format!("href=\"/turns/{turn}\"")), "{parked}");
    // First pages look for what is new, later ones and forms do not.
    let after = format!("/turns?after={}", "f".repeat(32));
    for (path, live) in [("/", true), ("/turns", true), (&after, false), ("/bots/new", false)] {
        let page = dev.get(path).await;
        assert_eq!(page.text.contains("data-live="), live, "{path}: {}", page.text);
    }
}

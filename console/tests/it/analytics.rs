//! Figures of a channel, in the API and drawn on a page.

use serde_json::json;

use crate::replays::{Told, told};
use crate::support::pages::Browser;
use testkit::pair::Pair;

on_both! {
    the_api_tells_a_channels_figures_by_hour_and_by_day,
    a_page_draws_the_figures_and_tells_them_in_tables,
    without_a_channel_the_page_says_so,
}

async fn the_api_tells_a_channels_figures_by_hour_and_by_day<P: Pair>(pair: P) {
    let Told { api, channel, .. } = told(&pair, &["ann", "bob", "ann"]).await;
    for (range, steps) in [("", 24), ("?range=72h", 72), ("?range=8d", 8)] {
        let answer = api.get(&format!("/channels/{channel}/analytics{range}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = &answer.body;
        assert_eq!(body["channel"], "hook (webhook)");
        assert_eq!(body["steps"].as_array().unwrap().len(), steps);
        let whole = &body["whole"];
        assert_eq!((&whole["messages"], &whole["users"]), (&json!(3), &json!(2)), "{body}");
        assert_eq!(whole["outcomes"]["answered"], 3);
        assert_eq!(whole["latency_ms"], json!({"p50": 3, "p95": 3, "p99": 3}));
        let deliveries = json!({"delivered": 6, "parked": 0, "attempts": 6});
        assert_eq!(whole["deliveries"], deliveries);
        assert_eq!(
            (&body["messages_cut"], &body["deliveries_cut"]),
            (&json!(false), &json!(false))
        );
        let steps = body["steps"].as_array().unwrap();
        let sum: u64 = steps.iter().map(|one| one["figures"]["messages"].as_u64().unwrap()).sum();
        assert_eq!(sum, 3);
    }
    for (wrong, status) in [
        ("/channels/none/analytics", 404),
        (&format!("/channels/{channel}/analytics?range=1y"), 400),
    ] {
        assert_eq!(api.get(wrong).await.status, status, "{wrong}");
    }
}

async fn a_page_draws_the_figures_and_tells_them_in_tables<P: Pair>(pair: P) {
    let Told { api, channel, .. } = told(&pair, &["ann", "bob"]).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let shown = dev.get("/analytics").await;
    assert_eq!(shown.status, 200);
    for words in [
        "hook (webhook)</option>",
        "<svg viewBox=\"0 0 1000 100\"",
        "aria-label=\"Messages: 2 in all, 2 answered\"",
        "2 different ones in all",
        "half within 3 ms",
        "4 of 4 arrived (100.0 %), 0 parked, 4 attempts",
        "<caption class=\"hide\">Latency</caption>",
    ] {
        assert!(shown.text.contains(words), "{words} in {}", shown.text);
    }
    assert_eq!(shown.text.matches("<figure class=\"chart\">").count(), 4);
    let days = dev.get(&format!("/analytics?channel={channel}&range=8d")).await;
    assert!(days.text.contains("value=\"8d\" selected"), "{}", days.text);
    let none = dev.get("/analytics?channel=none").await;
    assert!(none.text.contains("there is no channel"), "{}", none.text);
    assert!(dev.get(&format!("/channels/{channel}")).await.text.contains("/analytics?channel="));
}

async fn without_a_channel_the_page_says_so<P: Pair>(pair: P) {
    let api = crate::support::api::Api::start(&pair).await;
    let dev = Browser::signed_in(&api, "dev").await;
    let shown = dev.get("/analytics").await;
    assert!(shown.status == 200 && shown.text.contains("There is no channel yet"));
}

use secrecy::ExposeSecret as _;
use serde_json::json;

use shared::domain::retry::Spacing;

use super::super::schedule::spacing;
use super::*;

fn channel_of(value: &serde_json::Value) -> Result<Channel, String> {
    let mut draft = json!({"bot": "b", "app": "a", "name": "n"});
    draft.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    let draft: ChannelDraft = serde_json::from_value(draft).unwrap();
    channel(&draft, "st-1".into(), "cs-1".into(), &Entropy::seeded(1))
}

#[test]
fn a_plain_channel_is_synchronous_and_awaits_approval() {
    let channel = channel_of(&json!({})).unwrap();
    assert!(channel.endpoint.is_none());
    assert_eq!(channel.state, ChannelState::AwaitingApproval);
    assert!(channel.id.as_str().starts_with("ivrInst-"));
    assert_eq!(channel_of(&json!({"approve": true})).unwrap().state, ChannelState::Live);
}

#[test]
fn a_bare_access_token_is_a_bearer_token_only_in_the_authorization_header() {
    let table = [
        (json!({"access_token": "abc"}), "Bearer abc"),
        (json!({"access_token": "Basic abc"}), "Basic abc"),
        (json!({"access_token": "abc", "token_header": "X-Token"}), "abc"),
    ];
    for (mut draft, expected) in table {
        draft["post_url"] = "https://example.com/hook".into();
        let endpoint = channel_of(&draft).unwrap().endpoint.unwrap();
        assert_eq!(endpoint.token.unwrap().expose_secret(), expected);
        assert!(endpoint.signing_secret.expose_secret().starts_with("whsec_"));
    }
}

#[test]
fn both_kinds_of_schedules_are_read() {
    let list = spacing("5s, 30s,2min").unwrap();
    assert_eq!(list, Spacing::List([5, 30, 120].map(Duration::from_secs).to_vec()));
    let Spacing::Exponential { initial, factor, max, attempts_max } =
        spacing("exponential:1s,2,1h,7").unwrap()
    else {
        panic!("not exponential")
    };
    assert_eq!((initial.as_secs(), max.as_secs(), attempts_max), (1, 3600, 7));
    assert!((factor - 2.0).abs() < f64::EPSILON);
    for bad in ["25h", "soon", "exponential:1s,2,1h", "exponential:1s,0.5,1h,3"] {
        assert!(spacing(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_becomes_of_messages_that_come_too_fast_is_read_in_words() {
    let second = Duration::from_secs(1);
    let table = [
        (json!({}), WhileBusy::Queue),
        (json!({"while_busy": "queue"}), WhileBusy::Queue),
        (json!({"while_busy": "latest"}), WhileBusy::Latest),
        (json!({"while_busy": "reject"}), WhileBusy::Reject),
        (json!({"while_busy": "merge:1s"}), WhileBusy::Merge(second)),
        (json!({"while_busy": "merge:1000ms"}), WhileBusy::Merge(second)),
    ];
    for (draft, expected) in table {
        assert_eq!(channel_of(&draft).unwrap().while_busy, expected, "{draft}");
    }
    for bad in ["merge", "merge:1ms", "merge:1h", "merge:soon", "newest", ""] {
        let wrong = channel_of(&json!({"while_busy": bad})).unwrap_err();
        assert!(wrong.starts_with("while-busy:") && wrong.lines().count() == 1, "{wrong}");
    }
}

#[test]
fn every_mistake_of_a_draft_is_told() {
    let draft = json!({
        "name": " ", "id": "ivrInst-1", "post_url": "ftp://x", "deadline": "2h", "rate": 0,
    });
    let wrong = channel_of(&draft).unwrap_err();
    for key in ["name:", "id:", "post-url:", "deadline:", "rate:"] {
        assert!(wrong.lines().any(|line| line.starts_with(key)), "{key} in {wrong}");
    }
    let wrong = channel_of(&json!({"jitter": 0.5, "token_header": "x"})).unwrap_err();
    assert_eq!(wrong.lines().count(), 2, "{wrong}");
}

#[test]
fn headers_that_are_taken_cannot_carry_the_token() {
    for bad in ["Host", "webhook-id", "content-length", "a b", "", "x\r\ny"] {
        let draft = json!({"post_url": "https://example.com/", "token_header": bad});
        assert!(channel_of(&draft).is_err(), "{bad}");
    }
}

#[test]
fn an_app_gets_a_secret_as_long_as_its_algorithm_wants() {
    for (algorithm, bytes) in [("HS256", 32), ("hs512", 64)] {
        let draft = json!({"name": "n", "algorithm": algorithm});
        let draft: AppDraft = serde_json::from_value(draft).unwrap();
        let made = app(&draft, &Entropy::Real).unwrap();
        assert!(made.secret.expose_secret().len() >= bytes);
        let short = AppDraft { secret: Some("x".repeat(bytes - 1)), ..draft };
        assert!(app(&short, &Entropy::Real).is_err());
    }
    let draft = serde_json::from_value(json!({"name": "n", "algorithm": "none"})).unwrap();
    assert!(app(&draft, &Entropy::Real).is_err());
}

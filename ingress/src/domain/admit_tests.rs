use proptest::prelude::*;

use std::sync::Arc;

use shared::domain::channel::ChannelState;
use shared::domain::turn::Mode;
use shared::registry::{Channel, Compatibility, Overrides, Rate};

use super::*;

pub(crate) fn channel(client: &str) -> Channel {
    Channel {
        id: "ivrInst-1".into(),
        bot: "st-1".into(),
        client: client.into(),
        name: "web".into(),
        ordinal: 1,
        endpoint: None,
        state: ChannelState::Live,
        deadline: Channel::DEADLINE,
        compatibility: Compatibility::default(),
        overrides: Overrides::NONE,
        while_busy: shared::registry::WhileBusy::Queue,
        rate: Rate::default(),
    }
}

fn id() -> TurnId {
    TurnId::new(uuid::Uuid::from_u128(7))
}

fn try_admit(body: &[u8]) -> Result<Turn, String> {
    let principal =
        Principal { client: "cs-1".into(), channel: Arc::new(channel("cs-1")), once: None };
    admit(&principal, body, id())
}

const DOCUMENTED: &[&str] = &[
    r#"{"message":{"text":"hi","attachments":["<link>"]},"from":{"id":"kore@support.com"},"to":{"id":"st-xxxx"},"customData":{"userToken":"xxxx"}}"#,
    r#"{"session":{"new":false},"message":{"text":"hello","attachments":[{"fileId":"6511643","fileType":"txt","fileName":"IVR Doc"}]},"from":{"id":"user-1","userInfo":{"firstName":"","lastName":"","email":""}}}"#,
    r#"{"session":{"new":true},"message":{"text":"","attachments":{"fileId":"1"}},"from":{"id":"a","userInfo":{"firstName":"","user_data":{}}},"to":{"id":"Kore.ai","groupInfo":{"id":"","name":""}},"metaTags":{"userLevelTags":[{"name":"","value":""}],"sessionLevelTags":[],"messageLevelTags":[{"name":"a","value":"b"}]},"mergeIdentity":true,"preferredChannelForResponse":"rtm","customData":{"a":1,"a":2},"opts":{}}"#,
    r#"{"message":{"text":"x"},"from":{"id":"a"},"mergeIdentity":"true","to":"anything","session":null,"customData":null,"unknown":[1,{"b":[]}]}"#,
];

#[test]
fn every_documented_body_is_admitted_and_kept_byte_for_byte() {
    for body in DOCUMENTED {
        let turn = try_admit(body.as_bytes()).unwrap();
        assert_eq!(turn.payload, *body);
        let spaced = format!(" \r\n\t{body}\n");
        assert_eq!(try_admit(spaced.as_bytes()).unwrap(), turn);
    }
}

#[test]
fn a_turn_says_who_said_what_where() {
    let turn = try_admit(DOCUMENTED[2].as_bytes()).unwrap();
    assert_eq!((turn.id, turn.mode, turn.new_session), (id(), Mode::Sync, true));
    assert_eq!((turn.client.as_str(), turn.channel.as_str()), ("cs-1", "ivrInst-1"));
    assert_eq!((turn.bot.as_str(), turn.user.as_str(), turn.text.as_str()), ("st-1", "a", ""));
    assert!(!try_admit(DOCUMENTED[1].as_bytes()).unwrap().new_session);
}

/// A body, and how its refusal begins.
const WRONG: &[(&str, &str)] = &[
    ("", "not JSON"),
    ("[]", "the body must be an object"),
    ("null", "the body must be an object"),
    ("{}", "message is missing"),
    ("{} {}", "not JSON"),
    (r#"{"message":"x","from":{"id":"a"}}"#, "message must be an object"),
    (r#"{"message":{},"from":{"id":"a"}}"#, "message.text is missing"),
    (r#"{"message":{"text":null},"from":{"id":"a"}}"#, "message.text is missing"),
    (r#"{"message":{"text":1},"from":{"id":"a"}}"#, "message.text must be a string"),
    (r#"{"message":{"text":["x"]},"from":{"id":"a"}}"#, "message.text must be a string"),
    (r#"{"message":{"text":"x"}}"#, "from is missing"),
    (r#"{"message":{"text":"x"},"from":"a"}"#, "from must be an object"),
    (r#"{"message":{"text":"x"},"from":{}}"#, "from.id is missing"),
    (r#"{"message":{"text":"x"},"from":{"id":7}}"#, "from.id must be a string"),
    (r#"{"message":{"text":"x"},"from":{"id":""}}"#, "from.id must be 1 to 256 bytes"),
    (r#"{"message":{"text":"x"},"from":{"id":"a\nb"}}"#, "from.id holds a control character"),
    (r#"{"message":{"text":"x"},"from":{"id":"a\u009f"}}"#, "from.id holds a control character"),
    (r#"{"message":{"text":"x"},"from":{"id":"a\u0000"}}"#, "not JSON: a NUL character"),
    (r#"{"message":{"text":"x\u0000"},"from":{"id":"a"}}"#, "not JSON: a NUL character"),
    (r#"{"message":{"text":"x"},"from":{"id":"a","id":"b"}}"#, "from has a key twice"),
    (r#"{"message":{"text":"x","text":"x"},"from":{"id":"a"}}"#, "message has a key twice"),
    (r#"{"message":{"text":"x"},"from":{"id":"a"},"from":{"id":"b"}}"#, "the body has a key twice"),
    (r#"{"message":{"text":"x"},"from":{"id":"a"},"x":1,"x":2}"#, "the body has a key twice"),
    (r#"{"session":1,"message":{"text":"x"},"from":{"id":"a"}}"#, "session must be an object"),
    (r#"{"session":{"new":"no"},"message":{"text":"x"},"from":{"id":"a"}}"#, "session.new must be"),
    (
        r#"{"message":{"text":"x","attachments":"l"},"from":{"id":"a"}}"#,
        "message.attachments must be an array",
    ),
    (
        r#"{"message":{"text":"x","attachments":[1]},"from":{"id":"a"}}"#,
        "message.attachments[0] must be",
    ),
    (
        r#"{"message":{"text":"x","attachments":["",{"a":1,"a":1}]},"from":{"id":"a"}}"#,
        "message.attachments[1] has a key twice",
    ),
    (
        r#"{"message":{"text":"x"},"from":{"id":"a","userInfo":[]}}"#,
        "from.userInfo must be an object",
    ),
    (
        r#"{"message":{"text":"x"},"from":{"id":"a","userInfo":{"email":1}}}"#,
        "from.userInfo.email must be a string",
    ),
    (r#"{"message":{"text":"x"},"from":{"id":"a"},"to":{"id":1,"id":2}}"#, "to has a key twice"),
    (r#"{"message":{"text":"x"},"from":{"id":"a"},"metaTags":[]}"#, "metaTags must be an object"),
    (
        r#"{"message":{"text":"x"},"from":{"id":"a"},"metaTags":{"userLevelTags":{}}}"#,
        "metaTags.userLevelTags must be an array",
    ),
    (
        r#"{"message":{"text":"x"},"from":{"id":"a"},"metaTags":{"userLevelTags":["x"]}}"#,
        "metaTags.userLevelTags[0] must be an object",
    ),
    (r#"{"message":{"text":"x"},"from":{"id":"a"},"mergeIdentity":1}"#, "mergeIdentity must be"),
    (
        r#"{"message":{"text":"x"},"from":{"id":"a"},"preferredChannelForResponse":1}"#,
        "preferredChannelForResponse must be",
    ),
    (
        r#"{"message":{"text":"x"},"from":{"id":"a"},"customData":"x"}"#,
        "customData must be an object",
    ),
    ("\u{feff}{}", "the body starts with a byte order mark"),
];

#[test]
fn every_wrong_body_is_refused_with_the_name_of_the_field() {
    for (body, words) in WRONG {
        let said = try_admit(body.as_bytes()).unwrap_err();
        assert!(said.starts_with(words), "{body}: {said}");
    }
    assert_eq!(try_admit(b"{\"message\":\"\xff\"}").unwrap_err(), "the body is not UTF-8");
}

#[test]
fn length_depth_and_counts_are_bounded_at_the_stated_numbers() {
    let said = |text: usize, user: usize, attachments: usize, depth: usize| {
        let body = format!(
            r#"{{"message":{{"text":"{}","attachments":[{}]}},"from":{{"id":"{}"}},"customData":{{"x":{}{}}}}}"#,
            "t".repeat(text),
            vec!["\"l\""; attachments].join(","),
            "u".repeat(user),
            "[".repeat(depth),
            "]".repeat(depth),
        );
        try_admit(body.as_bytes()).map(|_| ())
    };
    assert_eq!(said(TEXT_MAX, USER_ID_MAX, ATTACHMENTS_MAX, 62), Ok(()));
    assert!(said(TEXT_MAX + 1, 1, 0, 1).unwrap_err().starts_with("message.text is longer"));
    assert!(said(1, USER_ID_MAX + 1, 0, 1).unwrap_err().starts_with("from.id must be"));
    assert!(said(1, 1, ATTACHMENTS_MAX + 1, 1).unwrap_err().contains("more than 20 elements"));
    assert!(said(1, 1, 0, 63).unwrap_err().contains("more than 64 levels of nesting"));
    assert!(said(1, 1, 0, 100_000).unwrap_err().contains("more than 64 levels of nesting"));
    let many = format!(r#"{{"x":[{}]}}"#, vec!["1"; 10_000].join(","));
    assert!(try_admit(many.as_bytes()).unwrap_err().contains("more than 10000 values"));
}

proptest! {
    #[test]
    fn any_text_and_user_come_back_as_they_were(text in "[^\u{0}]{0,100}", user in "[^\\p{Cc}]{1,60}") {
        let body = serde_json::json!({"message": {"text": text}, "from": {"id": user}}).to_string();
        let turn = try_admit(body.as_bytes()).unwrap();
        prop_assert_eq!(turn.text, text);
        prop_assert_eq!(turn.user.as_str(), user);
        prop_assert_eq!(turn.payload, body);
    }

    #[test]
    fn no_bytes_upset_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = try_admit(&bytes).is_ok();
    }

    #[test]
    fn a_documented_body_with_one_byte_changed_is_admitted_or_refused(which in 0usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = DOCUMENTED[which].as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(turn) = try_admit(&body) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&turn.payload).is_ok());
        }
    }
}

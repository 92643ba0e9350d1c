use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use shared::domain::ids::{BotId, TurnId, UserId};
use shared::domain::turn::Mode;
use shared::registry::{Compatibility, Overrides};
use shared::wire::v1::BotMessage;
use uuid::Uuid;

use super::super::session;
use super::*;

fn opened() -> Session {
    let bot_user = json!({"list": [1]}).as_object().cloned().unwrap();
    Session {
        id: TurnId::new(Uuid::from_u128(1)).to_string(),
        is_new: false,
        bot_user,
        dialog: None,
        merged: Vec::new(),
        closed: false,
    }
}

fn with_reader<T>(mode: Mode, compatibility: Compatibility, f: impl FnOnce(Reader<'_>) -> T) -> T {
    let (user, bot): (UserId, BotId) = ("ann".into(), "st-1".into());
    let overrides =
        serde_json::from_value(json!({"other": "not this", "greeting": "Ahoy!"})).unwrap();
    f(Reader { user: &user, bot: &bot, mode, compatibility, overrides: &overrides })
}

#[test]
fn a_run_that_ended_badly_leaves_the_error_message_and_the_session_as_it_was() {
    for outcome in [Outcome::BotFailed, Outcome::BotTimedOut, Outcome::BotUnavailable] {
        let ran = Ran::Badly { outcome, detail: "why".into() };
        let step = with_reader(Mode::Async, Compatibility::default(), |reader| {
            after(ran, &opened(), "sorry", reader)
        });
        assert_eq!(step.outcome, outcome);
        assert_eq!(step.detail, "why");
        assert_eq!(step.reply, r#"{"text":"sorry"}"#);
        assert_eq!(step.deliveries, [r#"{"text":"sorry","to":"ann","from":"st-1"}"#]);
        assert_eq!(step.state, opened().to_bytes());
        assert_eq!(step.parked, None);
    }
}

#[test]
fn a_channel_has_words_of_its_own_for_an_error_and_for_what_has_a_key() {
    let overrides: Overrides =
        serde_json::from_value(json!({"error": "Oh.", "greeting": "Ahoy!"})).unwrap();
    let (user, bot): (UserId, BotId) = ("ann".into(), "st-1".into());
    let (mode, compatibility) = (Mode::Async, Compatibility::default());
    let reader = Reader { user: &user, bot: &bot, mode, compatibility, overrides: &overrides };
    let badly = Ran::Badly { outcome: Outcome::BotFailed, detail: String::new() };
    let step = after(badly, &opened(), "sorry", reader);
    assert_eq!(step.reply, r#"{"text":"Oh."}"#);
    assert_eq!(step.deliveries, [r#"{"text":"Oh.","to":"ann","from":"st-1"}"#]);
    assert_eq!(park("why".into(), "state".into(), "job".into(), reader).reply, r#"{"text":"Oh."}"#);
    let messages = vec![Spoken::keyed("greeting", "hello"), Spoken::keyed("error", "mine")];
    let (session, wider, detail) = (Box::new(opened()), Vec::new(), String::new());
    let well = Ran::Well { messages, task: None, session, wider, detail };
    assert_eq!(after(well, &opened(), "sorry", reader).reply, r#"{"text":["Ahoy!","Oh."]}"#);
}

#[test]
fn a_turn_that_did_not_run_is_told_why_and_may_have_the_channels_words() {
    let own: Overrides = serde_json::from_value(json!({"merged": "Noted."})).unwrap();
    let (user, bot): (UserId, BotId) = ("ann".into(), "st-1".into());
    let (mode, compatibility) = (Mode::Async, Compatibility::default());
    let told = |outcome, overrides: &Overrides| {
        let reader = Reader { user: &user, bot: &bot, mode, compatibility, overrides };
        let step = aside(outcome, "state".into(), reader);
        assert_eq!((step.outcome, step.state.as_ref()), (outcome, b"state".as_slice()));
        let answer: Value = serde_json::from_slice(&step.reply).unwrap();
        assert_eq!(answer["outcome"], outcome.as_str());
        (answer["text"].clone(), step.deliveries.len())
    };
    assert_eq!(told(Outcome::Merged, &Overrides::NONE), (json!([]), 0));
    assert_eq!(told(Outcome::Merged, &own), (json!("Noted."), 1));
    assert_eq!(told(Outcome::Superseded, &own), (json!([]), 0));
    assert_eq!(told(Outcome::Rejected, &own), (json!(BUSY), 1));
}

#[test]
fn a_parked_turn_keeps_its_job_and_the_stored_state_and_posts_nothing() {
    let step = with_reader(Mode::Async, Compatibility::default(), |reader| {
        park("why".into(), "as it was".into(), "sealed".into(), reader)
    });
    assert_eq!(step.outcome, Outcome::Parked);
    assert_eq!(step.parked.as_deref(), Some(b"sealed".as_slice()));
    assert_eq!(step.state, "as it was");
    assert_eq!(step.deliveries, Vec::<Bytes>::new());
    assert_eq!(step.reply, format!(r#"{{"text":"{}"}}"#, Bot::ERROR_MESSAGE));
}

#[test]
fn what_is_refused_falls_back_step_by_step_and_ends() {
    let table = [
        (Outcome::Answered, Instead::ErrorReply),
        (Outcome::BotFailed, Instead::Park),
        (Outcome::BotTimedOut, Instead::Park),
        (Outcome::BotUnavailable, Instead::Park),
        (Outcome::ResultRefused, Instead::Park),
        (Outcome::Parked, Instead::Stray),
        (Outcome::Merged, Instead::Park),
        (Outcome::Superseded, Instead::Park),
        (Outcome::Rejected, Instead::Park),
    ];
    assert_eq!(table.map(|(outcome, _)| outcome), Outcome::ALL);
    for (outcome, expected) in table {
        assert_eq!(instead_of(outcome), expected, "{outcome}");
    }
}

#[test]
fn only_a_version_that_has_moved_is_a_miss() {
    assert_eq!(second_look(7, 7, 0), SecondLook::CommitAgain);
    assert_eq!(second_look(7, 7, 1), SecondLook::CommitAgain);
    assert_eq!(second_look(7, 8, 0), SecondLook::RunAgain);
    assert_eq!(second_look(7, 8, 1), SecondLook::Close);
}

fn message() -> impl Strategy<Value = BotMessage> {
    prop_oneof![
        any::<String>().prop_map(BotMessage::Text),
        (any::<String>(), any::<String>())
            .prop_map(|(key, value)| BotMessage::Template(json!({ key: value }))),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Sync), Just(Mode::Async)]
}

fn compatibility() -> impl Strategy<Value = Compatibility> {
    any::<(bool, bool)>().prop_map(|(single_as_string, escape_templates)| Compatibility {
        single_as_string,
        escape_templates,
    })
}

/// JSON as bots make it, without the one sequence that the platform's escaping cannot tell from its own.
fn template() -> impl Strategy<Value = Value> {
    let text = "[^&]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((text, inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    vec((text, inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

proptest! {
    #[test]
    fn what_a_client_unescapes_is_the_template_and_an_escaped_one_has_no_quote(
        template in template(),
        escape in any::<bool>(),
    ) {
        let text = BotMessage::Template(template.clone()).to_text(escape);
        prop_assert!(!escape || !text.contains('"'));
        let read: Value = serde_json::from_str(&text.replace("&quot;", "\"")).unwrap();
        prop_assert_eq!(read, template);
    }

    #[test]
    fn every_message_is_in_the_answer_and_in_one_post_of_an_asynchronous_turn(
        messages in vec(message(), 0..5),
        mode in mode(),
        compatibility in compatibility(),
    ) {
        let texts: Vec<_> =
            messages.iter().map(|m| m.to_text(compatibility.escape_templates)).collect();
        let messages = messages.into_iter().map(Spoken::of).collect();
        let ran = Ran::Well { messages, task: None, session: Box::new(opened()), wider: Vec::new(), detail: String::new() };
        let step = with_reader(mode, compatibility, |reader| after(ran, &opened(), "sorry", reader));
        let answer: Value = serde_json::from_slice(&step.reply).unwrap();
        let said: Vec<String> = match &answer["text"] {
            Value::String(one) => vec![one.clone()],
            many => serde_json::from_value(many.clone()).unwrap(),
        };
        prop_assert_eq!(&said, &texts);
        let posted: Vec<String> = step
            .deliveries
            .iter()
            .map(|post| serde_json::from_slice::<Value>(post).unwrap()["text"].as_str().unwrap().to_owned())
            .collect();
        prop_assert_eq!(posted, if mode == Mode::Async { texts } else { Vec::new() });
        prop_assert_eq!(step.outcome, Outcome::Answered);
    }

    #[test]
    fn the_next_turn_of_the_session_sees_what_this_one_has_stored(
        pairs in vec((any::<String>(), any::<i64>()), 0..5),
    ) {
        let ours = |key: &String| key != "lastMessage" && key != "conversationSessionId";
        let bot_user: Map<String, Value> =
            pairs.into_iter().filter(|(key, _)| ours(key)).map(|(key, n)| (key, json!(n))).collect();
        let session = Session { bot_user: bot_user.clone(), ..opened() };
        let ran = Ran::Well { messages: Vec::new(), task: None, session: Box::new(session), wider: Vec::new(), detail: String::new() };
        let step = with_reader(Mode::Sync, Compatibility::default(), |reader| {
            after(ran, &opened(), "sorry", reader)
        });
        let rules = session::Rules {
            turn: TurnId::new(Uuid::from_u128(2)),
            idle: std::time::Duration::ZERO,
            timeout: Bot::SESSION_TIMEOUT,
            wants_new: false,
        };
        let next = session::open(&step.state, rules);
        prop_assert_eq!(next.bot_user, bot_user);
        prop_assert_eq!(next.id, opened().id);
    }
}

//! What goes into a spec comes out again, except secrets, which never go in.

use super::super::{Activities, Beside, Canary, Model, RepliesBy, Tool};
use super::*;

const OVERRIDES: &str = r#"{"error":"Oh.","menu":{"type":"template","payload":{}}}"#;

fn endpoint(retry: Policy) -> Endpoint {
    Endpoint {
        post_url: Url::parse("https://example.test/hook?a=1").unwrap(),
        token_header: "x-token".to_owned(),
        token: Some("Bearer t0ken".into()),
        signing_secret: "whsec_s3cret".into(),
        retry,
        deadline: Duration::from_millis(1_234),
        permits: 7,
        disabled: true,
    }
}

fn channel(endpoint: Option<Endpoint>) -> Channel {
    Channel {
        id: "ivrInst-1".into(),
        bot: "st-1".into(),
        client: "cs-1".into(),
        name: "main".to_owned(),
        ordinal: 1,
        endpoint,
        state: crate::domain::channel::ChannelState::Live,
        deadline: Duration::from_secs(3),
        compatibility: Compatibility { single_as_string: false, escape_templates: true },
        overrides: serde_json::from_str(OVERRIDES).unwrap(),
        while_busy: WhileBusy::Merge(Duration::from_millis(750)),
        rate: Rate { per_second: 3, burst: 4 },
    }
}

#[test]
fn an_endpoint_comes_back_with_each_kind_of_schedule_and_without_secrets_in_the_text() {
    let exponential = Spacing::Exponential {
        initial: Duration::from_millis(50),
        factor: 1.5,
        max: Duration::from_secs(9),
        attempts_max: 4,
    };
    for retry in [Policy::default(), Policy { spacing: exponential, jitter: 0.25 }] {
        let channel = channel(Some(endpoint(retry.clone())));
        let text = serde_json::to_string(&ChannelSpec::of(&channel)).unwrap();
        assert!(!text.contains("t0ken") && !text.contains("s3cret"), "{text}");
        let spec: ChannelSpec = serde_json::from_str(&text).unwrap();
        let state = EndpointState {
            token: None,
            signing_secret: Some("whsec_other".into()),
            disabled: false,
        };
        let back = spec.endpoint(state).unwrap().unwrap();
        assert_eq!(back.retry, retry);
        assert_eq!(back.post_url.as_str(), "https://example.test/hook?a=1");
        assert_eq!((back.permits, back.deadline), (7, Duration::from_millis(1_234)));
        assert_eq!(spec.compatibility(), channel.compatibility);
        assert_eq!(spec.overrides(), channel.overrides);
        assert_eq!(spec.while_busy(), channel.while_busy);
        assert_eq!((spec.rate(), spec.deadline()), (channel.rate, channel.deadline));
    }
}

#[test]
fn an_endpoint_without_its_signing_secret_is_no_endpoint() {
    let spec = ChannelSpec::of(&channel(Some(endpoint(Policy::default()))));
    let state = EndpointState { token: None, signing_secret: None, disabled: false };
    assert!(spec.endpoint(state).is_none());
    let sync = ChannelSpec::of(&channel(None));
    let state = EndpointState { token: None, signing_secret: None, disabled: false };
    assert!(matches!(sync.endpoint(state), Some(None)));
}

/// One of each kind.
fn peers() -> [Peer; 7] {
    let model = Model {
        model: "m".to_owned(),
        instructions: Some("Be kind.".to_owned()),
        stream: true,
        history: 4,
        max_tokens: Some(7),
        temperature: Some(0.5),
        tools: vec![Tool {
            name: "t".to_owned(),
            description: "d".to_owned(),
            url: Url::parse("https://tool.test/").unwrap(),
            parameters: serde_json::json!({"type": "object"}),
        }],
    };
    [
        Peer::Rasa,
        Peer::RasaActions { action: "a".to_owned() },
        Peer::BotFramework(Activities { welcome: false, replies: RepliesBy::Normal, idle_ms: 250 }),
        Peer::Openai(model.clone()),
        Peer::OpenaiResponses { model, store: true },
        Peer::Botkit { client_id: "cs-1".to_owned(), component: "c".to_owned() },
        Peer::Dify { stream: false },
    ]
}

#[test]
fn a_bot_comes_back_with_its_secret_given_apart() {
    let http = HttpLogic {
        url: Url::parse("http://127.0.0.1:1/bot").unwrap(),
        authorization: Some("Bearer b0t".into()),
        deadline: Duration::from_secs(2),
        attempts_max: 3,
    };
    let script = ScriptLogic {
        name: "bot.js".to_owned(),
        source: "say(\"\u{e4}\")\n".into(),
        env: Some(r#"{"K":"b0t"}"#.into()),
        restart_dialogs: true,
    };
    let connectors = peers().into_iter().map(|peer| {
        let url = Url::parse("https://peer.test/v1").unwrap();
        let authorization = Some("Bearer b0t".into());
        let deadline = Duration::from_secs(3);
        let connector = ConnectorLogic { peer, url, authorization, deadline, attempts_max: 2 };
        Logic::Connector(Box::new(connector))
    });
    let canary = Canary { bot: "st-4".into(), share: 250 };
    let beside =
        Beside { fallback: Some("st-2".into()), shadow: Some("st-3".into()), canary: Some(canary) };
    let others = [Logic::Echo, Logic::Http(http), Logic::Script(script)];
    for logic in others.into_iter().chain(connectors) {
        let bot = Bot {
            id: "st-1".into(),
            name: "b".to_owned(),
            logic,
            error_message: "oh".to_owned(),
            session_timeout: Duration::from_mins(1),
            permits: 5,
            beside: beside.clone(),
        };
        let text = serde_json::to_string(&BotSpec::of(&bot)).unwrap();
        assert!(!text.contains("b0t"), "{text}");
        let spec: BotSpec = serde_json::from_str(&text).unwrap();
        let back = spec.into_bot("st-1", "b".to_owned(), BotSpec::secret(&bot).cloned());
        assert_eq!(format!("{bot:?}"), format!("{back:?}"));
    }
}

#[test]
fn a_bot_of_the_bot_framework_that_an_earlier_release_wrote_replies_as_is_found_out() {
    let peer: Peer = serde_json::from_str(r#"{"kind":"bot-framework","welcome":false}"#).unwrap();
    assert_eq!(peer, Peer::BotFramework(Activities { welcome: false, ..Activities::default() }));
}

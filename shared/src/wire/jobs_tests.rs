use super::*;

fn keys() -> Keys {
    Keys::new(&[vec![9; 32]]).unwrap()
}

fn turn(payload: &str) -> Turn {
    Turn {
        id: TurnId::new(Uuid::from_u128(5)),
        client: "cs-1".into(),
        channel: "ivrInst-1".into(),
        bot: "st-1".into(),
        user: "ann\"ä\u{1F600}".into(),
        mode: Mode::Async,
        new_session: true,
        text: "line\nbreak".into(),
        payload: payload.into(),
    }
}

#[test]
fn a_turn_comes_back_as_it_went_payload_byte_for_byte() {
    let payload = r#"{"message": {"text":"a"},   "customData":{"n":1.00,"b":2,"a":1}}"#;
    let job = TurnJob { turn: turn(payload), reply_to: Some("r".into()), traceparent: None };
    let opened = TurnJob::open(&keys(), &job.seal(&keys()).unwrap()).unwrap();
    assert_eq!(opened, job);
}

#[test]
fn a_delivery_comes_back_as_it_went() {
    let place = Place { conversation: ConversationId::new(Uuid::from_u128(7)), number: 12 };
    let delivery = Delivery {
        place,
        id: DeliveryId { turn: TurnId::new(Uuid::from_u128(5)), index: 3 },
        channel: "ivrInst-1".into(),
        body: Bytes::from_static(br#"{"text":"hi \"you\"","to":"ann","from":"st-1"}"#),
        attempt: 0,
        failures: 0,
        deferrals: 0,
        redriven: false,
    };
    let fresh = Some(Fresh { delivery, rung_unix_ms: 99 });
    for fresh in [fresh, None] {
        let job = DeliveryJob { place, channel: "ivrInst-1".into(), fresh, traceparent: None };
        assert_eq!(DeliveryJob::open(&keys(), &job.seal(&keys()).unwrap()).unwrap(), job);
    }
}

#[test]
fn replies_keep_their_bytes() {
    let spent = Spent { own: Duration::from_millis(100), waited: Duration::from_millis(7) };
    let reply = |n, answer: &'static [u8], spent| Reply {
        turn: TurnId::new(Uuid::from_u128(n)),
        answer: Bytes::from_static(answer),
        spent,
    };
    let replies = Replies(vec![
        reply(1, br#"{"text":  "a"}"#, Some(spent)),
        reply(2, br#"{"text":[]}"#, None),
    ]);
    assert_eq!(Replies::open(&keys(), &replies.seal(&keys()).unwrap()).unwrap(), replies);
}

#[test]
fn an_announcement_of_a_later_release_is_ignored() {
    let sealed = keys().seal(Kind::Announcement, br#"{"kind":"moon_phase","full":true}"#);
    assert_eq!(Announcement::open(&keys(), &sealed).unwrap(), Announcement::Unknown);
}

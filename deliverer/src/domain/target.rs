//! An endpoint made ready to be called, or why it cannot be. Whether its *address* may be called is
//! judged where it is dialled (`shared::egress`).

use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::ExposeSecret as _;
use shared::domain::delivery::Delivery;
use shared::registry::Endpoint;

use super::sign::Key;

const USER_AGENT: &str = concat!("Switchhook/", env!("CARGO_PKG_VERSION"));

/// Why an endpoint as it is configured cannot be called: a fault of ours, not of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the channel has no endpoint")]
    NoEndpoint,
    #[error("the signing secret is no base64")]
    SigningSecret,
    #[error("the access token or the name of its header cannot stand in a header")]
    Token,
}

impl Unusable {
    /// A closed set of words, for attempt logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::SigningSecret => "signing_secret",
            Self::Token => "token",
        }
    }
}

/// What an attempt has of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) unix_secs: u64,
    pub(crate) traceparent: &'a str,
}

/// The headers of one attempt. `webhook-id` and the body are the same on every attempt; timestamp and
/// signature are the attempt's.
pub(crate) fn headers(
    endpoint: &Endpoint,
    delivery: &Delivery,
    moment: Moment<'_>,
) -> Result<HeaderMap, Unusable> {
    let key = Key::parse(endpoint.signing_secret.expose_secret()).ok_or(Unusable::SigningSecret)?;
    let id = delivery.id.to_string();
    let signature = key.sign(&id, moment.unix_secs, &delivery.body);
    let mut headers = HeaderMap::with_capacity(8);
    if let Some(token) = &endpoint.token {
        let name: HeaderName = endpoint.token_header.parse().map_err(|_| Unusable::Token)?;
        let mut value: HeaderValue = text(token.expose_secret())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    // After the token: a channel's choice of a header never replaces one of these.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert("webhook-id", text(&id)?);
    headers.insert("webhook-timestamp", moment.unix_secs.into());
    headers.insert("webhook-signature", text(&signature)?);
    headers.insert("traceparent", text(moment.traceparent)?);
    if delivery.redriven {
        headers.insert("switchhook-redriven", HeaderValue::from_static("1"));
    }
    Ok(headers)
}

fn text(value: &str) -> Result<HeaderValue, Unusable> {
    HeaderValue::from_str(value).map_err(|_| Unusable::Token)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;
    use shared::domain::delivery::Place;
    use shared::domain::ids::{ConversationId, DeliveryId, TurnId};
    use shared::domain::retry::Policy;
    use uuid::Uuid;

    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            post_url: url::Url::parse("https://bank.example/hook").unwrap(),
            token_header: Endpoint::TOKEN_HEADER.into(),
            token: Some(SecretString::from("Bearer t0ken")),
            signing_secret: SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            retry: Policy::default(),
            deadline: Duration::from_secs(15),
            permits: 1,
            disabled: false,
        }
    }

    fn delivery(redriven: bool) -> Delivery {
        Delivery {
            place: Place { conversation: ConversationId::new(Uuid::from_u128(1)), number: 7 },
            id: DeliveryId { turn: TurnId::new(Uuid::from_u128(0xabc)), index: 3 },
            channel: "ivrInst-1".into(),
            body: r#"{"text":"hi","to":"ann","from":"st-1"}"#.into(),
            attempt: 1,
            failures: 0,
            deferrals: 0,
            redriven,
        }
    }

    fn of(endpoint: &Endpoint, delivery: &Delivery) -> Result<HeaderMap, Unusable> {
        headers(endpoint, delivery, Moment { unix_secs: 1_700_000_000, traceparent: "00-a-b-01" })
    }

    #[test]
    fn an_attempt_carries_token_signature_and_trace() {
        let headers = of(&endpoint(), &delivery(false)).unwrap();
        let expected = [
            ("authorization", "Bearer t0ken"),
            ("content-type", "application/json"),
            ("webhook-id", "msg_00000000000000000000000000000abc_3"),
            ("webhook-timestamp", "1700000000"),
            ("traceparent", "00-a-b-01"),
        ];
        for (name, value) in expected {
            assert_eq!(headers[name], value);
        }
        assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
        assert!(headers["authorization"].is_sensitive());
        assert!(!headers.contains_key("switchhook-redriven"));
    }

    #[test]
    fn a_redriven_delivery_says_so_under_the_same_id() {
        let (first, again) = (delivery(false), delivery(true));
        let (first, again) = (of(&endpoint(), &first).unwrap(), of(&endpoint(), &again).unwrap());
        assert_eq!(again["switchhook-redriven"], "1");
        assert_eq!(first["webhook-id"], again["webhook-id"]);
    }

    #[test]
    fn the_token_goes_into_the_header_that_the_channel_names_and_replaces_none_of_ours() {
        let named = Endpoint { token_header: "X-Bank-Token".into(), ..endpoint() };
        let headers = of(&named, &delivery(false)).unwrap();
        assert_eq!(headers["x-bank-token"], "Bearer t0ken");
        assert!(!headers.contains_key("authorization"));
        let clash = Endpoint { token_header: "webhook-id".into(), ..endpoint() };
        assert_eq!(
            of(&clash, &delivery(false)).unwrap()["webhook-id"],
            delivery(false).id.to_string()
        );
        let none = Endpoint { token: None, ..endpoint() };
        assert!(!of(&none, &delivery(false)).unwrap().contains_key("authorization"));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_a_fault_of_ours() {
        let table = [
            (Endpoint { token: Some("a\r\nb: c".into()), ..endpoint() }, Unusable::Token),
            (Endpoint { token_header: "a b".into(), ..endpoint() }, Unusable::Token),
            (Endpoint { signing_secret: "whsec_%".into(), ..endpoint() }, Unusable::SigningSecret),
        ];
        for (endpoint, expected) in table {
            assert_eq!(of(&endpoint, &delivery(false)).unwrap_err(), expected);
        }
    }
}

//! Who speaks: claims + door + now → principal or failure.
//!
//! Every failure becomes the same 401; the reasons here only reach a metric.

use std::net::IpAddr;
use std::sync::Arc;

use shared::domain::ids::ClientId;
use shared::registry::{App, Channel, JTI_LIFE};

/// How far two clocks may differ, in seconds.
const LEEWAY_S: f64 = 60.0;

/// What a token says, once its signature is proved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claims {
    /// `appId`, or `iss` where there is no `appId`.
    pub client: ClientId,
    /// Seconds since the Unix epoch.
    pub expires: Option<f64>,
    /// Seconds since the Unix epoch.
    pub not_before: Option<f64>,
    /// `iat`, in seconds since the Unix epoch, where it is a number.
    pub issued: Option<f64>,
    /// `jti`, where it is a text that can be one.
    pub once: Option<String>,
}

/// Who may do something: an app, on a channel of its own.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub client: ClientId,
    pub channel: Arc<Channel>,
    /// The `jti` of a token that may be used once, for what it may be used for.
    pub once: Option<String>,
}

/// Why a token proves nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No `Authorization`, several, or another scheme.
    Missing,
    /// Not three strict base64url parts of JSON with the claims that must be there.
    Malformed,
    UnknownApp,
    /// Another algorithm than the app's.
    Algorithm,
    Signature,
    Expired,
    NotYet,
    /// No such bot or instance.
    NoChannel,
    /// Another app's channel.
    OtherApp,
    /// The app does not speak from this address.
    Network,
    /// Older than the app lets its tokens become, or of an age that nobody can tell.
    TooOld,
    /// The app's tokens are taken once: `jti` or a near `exp` is missing.
    NotSingle,
    /// A token that is taken once came again.
    Replayed,
}

impl Failure {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownApp => "unknown_app",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::NoChannel => "no_channel",
            Self::OtherApp => "other_app",
            Self::Network => "network",
            Self::TooOld => "too_old",
            Self::NotSingle => "not_single",
            Self::Replayed => "replayed",
        }
    }
}

/// Decides for claims that `app`'s key has proved. `channel` is what the URL names, when there is such a
/// channel.
pub(crate) fn judge(
    claims: Claims,
    app: &App,
    channel: Option<&Arc<Channel>>,
    peer: IpAddr,
    now_ms: u64,
) -> Result<Principal, Failure> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double")]
    let now = now_ms as f64 / 1_000.0;
    if claims.expires.is_some_and(|expires| now >= expires + LEEWAY_S) {
        return Err(Failure::Expired);
    }
    if claims.not_before.is_some_and(|start| now < start - LEEWAY_S) {
        return Err(Failure::NotYet);
    }
    let once = keeps_the_rules(&claims, app, peer, now)?;
    let channel = channel.ok_or(Failure::NoChannel)?;
    if channel.client != claims.client {
        return Err(Failure::OtherApp);
    }
    Ok(Principal { client: claims.client, channel: Arc::clone(channel), once })
}

/// What the app asks for beyond a signature; the `jti` where that is to be used up.
fn keeps_the_rules(
    claims: &Claims,
    app: &App,
    peer: IpAddr,
    now: f64,
) -> Result<Option<String>, Failure> {
    if !app.rules.allows(peer) {
        return Err(Failure::Network);
    }
    if let Some(most) = app.rules.age_max {
        let fresh =
            |issued: f64| issued <= now + LEEWAY_S && now - issued <= most.as_secs_f64() + LEEWAY_S;
        if !claims.issued.is_some_and(fresh) {
            return Err(Failure::TooOld);
        }
    }
    if !app.rules.single_use {
        return Ok(None);
    }
    let near = |expires: f64| expires - now <= JTI_LIFE.as_secs_f64() + LEEWAY_S;
    let once = claims.once.clone().filter(|_| claims.expires.is_some_and(near));
    once.map(Some).ok_or(Failure::NotSingle)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::registry::{Algorithm, TokenRules};

    use super::*;
    use crate::domain::admit::tests::channel;

    const NOW_S: f64 = 1_700_000_000.0;
    const NOW_MS: u64 = 1_700_000_000_000;

    fn claims(client: &str, expires: Option<f64>, not_before: Option<f64>) -> Claims {
        Claims { client: client.into(), expires, not_before, issued: None, once: None }
    }

    fn app(rules: TokenRules) -> App {
        App {
            client_id: "cs-1".into(),
            name: String::new(),
            algorithm: Algorithm::Hs256,
            secret: "".into(),
            previous: None,
            rules,
        }
    }

    fn peer() -> IpAddr {
        [203, 0, 113, 9].into()
    }

    #[test]
    fn claims_channel_and_time_decide_as_the_table_says() {
        let own = Arc::new(channel("cs-1"));
        let (own, none) = (Some(&own), None);
        let at = |offset: f64| Some(NOW_S + offset);
        let table = [
            ("cs-1", None, None, own, Ok(())),
            ("cs-1", at(1.0), at(-1.0), own, Ok(())),
            ("cs-1", at(-59.9), None, own, Ok(())),
            ("cs-1", at(-60.0), None, own, Err(Failure::Expired)),
            ("cs-1", Some(0.0), None, own, Err(Failure::Expired)),
            ("cs-1", Some(-1.0), None, own, Err(Failure::Expired)),
            ("cs-1", Some(f64::MAX), None, own, Ok(())),
            ("cs-1", None, at(60.0), own, Ok(())),
            ("cs-1", None, at(60.1), own, Err(Failure::NotYet)),
            ("cs-1", at(-60.0), at(60.1), own, Err(Failure::Expired)),
            ("cs-2", None, None, own, Err(Failure::OtherApp)),
            ("CS-1", None, None, own, Err(Failure::OtherApp)),
            ("cs-1", None, None, none, Err(Failure::NoChannel)),
            ("cs-2", None, None, none, Err(Failure::NoChannel)),
            ("cs-2", at(-60.0), None, none, Err(Failure::Expired)),
        ];
        let app = app(TokenRules::default());
        for (client, expires, not_before, channel, expected) in table {
            let claims = claims(client, expires, not_before);
            let judged = judge(claims, &app, channel, peer(), NOW_MS).map(|_| ());
            assert_eq!(judged, expected, "{client} {expires:?} {not_before:?}");
        }
    }

    #[test]
    fn an_apps_own_rules_decide_as_the_table_says() {
        let aged = TokenRules { age_max: Some(Duration::from_mins(5)), ..TokenRules::default() };
        let once = TokenRules { single_use: true, ..TokenRules::default() };
        let there = |network: &str| TokenRules {
            networks: vec![network.parse().unwrap()],
            ..TokenRules::default()
        };
        let (here, elsewhere) = (there("203.0.113.0/24"), there("198.51.100.0/24"));
        let token = |issued: Option<f64>, expires: Option<f64>, jti: Option<&str>| Claims {
            client: "cs-1".into(),
            expires: expires.map(|offset| NOW_S + offset),
            not_before: None,
            issued: issued.map(|offset| NOW_S + offset),
            once: jti.map(str::to_owned),
        };
        let plain = || token(None, None, None);
        let table = [
            (&here, plain(), Ok(None)),
            (&elsewhere, plain(), Err(Failure::Network)),
            (&aged, plain(), Err(Failure::TooOld)),
            (&aged, token(Some(-359.0), None, None), Ok(None)),
            (&aged, token(Some(-361.0), None, None), Err(Failure::TooOld)),
            (&aged, token(Some(61.0), None, None), Err(Failure::TooOld)),
            (&once, plain(), Err(Failure::NotSingle)),
            (&once, token(None, None, Some("a")), Err(Failure::NotSingle)),
            (&once, token(None, Some(60.0), None), Err(Failure::NotSingle)),
            (&once, token(None, Some(3_661.0), Some("a")), Err(Failure::NotSingle)),
            (&once, token(None, Some(3_600.0), Some("a")), Ok(Some("a".to_owned()))),
        ];
        let channel = Arc::new(channel("cs-1"));
        for (rules, claims, expected) in table {
            let words = format!("{rules:?} {claims:?}");
            let app = app(rules.clone());
            let judged = judge(claims, &app, Some(&channel), peer(), NOW_MS);
            assert_eq!(judged.map(|principal| principal.once), expected, "{words}");
        }
    }
}

//! Who speaks: claims + door + now → principal or failure.
//!
//! Every failure becomes the same 401; the reasons here only reach a metric.

use std::sync::Arc;

use shared::domain::ids::ClientId;
use shared::registry::Channel;

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
}

/// Who may do something: an app, on a channel of its own.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub client: ClientId,
    pub channel: Arc<Channel>,
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
        }
    }
}

/// Decides. `channel` is what the URL names, when there is such a channel.
pub(crate) fn judge(
    claims: &Claims,
    channel: Option<&Arc<Channel>>,
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
    let channel = channel.ok_or(Failure::NoChannel)?;
    if channel.client != claims.client {
        return Err(Failure::OtherApp);
    }
    Ok(Principal { client: claims.client.clone(), channel: Arc::clone(channel) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::admit::tests::channel;

    const NOW_S: f64 = 1_700_000_000.0;
    const NOW_MS: u64 = 1_700_000_000_000;

    fn claims(client: &str, expires: Option<f64>, not_before: Option<f64>) -> Claims {
        Claims { client: client.into(), expires, not_before }
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
        for (client, expires, not_before, channel, expected) in table {
            let judged = judge(&claims(client, expires, not_before), channel, NOW_MS).map(|_| ());
            assert_eq!(judged, expected, "{client} {expires:?} {not_before:?}");
        }
    }
}

//! What a browser holds: a session, sealed with the time of its last use, and a mark that somebody has signed
//! in there before. And what its requests say of where they come from.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};
use shared::wire::envelope::{Keys, Kind};
use url::Url;

/// How long a session lasts in which nothing is done.
pub(super) const IDLE: Duration = Duration::from_hours(1);
/// How long a browser is remembered.
const DEVICE: Duration = Duration::from_hours(24 * 90);
/// The time in a cookie is written anew when it is this old.
const RENEW_MS: u64 = 60_000;

/// A cookie's name by whether it is bound to https.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Session,
    Device,
    /// Before anybody is signed in.
    Guest,
}

/// Seals and opens.
pub(super) struct Browser<'r> {
    pub(super) keys: &'r Keys,
    pub(super) public: Option<&'r Url>,
    pub(super) now_ms: u64,
}

/// A session as a browser shows it.
pub(super) struct Shown {
    pub(super) token: String,
    /// It should be told the time again.
    pub(super) renew: bool,
}

impl Browser<'_> {
    fn is_https(&self) -> bool {
        self.public.is_some_and(|url| url.scheme() == "https")
    }

    fn name(&self, name: Name) -> String {
        let word = match name {
            Name::Session => "switchhook-session",
            Name::Device => "switchhook-device",
            Name::Guest => "switchhook-guest",
        };
        if self.is_https() { format!("__Host-{word}") } else { word.to_owned() }
    }

    fn cookie(&self, headers: &HeaderMap, name: Name) -> Option<String> {
        let name = self.name(name);
        let mut found = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned());
        // Two of a name: somebody else has set one of them.
        found.next().filter(|_| found.next().is_none())
    }

    fn opened(&self, kind: Kind, text: &str) -> Option<(String, u64)> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let inside = self.keys.open(kind, &Bytes::from(bytes)).ok()?;
        let (token, at) = std::str::from_utf8(&inside).ok()?.rsplit_once(' ')?;
        Some((token.to_owned(), at.parse().ok()?))
    }

    fn sealed(&self, kind: Kind, token: &str) -> String {
        let inside = format!("{token} {}", self.now_ms);
        BASE64_URL_SAFE_NO_PAD.encode(self.keys.seal(kind, inside.as_bytes()))
    }

    fn set(&self, name: Name, value: &str, age: Duration) -> Option<HeaderValue> {
        let (name, age) = (self.name(name), age.as_secs());
        let secure = if self.is_https() { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}");
        HeaderValue::try_from(text).ok()
    }

    /// The session of a request, if it is not idle for too long.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<Shown> {
        let (token, at) = self.opened(Kind::Session, &self.cookie(headers, Name::Session)?)?;
        let idle = self.now_ms.saturating_sub(at);
        let known = u128::from(idle) < IDLE.as_millis();
        // What a page asks by itself does not keep a session open.
        let renew = idle >= RENEW_MS && !headers.contains_key("x-live");
        known.then_some(Shown { token, renew })
    }

    pub(super) fn set_session(&self, token: &str) -> Option<HeaderValue> {
        self.set(Name::Session, &self.sealed(Kind::Session, token), IDLE)
    }

    pub(super) fn end_session(&self) -> Option<HeaderValue> {
        self.set(Name::Session, "", Duration::ZERO)
    }

    /// Whether this account has signed in here before: its mark.
    pub(super) fn device(&self, headers: &HeaderMap, account: &str) -> Option<String> {
        let (inside, at) = self.opened(Kind::Device, &self.cookie(headers, Name::Device)?)?;
        let (mark, name) = inside.split_once(' ')?;
        let fresh = u128::from(self.now_ms.saturating_sub(at)) < DEVICE.as_millis();
        (fresh && name == account).then(|| mark.to_owned())
    }

    pub(super) fn set_device(&self, mark: &str, account: &str) -> Option<HeaderValue> {
        self.set(Name::Device, &self.sealed(Kind::Device, &format!("{mark} {account}")), DEVICE)
    }

    /// What stands for a session before there is one.
    pub(super) fn guest(&self, headers: &HeaderMap) -> Option<String> {
        let token = self.cookie(headers, Name::Guest)?;
        (token.len() == 32).then_some(token)
    }

    pub(super) fn set_guest(&self, token: &str) -> Option<HeaderValue> {
        self.set(Name::Guest, token, IDLE)
    }

    /// Whether a request that changes something can be from a page of ours. Browsers say where it is from;
    /// what says nothing still needs the form's own token.
    pub(super) fn is_ours(&self, headers: &HeaderMap) -> bool {
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
        {
            return false;
        }
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let ours = if let Some(url) = self.public {
            url.origin().ascii_serialization()
        } else {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            format!("http://{}", host.unwrap_or_default())
        };
        origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&ours))
    }
}

/// What forms of a session carry: it follows from the session, which other sites do not know.
pub(super) fn csrf(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, format!("form of {token}").as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_renewed_by_who_asks_and_not_by_a_page_that_looks_by_itself() {
        let keys = Keys::new(&[vec![7; 32]]).unwrap();
        let at = |now_ms| Browser { keys: &keys, public: None, now_ms };
        let set = at(0).set_session("token").unwrap();
        let (cookie, _) = set.to_str().unwrap().split_once(';').unwrap();
        let mut asked = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookie).unwrap())]);
        let renewed = |asked: &HeaderMap, ms| at(ms).session(asked).map(|shown| shown.renew);
        let idle_ms = u64::try_from(IDLE.as_millis()).unwrap();
        assert_eq!(renewed(&asked, RENEW_MS - 1), Some(false), "so soon there is nothing to renew");
        assert_eq!(renewed(&asked, RENEW_MS), Some(true));
        assert_eq!(renewed(&asked, idle_ms), None);
        asked.insert("x-live", HeaderValue::from_static("1"));
        assert_eq!(renewed(&asked, RENEW_MS), Some(false));
        assert_eq!(renewed(&asked, idle_ms), None);
    }
}

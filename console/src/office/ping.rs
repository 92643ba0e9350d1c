//! A verification ping: one POST to a POST_URL before it is saved, through the same guard as deliveries.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::ExposeSecret as _;
use serde_json::json;
use shared::egress::{Client, Error, Request};
use url::Url;

use super::actor::{Actor, Scope};
use super::problem::Problem;
use super::validate;

const DEADLINE: Duration = Duration::from_secs(10);
/// Nothing is done with what it answers.
const RESPONSE_MAX: usize = 1_024;

/// Where to.
pub struct Target<'t> {
    pub post_url: &'t str,
    /// Empty: the usual one.
    pub token_header: &'t str,
    pub access_token: Option<&'t str>,
    pub bot: &'t str,
}

/// What came of it.
pub struct Pinged {
    pub is_good: bool,
    pub words: String,
}

/// Sends one.
pub async fn ping(
    world: Option<&Client>,
    actor: &Actor,
    target: &Target<'_>,
) -> Result<Pinged, Problem> {
    actor.need(Scope::Configure)?;
    let Some(world) = world else { return Err(Problem::conflict("this process makes no calls")) };
    let url = Url::parse(target.post_url).ok();
    let url = url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    let url = url.ok_or_else(|| Problem::invalid("post-url: not an http or https URL"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("switchhook-ping"), HeaderValue::from_static("1"));
    if let Some(token) = target.access_token {
        let (name, value) = validate::token_pair(target.token_header, token)?;
        let wrong = |_| Problem::invalid("access-token: not a header's value");
        let name = HeaderName::try_from(name)
            .map_err(|_| Problem::invalid("token-header: not a header's name"))?;
        headers.insert(name, HeaderValue::try_from(value.expose_secret()).map_err(wrong)?);
    }
    let body = json!({"text": "A verification ping of Switchhook", "to": "switchhook-ping",
                      "from": target.bot});
    let request = Request {
        method: Method::POST,
        url,
        headers,
        body: Bytes::from(body.to_string()),
        deadline: DEADLINE,
        response_max: RESPONSE_MAX,
    };
    Ok(match world.send(request).await {
        Ok(response) => Pinged {
            is_good: response.status.is_success(),
            words: format!("The endpoint answered {}", response.status.as_u16()),
        },
        Err(Error::Refused(why)) => {
            return Err(Problem::invalid(format!("post-url: it may not be called: {why}")));
        }
        Err(error) => Pinged { is_good: false, words: told(&error).to_owned() },
    })
}

/// Nothing of what the network said goes to who asks: it may be a stranger's.
const fn told(error: &Error) -> &'static str {
    match error {
        Error::Refused(_) => "It may not be called",
        Error::Unresolvable(_) => "The endpoint's name cannot be resolved",
        Error::Connect(_) => "The endpoint cannot be connected to",
        Error::Tls(_) => "No TLS with the endpoint",
        Error::Timeout => "The endpoint did not answer within 10 s",
        Error::Protocol(_) => "The endpoint did not answer with HTTP",
    }
}

//! Asks processes that run, at their admin ports.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use shared::config;
pub(crate) use shared::config::reach::reachable;
use shared::config::value::Value as _;
use shared::egress::{Client, Request};
use shared::process::Failure;
use url::Url;

/// A process that takes longer is in trouble.
const DEADLINE: Duration = Duration::from_secs(5);
/// Far more than the metrics of a process.
const RESPONSE_MAX: usize = 8 * 1024 * 1024;

/// A client of admin ports. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Admin(Client);

impl Admin {
    /// Whoever types a command may reach what their machine may.
    pub(crate) fn new() -> Result<Self, Failure> {
        let anywhere = ["0.0.0.0/0", "::/0"];
        let allow =
            anywhere.into_iter().filter_map(|text| config::value::AllowedTarget::parse(text).ok());
        let open = config::Egress { allow: allow.collect(), allow_http: true };
        Client::new(&open, Vec::new())
            .map(Self)
            .map_err(|error| Failure::other(format!("no client can be made: {error}")))
    }

    /// Status and body.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Bytes,
    ) -> Result<(u16, String), Failure> {
        let shown = url.to_string();
        let (headers, deadline) = (HeaderMap::new(), DEADLINE);
        let request = Request { method, url, headers, body, deadline, response_max: RESPONSE_MAX };
        let response = self.0.send(request).await;
        let response =
            response.map_err(|error| Failure::unavailable(format!("{shown}: {error}")))?;
        let body = String::from_utf8_lossy(&response.body).into_owned();
        Ok((response.status.as_u16(), body))
    }
}

/// A page of an admin port: of the given one, or of the one that the settings name.
pub(crate) fn page(given: Option<&Url>, listen: SocketAddr, path: &str) -> Result<Url, Failure> {
    let base = given.map_or_else(|| format!("http://{}", reachable(listen)), Url::to_string);
    let url = format!("{}{path}", base.trim_end_matches('/'));
    url.parse().map_err(|error| Failure::usage(format!("--url: {url}: {error}")))
}

//! The only way out: every call to the outside is made here.
//!
//! * Every address is judged ([`guard`]) and only judged addresses are dialled.
//! * One deadline covers lookup, connecting, TLS, head and body.
//! * Nothing is followed (no redirects, no proxies, no cookies) and nothing is unpacked: no compression
//!   is asked for, and a body is the bytes on the wire.
//! * Everything is bounded: the response's body by the caller, its head, idle connections and lookups
//!   here.

mod dial;
pub mod guard;
mod networks;

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use crate::config;
use crate::fault::{self, Point};
use dial::{Bounded, DialError, Dialler};
use guard::{Guard, Refusal};

/// Idle connections kept for one host.
const IDLE_PER_HOST: usize = 32;
/// Shorter than the idle time-outs of common servers, so that a call rarely meets a closing one.
const IDLE_FOR: Duration = Duration::from_secs(20);
/// Connecting with TLS ends after this time, whoever still waits for it.
const CONNECT_MAX: Duration = Duration::from_secs(30);
const RESPONSE_HEADERS_MAX: usize = 100;
const RESPONSE_HEAD_BYTES_MAX: u32 = 64 * 1024;

/// One call.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// For lookup, connecting, TLS, head and body together.
    pub deadline: Duration,
    /// Most bytes of the response's body that are read.
    pub response_max: usize,
}

/// A response, complete or cut at the caller's limit.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body was longer than [`Request::response_max`]; the rest was not read.
    pub truncated: bool,
}

/// Why there is no response, by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Our own address guard; nothing was sent. Not the other side's failure.
    #[error("refused by the address guard: {0}")]
    Refused(#[from] Refusal),
    #[error("the name cannot be resolved: {0}")]
    Unresolvable(String),
    /// No connection; nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// The other side's certificate or its TLS; nothing was sent.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The deadline passed, perhaps after the request was sent.
    #[error("no complete response within the deadline")]
    Timeout,
    /// The connection broke, or what came is not HTTP; the request may have been sent.
    #[error("the exchange failed: {0}")]
    Protocol(String),
}

impl Error {
    /// A closed set of words, for metrics and attempt logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unresolvable(_) => "unresolvable",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout => "timeout",
            Self::Protocol(_) => "protocol",
        }
    }
}

type Connector = Bounded<HttpsConnector<Dialler>>;

/// Answers in the place of the network, in a simulation.
pub trait StandIn: fmt::Debug + Send + Sync {
    /// What a call comes to; the caller's deadline holds.
    fn answer(&self, request: Request) -> BoxFuture<'static, Result<Response, Error>>;
}

/// Makes calls; cheap to clone, connections are pooled.
#[derive(Clone, Debug)]
pub struct Client(Way);

#[derive(Clone, Debug)]
enum Way {
    Network { http: Box<legacy::Client<Connector, Full<Bytes>>>, guard: Arc<Guard> },
    StandIn(Arc<dyn StandIn>),
}

impl Client {
    /// `own` are the listeners of this process: they are never called. Without any trusted
    /// certificate in the system no https call will succeed, which is only logged.
    pub fn new(settings: &config::Egress, own: Vec<SocketAddr>) -> Result<Self, rustls::Error> {
        let guard = Guard { allow: settings.allow.clone(), allow_http: settings.allow_http, own };
        Self::with_roots(guard, system_roots())
    }

    /// As [`Client::new`], trusting these certificates only.
    pub fn with_roots(guard: Guard, roots: rustls::RootCertStore) -> Result<Self, rustls::Error> {
        let guard = Arc::new(guard);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Dialler::new(Arc::clone(&guard)));
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX as usize)
            .http2_max_header_list_size(RESPONSE_HEAD_BYTES_MAX)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build(Bounded { connector, limit: CONNECT_MAX });
        Ok(Self(Way::Network { http: Box::new(http), guard }))
    }

    /// A client whose calls never leave the process.
    pub fn simulated(stand_in: Arc<dyn StandIn>) -> Self {
        Self(Way::StandIn(stand_in))
    }

    /// Makes a call. Cancel safe in the sense that dropping it closes or frees its connection.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let deadline = request.deadline;
        let answered = match &self.0 {
            Way::Network { http, guard } => {
                guard.target(&request.url)?;
                tokio::time::timeout(deadline, exchange(http, request)).await
            }
            Way::StandIn(way) => tokio::time::timeout(deadline, way.answer(request)).await,
        };
        answered.unwrap_or(Err(Error::Timeout))
    }
}

async fn exchange(
    http: &legacy::Client<Connector, Full<Bytes>>,
    request: Request,
) -> Result<Response, Error> {
    let response_max = request.response_max;
    let response = http.request(to_http(request)?).await.map_err(|error| classify(&error))?;
    fault::point(Point::CallHead);
    let (head, body) = response.into_parts();
    let (body, truncated) = read(body, response_max).await?;
    Ok(Response { status: head.status, headers: head.headers, body, truncated })
}

fn to_http(request: Request) -> Result<http::Request<Full<Bytes>>, Error> {
    let protocol = |error: &dyn std::fmt::Display| Error::Protocol(error.to_string());
    let uri: http::Uri = request.url.as_str().parse().map_err(|error| protocol(&error))?;
    let mut out = http::Request::new(Full::new(request.body));
    *out.method_mut() = request.method;
    *out.uri_mut() = uri;
    *out.headers_mut() = request.headers;
    Ok(out)
}

/// Reads at most `max` bytes. A body that is longer is cut, and its connection closed.
async fn read(mut body: Incoming, max: usize) -> Result<(Bytes, bool), Error> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Protocol(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = max - read.len();
        if data.len() > room {
            read.extend_from_slice(&data[..room]);
            return Ok((read.freeze(), true));
        }
        read.extend_from_slice(&data);
    }
    Ok((read.freeze(), false))
}

/// Finds what went wrong in the chain of causes.
fn classify(error: &legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(dial) = current.downcast_ref::<DialError>() {
            return match dial {
                DialError::Refused(refusal) => Error::Refused(refusal.clone()),
                DialError::Unresolvable(why) => Error::Unresolvable(why.clone()),
                DialError::Connect(why) => Error::Connect(why.to_string()),
            };
        }
        if current.is::<tokio::time::error::Elapsed>() {
            return Error::Timeout;
        }
        cause = current.source();
    }
    // Connecting is dialling, whose errors are above, and then TLS.
    if error.is_connect() { Error::Tls(chain(error)) } else { Error::Protocol(chain(error)) }
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text.push_str(": ");
        text.push_str(&current.to_string());
        cause = current.source();
    }
    text
}

fn system_roots() -> rustls::RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            errors = ?found.errors,
            "no trusted certificates were found in the system: calls by https will fail"
        );
    }
    roots
}

#[cfg(test)]
#[path = "egress/tests.rs"]
mod tests;

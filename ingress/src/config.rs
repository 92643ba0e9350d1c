//! The room's settings, and the limits that are not worth a setting.

use std::net::SocketAddr;
use std::time::Duration;

use shared::broker::PUBLISH_DEADLINE;
use shared::config::Settings;

/// A connection's first byte must come after this time, or the head's time when that is shorter.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be idle between requests: longer than the usual 60 s of proxies, so that
/// they close first and never send into a closing connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may refuse to read while an answer is being written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// From a request's admission to the end of anything but waiting for a reply. The broker's own
/// deadline lies well before it.
const ACCEPT_DEADLINE: Duration = Duration::from_millis(4_700);
const _: () = assert!(ACCEPT_DEADLINE.as_millis() > PUBLISH_DEADLINE.as_millis());
/// One question to the store.
const STORE_DEADLINE: Duration = Duration::from_secs(4);
/// Polls that ask the store at once.
const POLLS_MAX: usize = 256;
/// KiB of bodies that are held at once, from their first byte to the answer. What a request without a
/// length may send counts in full.
const BODIES_MAX_KIB: usize = 256 * 1024;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub body_max: usize,
    pub connections_max: usize,
    pub connections_per_ip_max: u32,
    pub in_flight_max: usize,
    /// Of one app: three quarters, so that a single one does not shut out all others.
    pub in_flight_per_app_max: u32,
    pub bodies_max_kib: usize,
    pub polls_max: usize,
    pub first_byte_timeout: Duration,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
    pub accept_deadline: Duration,
    pub store_deadline: Duration,
    pub failures_per_minute: u32,
    pub registry_stale_max: Duration,
    pub cors_origins: Vec<String>,
    /// Without a slash at its end.
    pub public_url: String,
    pub linger: Duration,
}

impl Config {
    pub(crate) fn new(settings: &Settings, local: SocketAddr) -> Self {
        let ingress = &settings.ingress;
        Self {
            body_max: ingress.body_max.0,
            connections_max: size(ingress.connections_max),
            connections_per_ip_max: ingress.connections_per_ip_max,
            in_flight_max: size(ingress.in_flight_max),
            in_flight_per_app_max: ingress
                .in_flight_max
                .div_ceil(4)
                .saturating_mul(3)
                .min(ingress.in_flight_max),
            bodies_max_kib: BODIES_MAX_KIB,
            polls_max: POLLS_MAX,
            first_byte_timeout: FIRST_BYTE_TIMEOUT.min(ingress.head_timeout),
            head_timeout: ingress.head_timeout,
            body_timeout: ingress.body_timeout,
            idle_timeout: IDLE_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            accept_deadline: ACCEPT_DEADLINE,
            store_deadline: STORE_DEADLINE,
            failures_per_minute: ingress.failures_per_minute,
            registry_stale_max: ingress.registry_stale_max,
            cors_origins: ingress.cors_origins.clone(),
            public_url: ingress
                .public_url
                .as_ref()
                .map_or_else(|| format!("http://{local}"), |url| url.as_str().to_owned())
                .trim_end_matches('/')
                .to_owned(),
            linger: settings.lifecycle.linger,
        }
    }
}

/// A semaphore takes fewer permits than a `usize` on some machines.
fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).min(tokio::sync::Semaphore::MAX_PERMITS)
}

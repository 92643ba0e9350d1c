//! One look at a node, for `doctor`: a connection that declares and consumes nothing.

use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret as _, SecretString};

use super::link::Link;

/// What a node tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// RabbitMQ's major version; 0 when it does not tell.
    pub major: u32,
}

/// Connects with these credentials to this virtual host, and closes again. The error is for a person
/// and holds no password.
pub async fn probe(url: &SecretString) -> Result<Probe, String> {
    let uri: AMQPUri = url
        .expose_secret()
        .parse()
        .map_err(|why: String| format!("the URL is not valid: {why}"))?;
    let place = format!("{}:{}", uri.authority.host, uri.authority.port);
    let link = Link::dial(&uri, "switchhook doctor", true).await;
    let link = link.map_err(|error| format!("no connection to {place}: {error}"))?;
    let major = link.server_major;
    link.close().await;
    Ok(Probe { major })
}

//! Where processes are reached, by their settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Ingress;

impl Ingress {
    /// The URL under which clients and bots reach it; without a slash at its end.
    pub fn url(&self) -> String {
        let url = self.public_url.as_ref().map(ToString::to_string);
        let url = url.unwrap_or_else(|| format!("http://{}", reachable(self.listen)));
        url.trim_end_matches('/').to_owned()
    }
}

/// "Every address" is none that a client could connect to everywhere.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

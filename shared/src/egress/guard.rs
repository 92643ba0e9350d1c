//! May this be called? PURE: a URL, then every address that its name stands for, are judged here.
//!
//! It knows nothing of sockets; `dial.rs` obeys it.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::networks;
use crate::config::value::AllowedTarget;

/// The rules of one process.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Networks that may be called though they are not public (`egress.allow`).
    pub allow: Vec<AllowedTarget>,
    /// Whether plain http may go to public addresses (`egress.allow_http`).
    pub allow_http: bool,
    /// Our own listeners. They are never called, whatever is allowed.
    pub own: Vec<SocketAddr>,
}

/// Why a call is refused. The text is for operators: it names the setting that would allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0:?} is no scheme for an outbound call: https, or http where it is allowed")]
    Scheme(String),
    #[error("a URL with a user name or a password is not called: use a header for secrets")]
    Userinfo,
    #[error("the URL names no host that could be called")]
    Host,
    #[error("{addr} is {what}; egress.allow = \"{}\" would allow it", allowance(*.addr))]
    Address { addr: SocketAddr, what: &'static str },
    #[error("{0} would be called by plain http; use https, or set egress.allow_http = true")]
    PlainHttp(SocketAddr),
    #[error("{0} is a listener of this process itself: no setting allows it")]
    Own(SocketAddr),
}

fn allowance(addr: SocketAddr) -> String {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => format!("{ip}/32:{}", addr.port()),
        IpAddr::V6(ip) => format!("[{ip}/128]:{}", addr.port()),
    }
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub tls: bool,
    pub host: TargetHost,
    pub port: u16,
}

/// A name, whose addresses are yet to be judged, or an address that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetHost {
    Name(String),
    Address(IpAddr),
}

impl Guard {
    /// Judges a URL before anything is done. Forms like `0x7f.1` or full-width digits have become
    /// plain addresses in the parser.
    pub fn target(&self, url: &Url) -> Result<Target, Refusal> {
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(Refusal::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Userinfo);
        }
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(Refusal::Host)?;
        let host = match url.host().ok_or(Refusal::Host)? {
            Host::Domain(name) => TargetHost::Name(name.to_owned()),
            Host::Ipv4(ip) => TargetHost::Address(ip.into()),
            Host::Ipv6(ip) => TargetHost::Address(ip.into()),
        };
        if let TargetHost::Address(ip) = host {
            self.judge(tls, SocketAddr::new(ip, port))?;
        }
        Ok(Target { tls, host, port })
    }

    /// Judges one address that a call would be made to.
    pub fn judge(&self, tls: bool, addr: SocketAddr) -> Result<(), Refusal> {
        if self.own.iter().any(|own| is_own(*own, addr)) {
            return Err(Refusal::Own(addr));
        }
        if self.allows(addr) {
            return Ok(());
        }
        if let Some(what) = networks::forbidden(addr.ip()) {
            return Err(Refusal::Address { addr, what });
        }
        if tls || self.allow_http { Ok(()) } else { Err(Refusal::PlainHttp(addr)) }
    }

    /// Judges all addresses of a name together: one that is forbidden refuses the call, for an answer
    /// that mixes public and private addresses is an attack or a mistake.
    pub fn judge_all(&self, tls: bool, addrs: &[SocketAddr]) -> Result<(), Refusal> {
        addrs.iter().try_for_each(|addr| self.judge(tls, *addr))
    }

    /// Whether a connection from this host to itself has reached one of our own listeners: one that is
    /// bound to every address can be reached by addresses that only the kernel knows.
    pub fn judge_connected(&self, local: SocketAddr, peer: SocketAddr) -> Result<(), Refusal> {
        let ours = |own: &SocketAddr| own.ip().is_unspecified() && own.port() == peer.port();
        if local.ip() == peer.ip() && self.own.iter().any(ours) {
            return Err(Refusal::Own(peer));
        }
        Ok(())
    }

    fn allows(&self, addr: SocketAddr) -> bool {
        let ip = addr.ip().to_canonical();
        self.allow.iter().any(|allowed| {
            allowed.network.contains(&ip) && allowed.port.is_none_or(|port| port == addr.port())
        })
    }
}

fn is_own(own: SocketAddr, addr: SocketAddr) -> bool {
    let (listener, ip) = (own.ip().to_canonical(), addr.ip().to_canonical());
    let everywhere = listener.is_unspecified() && (ip.is_loopback() || ip.is_unspecified());
    own.port() == addr.port() && (listener == ip || ip.is_unspecified() || everywhere)
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

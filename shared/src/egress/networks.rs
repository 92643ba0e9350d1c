//! Which addresses are not public, and what each of them is. PURE.
//!
//! Sources: the IANA special-purpose registries (RFC 6890 and its successors) and the addresses on
//! which clouds serve secrets to machines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are never called unasked.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "this host or network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private network"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's shared network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "this host"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's platform address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private network"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved for protocols"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "reserved for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private network"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "reserved for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "reserved for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "reserved for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved or broadcast"),
];

/// IPv6 networks, most telling name first. Whatever is not global unicast is refused anyway.
const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "this host"),
    (Ipv6Addr::LOCALHOST, 128, "this host"),
    (Ipv6Addr::UNSPECIFIED, 96, "an IPv4 address in a form that has been given up"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0]), 96, "a translated IPv4 address"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96, "a translated IPv4 address"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48, "a translated IPv4 address"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0]), 64, "a network that discards everything"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 32, "a Teredo tunnel"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23, "reserved for protocols"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32, "reserved for documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16, "a 6to4 tunnel"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20, "reserved for documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0]), 16, "reserved for segment routing"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7, "a private network"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10, "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, "a private network"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8, "multicast"),
];

/// `2000::/3`, the only part of IPv6 that is given out.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (v6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3);

const fn v6(s: [u16; 8]) -> Ipv6Addr {
    Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
}

/// What makes an address one that is not called unasked, in a few words; `None` when it is public.
/// An IPv4 address in IPv6's mapped form is judged as the IPv4 address that it is.
pub(super) fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(ip);
    V4.iter()
        .find(|(network, len, _)| (bits ^ u32::from(*network)).leading_zeros() >= *len)
        .map(|(_, _, what)| *what)
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if let Some((_, _, what)) = V6.iter().find(|(network, len, _)| within(ip, *network, *len)) {
        return Some(what);
    }
    if !within(ip, GLOBAL_UNICAST.0, GLOBAL_UNICAST.1) {
        return Some("not a public address");
    }
    isatap(ip).and_then(forbidden_v4)
}

fn within(ip: Ipv6Addr, network: Ipv6Addr, len: u32) -> bool {
    (u128::from(ip) ^ u128::from(network)).leading_zeros() >= len
}

/// The IPv4 address inside an ISATAP interface identifier (RFC 5214 §6.1).
fn isatap(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = ip.octets();
    let segments = ip.segments();
    (segments[5] == 0x5efe && matches!(segments[4], 0 | 0x200)).then(|| Ipv4Addr::new(a, b, c, d))
}

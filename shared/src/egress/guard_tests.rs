use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::config::value::Value as _;

fn guard(allow: &str) -> Guard {
    Guard { allow: Vec::parse(allow).unwrap(), ..Guard::default() }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn verdict(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return "refused".to_owned() };
    match Guard::default().target(&url) {
        Err(_) => "refused".to_owned(),
        Ok(Target { host: TargetHost::Name(name), .. }) => format!("name {name}"),
        Ok(Target { host: TargetHost::Address(_), .. }) => "public".to_owned(),
    }
}

#[test]
fn every_form_of_url_is_judged_by_where_it_leads() {
    let table = include_str!("../../tests/egress-urls.txt");
    let rows: Vec<_> = table.lines().filter(|line| !line.starts_with('#')).collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let (expected, text) = row.split_once('\t').unwrap();
        let url = text.replace("\\t", "\t").replace("\\r", "\r").replace("\\n", "\n");
        let found = verdict(&url);
        if found != expected {
            wrong.push(format!("{text}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() >= 250, "only {} rows", rows.len());
}

#[test]
fn an_allowed_network_is_allowed_at_its_port_only_and_may_be_plain_http() {
    let guard = guard("10.1.0.0/16:9000, [fd00::/8]:443, 192.168.7.0/24");
    for allowed in ["10.1.2.3:9000", "[fd00::1]:443", "192.168.7.1:1", "[::ffff:10.1.0.9]:9000"] {
        assert_eq!(guard.judge(false, addr(allowed)), Ok(()), "{allowed}");
    }
    for refused in ["10.1.2.3:9001", "10.2.0.0:9000", "[fd00::1]:80", "192.168.8.1:1"] {
        assert!(
            matches!(guard.judge(true, addr(refused)), Err(Refusal::Address { .. })),
            "{refused}"
        );
    }
}

#[test]
fn plain_http_to_a_public_address_needs_its_setting() {
    let mut guard = Guard::default();
    assert_eq!(guard.judge(false, addr("8.8.8.8:80")), Err(Refusal::PlainHttp(addr("8.8.8.8:80"))));
    guard.allow_http = true;
    assert_eq!(guard.judge(false, addr("8.8.8.8:80")), Ok(()));
    assert!(guard.judge(false, addr("127.0.0.1:80")).is_err());
}

#[test]
fn our_own_listeners_are_refused_even_when_their_network_is_allowed() {
    let own = vec![addr("127.0.0.1:8080"), addr("0.0.0.0:8081"), addr("[::]:8082")];
    let guard = Guard { own, ..guard("127.0.0.0/8, ::/0, 0.0.0.0/0") };
    for refused in [
        "127.0.0.1:8080",
        "0.0.0.0:8080",
        "[::]:8080",
        "[::ffff:127.0.0.1]:8080",
        "127.0.0.1:8081",
        "127.9.9.9:8081",
        "[::1]:8082",
        "127.0.0.1:8082",
    ] {
        assert!(matches!(guard.judge(true, addr(refused)), Err(Refusal::Own(_))), "{refused}");
    }
    assert_eq!(guard.judge(false, addr("127.0.0.1:9000")), Ok(()));
    let own = addr("10.0.0.5:8081");
    assert_eq!(guard.judge(true, own), Ok(()), "only a connection shows that it is ours");
    assert_eq!(guard.judge_connected(addr("10.0.0.5:55555"), own), Err(Refusal::Own(own)));
    assert_eq!(guard.judge_connected(addr("10.0.0.4:55555"), own), Ok(()));
}

#[test]
fn one_forbidden_address_refuses_the_whole_name() {
    let (public, private) = (addr("8.8.8.8:443"), addr("10.0.0.1:443"));
    for addrs in [[public, private], [private, public]] {
        assert!(Guard::default().judge_all(true, &addrs).is_err());
    }
    assert_eq!(Guard::default().judge_all(true, &[public]), Ok(()));
}

#[test]
fn a_refusal_names_the_setting_that_would_allow_the_call() {
    let message = |text: &str| Guard::default().judge(false, addr(text)).unwrap_err().to_string();
    assert_eq!(
        message("10.0.0.5:8443"),
        "10.0.0.5:8443 is a private network; egress.allow = \"10.0.0.5/32:8443\" would allow it"
    );
    assert!(message("[fd00::1]:80").contains("egress.allow = \"[fd00::1/128]:80\""));
    assert!(message("8.8.8.8:80").contains("egress.allow_http = true"));
}

proptest! {
    #[test]
    fn an_ipv4_address_is_judged_alike_in_every_spelling(bits in any::<u32>()) {
        let ip = Ipv4Addr::from(bits);
        let [a, b, c, d] = ip.octets();
        let plain = verdict(&format!("https://{ip}/"));
        for other in [
            format!("https://{bits}/"),
            format!("https://{bits:#x}/"),
            format!("https://0{bits:o}/"),
            format!("https://{a:#x}.{b}.{}/", u32::from(c) << 8 | u32::from(d)),
            format!("https://{a}.{b:#x}.0{c:o}.{d}./"),
            format!("https://[{}]/", ip.to_ipv6_mapped()),
        ] {
            prop_assert_eq!(&verdict(&other), &plain, "{}", other);
        }
    }

    #[test]
    fn only_global_unicast_addresses_are_ever_public(bits in any::<u128>()) {
        let ip = Ipv6Addr::from(bits);
        if verdict(&format!("https://[{ip}]/")) == "public" && ip.to_ipv4_mapped().is_none() {
            prop_assert_eq!(bits >> 125, 1, "{}", ip);
        }
    }

    #[test]
    fn whatever_the_host_its_judgement_never_panics(host in "\\PC{0,40}") {
        let _ = verdict(&format!("https://{host}/"));
    }

    #[test]
    fn an_address_that_is_refused_is_called_once_its_refusal_is_heeded(bits in any::<u32>(), port in 1u16..) {
        let target = SocketAddr::new(Ipv4Addr::from(bits).into(), port);
        if let Err(refusal @ Refusal::Address { .. }) = Guard::default().judge(true, target) {
            let text = refusal.to_string();
            let setting = text.split('"').nth(1).unwrap();
            prop_assert_eq!(guard(setting).judge(true, target), Ok(()), "{}", text);
        }
    }
}

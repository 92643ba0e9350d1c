//! `/metrics` and its page: every metric is documented, every documented one is there.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Data, http, say};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Name and meaning of each metric of the page.
fn documented() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `switchhook_"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        let cells: Vec<_> = rest.split('|').map(str::trim).collect();
        (format!("switchhook_{name}"), cells[cells.len() - 2].to_owned())
    })
    .collect()
}

/// Every metric's name that stands in the code of the product.
fn coded() -> Vec<String> {
    let mut names = Vec::new();
    let rooms = ["shared", "ingress", "dispatcher", "deliverer", "switchhook"];
    let mut folders: Vec<_> = rooms.iter().map(|room| root().join(room).join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let quoted = text.split('"').skip(1).step_by(2);
                let metrics = quoted.filter(|quoted| {
                    quoted.starts_with("switchhook_")
                        && quoted.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                });
                names.extend(metrics.map(str::to_owned));
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

#[test]
fn every_metric_in_the_code_is_on_the_page_and_the_other_way_round() {
    let (page, code) = (documented(), coded());
    let missing: Vec<_> = code.iter().filter(|name| !page.contains_key(*name)).collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:?}");
    let gone: Vec<_> = page.keys().filter(|name| !code.contains(name)).collect();
    assert!(gone.is_empty(), "only in docs/metrics.md: {gone:?}");
    assert!(code.len() > 20, "the code is not being read: {code:?}");
}

#[tokio::test]
async fn what_is_served_is_clean_and_says_what_the_page_says() {
    let data = Data::new();
    let up = data.up(&[]).await;
    let channels = data.demo()["bots"][0]["channels"].clone();
    let token = data.run(&["token", "--app", "demo"]);
    for channel in channels.as_array().unwrap() {
        let url = channel["url"].as_str().unwrap();
        assert_eq!(say(url, token.trim(), "u", "hello").await.status, 200);
        assert_eq!(say(url, "no token", "u", "hello").await.status, 401);
    }
    let served = http("GET", &format!("{}/metrics", up.admin), &[], "").await.body;
    let page = documented();
    let mut helps = 0;
    for line in served.lines().filter_map(|line| line.strip_prefix("# HELP switchhook_")) {
        let (name, help) = line.split_once(' ').unwrap();
        let name = format!("switchhook_{name}");
        assert_eq!(page.get(&name).map(String::as_str), Some(help), "{name}");
        helps += 1;
    }
    assert!(helps > 15, "{served}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(served.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}", said.concat());
    assert_eq!(said.concat(), "", "promtool has something to say");
}

#[tokio::test]
async fn no_user_or_token_is_in_the_metrics_or_the_log() {
    let data = Data::new().set("log.level", "debug");
    let up = data.up(&[]).await;
    let url = data.demo()["bots"][0]["channels"][0]["url"].as_str().unwrap().to_owned();
    let token = data.run(&["token", "--app", "demo"]);
    let answer = say(&url, token.trim(), "jane.doe@example.com", "my secret words").await;
    assert_eq!(answer.status, 200);
    let served = http("GET", &format!("{}/metrics", up.admin), &[], "").await.body;
    let secret = data.demo()["apps"][0]["client_secret"].as_str().unwrap().to_owned();
    for word in ["jane.doe", "my secret words", token.trim(), &secret] {
        assert!(!served.contains(word), "a metric tells {word}");
        assert!(!up.log().contains(word), "the log tells {word}");
    }
}

/// The sum of what is served of a metric, over its series with all of these labels.
fn sum(served: &str, name: &str, labels: &[&str]) -> u64 {
    let series = served.lines().filter_map(|line| line.rsplit_once(' '));
    let of = series.filter(|(series, _)| series.split('{').next() == Some(name));
    let with = of.filter(|(series, _)| labels.iter().all(|label| series.contains(label)));
    with.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn single_channels_have_figures_up_to_the_maximum_and_the_sums_are_whole() {
    let data = Data::new().set("metrics.channels_max", "1");
    let up = data.up(&[]).await;
    let channels = data.demo()["bots"][0]["channels"].clone();
    let [own, other] = [0, 1].map(|index| channels[index]["url"].as_str().unwrap().to_owned());
    assert_eq!([&channels[0]["mode"], &channels[1]["mode"]], ["sync", "async"]);
    let token = data.run(&["token", "--app", "demo"]);
    for (url, messages) in [(&own, 1), (&other, 3)] {
        for _ in 0..messages {
            assert_eq!(say(url, token.trim(), "u", "hello").await.status, 200);
        }
        let form = [format!("Authorization: bearer {}", token.trim())];
        assert_eq!(http("POST", url, &form, "text=hello").await.status, 415);
    }
    let metrics = format!("{}/metrics", up.admin);
    // What is counted last of a turn and of a delivery: whatever is looked at after it is whole.
    testkit::until("all to be counted", || async {
        let served = http("GET", &metrics, &[], "").await.body;
        let count = |name: &str| sum(&served, &format!("switchhook_channel_{name}_count"), &[]);
        ((count("turn_seconds"), count("delivery_seconds")) == (4, 3)).then_some(())
    })
    .await;
    let served = http("GET", &metrics, &[], "").await.body;
    for (family, room) in [
        ("switchhook_channel_turns_total", "switchhook_dispatcher_turns_total"),
        ("switchhook_channel_attempts_total", "switchhook_deliverer_attempts_total"),
        ("switchhook_channel_deliveries_total", "switchhook_deliverer_settled_total"),
        (
            "switchhook_channel_delivery_seconds_count",
            "switchhook_deliverer_delivery_seconds_count",
        ),
    ] {
        assert_eq!(sum(&served, family, &[]), sum(&served, room, &[]), "{family}");
    }
    for (family, label, by_channel) in [
        ("switchhook_channel_turns_total", r#"outcome="answered""#, [1, 3]),
        ("switchhook_channel_requests_total", r#"result="accepted""#, [1, 3]),
        ("switchhook_channel_requests_total", r#"result="refused""#, [1, 1]),
        ("switchhook_channel_deliveries_total", r#"outcome="delivered""#, [0, 3]),
    ] {
        let named = format!("channel={}", channels[0]["webhook_id"]);
        let counted = [named.as_str(), r#"channel="other""#]
            .map(|channel| sum(&served, family, &[label, channel]));
        assert_eq!(
            (counted, sum(&served, family, &[label])),
            (by_channel, counted.iter().sum()),
            "{family}"
        );
    }
    let names = format!("{{channel={},name=\"echo/sync\"}} 1", channels[0]["webhook_id"]);
    assert!(served.contains(&format!("switchhook_channel_info{names}\n")), "{served}");
}

#[tokio::test]
async fn the_probes_tell_alive_and_ready() {
    let data = Data::new();
    let up = data.up(&["--no-demo"]).await;
    let live = http("GET", &format!("{}/livez", up.admin), &[], "").await;
    assert_eq!((live.status, live.body.as_str()), (200, "alive\n"));
    let ready = http("GET", &format!("{}/readyz", up.admin), &[], "").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
}

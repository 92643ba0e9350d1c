//! Checks the settings and the engines, and says in plain words what was found. It changes nothing:
//! no schema, no queue, no file.

mod embedded;
mod served;

use std::net::SocketAddr;

use serde::Serialize;
use shared::config::{self, Settings};
use shared::entropy::Entropy;
use shared::keys::{self, KeysError, WhenMissing};
use shared::process::{self, Failure};
use shared::vault::Vault;

use crate::cli::{Doctor, Engines};
use crate::output;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Good,
    /// Works, but somebody should know.
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    subject: String,
    text: String,
    #[serde(skip)]
    code: u8,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, level: Level, code: u8, subject: &str, text: impl Into<String>) {
        let (subject, text) = (subject.to_owned(), text.into());
        self.0.push(Finding { level, subject, text, code });
    }
    fn good(&mut self, subject: &str, text: impl Into<String>) {
        self.add(Level::Good, 0, subject, text);
    }
    fn note(&mut self, subject: &str, text: impl Into<String>) {
        self.add(Level::Note, 0, subject, text);
    }
    fn bad(&mut self, subject: &str, failure: Failure) {
        self.add(Level::Bad, failure.code, subject, failure.message);
    }
}

pub(crate) fn run(engines: &Engines, args: &Doctor) -> Result<(), Failure> {
    let mut findings = Findings::default();
    match config::load(engines.config.as_deref(), &super::all_flags(engines, &[])) {
        Ok(settings) => process::block_on(async {
            examine(&settings, &mut findings).await;
            Ok(())
        })?,
        Err(mistakes) => {
            for mistake in mistakes.0 {
                findings.bad("settings", Failure::usage(mistake));
            }
        }
    }
    report(&findings.0, args.json)
}

fn report(findings: &[Finding], json: bool) -> Result<(), Failure> {
    if json {
        output::json(&findings)?;
    } else {
        for Finding { level, subject, text, .. } in findings {
            let mark = match level {
                Level::Good => "ok  ",
                Level::Note => "note",
                Level::Bad => "BAD ",
            };
            output::line(&format!("{mark}  {subject}: {}", text.replace('\n', "\n      ")))?;
        }
    }
    let bad: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Bad).collect();
    match bad.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{} of {} checks failed", bad.len(), findings.len());
            Err(Failure { code: first.code, message })
        }
    }
}

async fn examine(settings: &Settings, findings: &mut Findings) {
    findings.good("settings", "they are complete and agree with each other");
    advise(settings, findings);
    let embedded = settings.engines.postgres.is_none();
    let running = embedded && embedded::running(settings, findings).await;
    let vault = look_at_keys(settings, embedded, findings);
    port("ingress.listen", settings.ingress.listen, running, findings);
    port("admin.listen", settings.admin.listen, running, findings);
    if embedded {
        if !running {
            embedded::folder(settings, findings);
        }
    } else {
        served::broker(settings, findings).await;
        if let Some(vault) = vault {
            served::database(settings, vault, findings).await;
        }
    }
}

/// Settings that are right and still worth a word.
fn advise(settings: &Settings, findings: &mut Findings) {
    for allowed in &settings.egress.allow {
        if allowed.network.prefix_len() == 0 {
            findings.note(
                "egress.allow",
                format!(
                    "{} lets whoever registers a URL reach every private network",
                    allowed.network
                ),
            );
        }
    }
    if settings.egress.allow_http {
        findings.note("egress.allow_http", "answers may cross the internet unencrypted");
    }
    if !settings.admin.listen.ip().is_loopback() {
        findings.note("admin.listen", "metrics are for the operator's network, not for the world");
    }
    if let Some(url) = settings.ingress.public_url.as_ref().filter(|url| url.scheme() == "http") {
        findings.note("ingress.public_url", format!("{url} is not https: tokens travel open"));
    }
    let day = std::time::Duration::from_hours(24);
    if settings.retention.turns < day * 2 {
        findings.note(
            "retention.turns",
            "less than two days: a turn that comes again later than that would run again",
        );
    }
}

/// The installation's keys; the vault's, when it is there.
fn look_at_keys(settings: &Settings, embedded: bool, findings: &mut Findings) -> Option<Vault> {
    match keys::load(settings, &Entropy::Real, WhenMissing::Refuse) {
        Ok(ring) => {
            findings.good("keys", "the envelope keys and the vault key are there");
            Some(ring.vault)
        }
        Err(KeysError::Missing { .. }) if embedded => {
            findings.note("keys", "there are none yet; the first `switchhook up` makes them");
            None
        }
        Err(error) => {
            findings.bad("keys", error.into());
            None
        }
    }
}

fn port(key: &str, address: SocketAddr, running: bool, findings: &mut Findings) {
    match process::bind(key, address) {
        Ok(_) => findings.good(key, format!("{address} is free")),
        Err(_) if running => findings.good(key, format!("{address} is taken, by what runs here")),
        Err(failure) => findings.note(key, failure.message),
    }
}

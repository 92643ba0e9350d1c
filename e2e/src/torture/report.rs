//! The report: one page that asks nothing of any network.

mod timeline;

use std::fmt::Write as _;

use anyhow::Result;

use super::{Outcome, judge};
use crate::check::Kind;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;\
color:#1f2933}table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;\
border-bottom:1px solid #e4e7eb;text-align:left}td.n{text-align:right}\
.VALID{color:#057a55}.INVALID{color:#8d6c2f}.BROKEN{color:#c52707}svg{width:100%;height:auto}";

/// Writes `report.html` into the run's folder.
pub fn write(outcome: &Outcome) -> Result<()> {
    Ok(std::fs::write(outcome.torture.out.join("report.html"), page(outcome, &machine()))?)
}

fn page(outcome: &Outcome, machine: &str) -> String {
    let word = outcome.verdict.word();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <title>Torture, seed {seed}: {word}</title><style>{STYLE}</style>\n\
         <h1 class=\"{word}\">{word}</h1>\n<p>{line}</p>\n\
         <p>Seed {seed}, engines {engines:?}, {minutes} minutes, {machine}.</p>\n\
         <h2>Timeline</h2>\n{svg}\n",
        seed = outcome.torture.seed,
        line = escape(outcome.line().lines().next().unwrap_or_default()),
        engines = outcome.torture.engines,
        minutes = outcome.torture.minutes,
        machine = escape(machine),
        svg = timeline::draw(&outcome.samples, &outcome.windows),
    );
    checks(&mut page, outcome);
    faults(&mut page, outcome);
    page.push_str("</html>\n");
    page
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Lost => "accepted, and in no list",
        Kind::Unexpected => "in a list, and never sent or refused",
        Kind::DuplicatedEffect => "twice in a list",
        Kind::Reordered => "a list that is not in the order of the sends",
        Kind::Forked => "two lists of one conversation, neither a prefix of the other",
        Kind::ReplyLost => "an effect whose answer arrived nowhere",
        Kind::ReplyChanged => "the same webhook-id with other bytes",
        Kind::ReplyDuplicated => "one answer under two webhook-ids",
        Kind::DeliveredOutOfOrder => "deliveries not in the order of the turns",
        Kind::Crossed => "something of another tenant or conversation",
        Kind::Stalled => "too long until served again, or until a process ended",
        Kind::Vacuous => "rules by which the run shows nothing",
    }
}

fn checks(page: &mut String, outcome: &Outcome) {
    page.push_str("<h2>Checks</h2>\n<table><tr><th>check<th>meaning<th>found<th>bound</tr>\n");
    for kind in Kind::ALL {
        let (name, found) = (kind.name(), outcome.verdict.count(kind));
        let meaning = meaning(kind);
        let _ = writeln!(
            page,
            "<tr><td>{name}<td>{meaning}<td class=\"n\">{found}<td class=\"n\">0</tr>"
        );
    }
    for (name, meaning, found) in [
        ("recovered", "of unknown fate, and took effect", outcome.verdict.recovered),
        ("repeated POSTs", "beyond a delivery's first", outcome.verdict.repeated_posts),
        ("after a 2xx", "of them, after one was answered", outcome.verdict.duplicate_deliveries),
    ] {
        let _ = writeln!(
            page,
            "<tr><td>{name}<td>{meaning}<td class=\"n\">{found}<td class=\"n\">reported</tr>"
        );
    }
    page.push_str("</table>\n");
    if !outcome.verdict.faults.is_empty() {
        page.push_str("<ul>\n");
        for fault in outcome.verdict.faults.iter().take(100) {
            let (kind, what) = (fault.kind.name(), escape(&fault.what));
            let _ = writeln!(page, "<li>{kind}, conversation {}: {what}</li>", fault.conversation);
        }
        page.push_str("</ul>\n");
    }
}

fn faults(page: &mut String, outcome: &Outcome) {
    page.push_str(
        "<h2>Faults</h2>\n<table><tr><th>fault<th>whom<th>at s<th>lasted s<th>longest gap s\
         <th>served again after ms<th>turns taken over<th>stale writes refused<th>exit s</tr>\n",
    );
    for window in &outcome.windows {
        let gap = judge::gap(window, &outcome.samples).as_secs_f64();
        let served = judge::served(window, &outcome.samples);
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"n\">{:.1}<td class=\"n\">{:.1}<td class=\"n\">{gap:.1}\
             <td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}</tr>",
            window.fault.name(),
            escape(&window.target),
            window.began.as_secs_f64(),
            (window.ended.saturating_sub(window.began)).as_secs_f64(),
            served.map(|wait| wait.as_millis().to_string()).unwrap_or_default(),
            window.taken_over.map(|turns| turns.to_string()).unwrap_or_default(),
            window.refused.map(|refused| refused.to_string()).unwrap_or_default(),
            window.exit.map(|exit| format!("{:.1}", exit.as_secs_f64())).unwrap_or_default(),
        );
    }
    page.push_str("</table>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What the run had to itself, as the kernel tells it.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let cpu = cpu.map_or("processor unknown", |(_, name)| name);
    format!("{cores} cores ({cpu}), {} memory, Linux {}", memory.trim(), kernel.trim())
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;

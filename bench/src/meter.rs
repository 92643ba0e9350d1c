//! Latency histograms, and CPU and memory of processes as `/proc` tells them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

/// Linux tells process times in these ticks a second, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Latencies from 1 µs to 10 minutes, three digits.
pub(crate) struct Latencies(Histogram<u64>);

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        let bounds = Histogram::new_with_bounds(1, 600_000_000, 3);
        Self(bounds.expect("invariant: the bounds are constant and valid"))
    }
}

impl Latencies {
    pub(crate) fn add(&mut self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("invariant: all histograms have the same bounds");
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn at(&self, quantile: f64) -> f64 {
        millis(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            count: self.len(),
            p50_ms: self.at(0.5),
            p90_ms: self.at(0.9),
            p99_ms: self.at(0.99),
            max_ms: millis(self.0.max()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes fit a double")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// What a process is called in the report, and its pid.
pub(crate) type Watched = (String, u32);

/// CPU of processes, their children included, from `start` to `stop`.
pub(crate) struct Meter {
    before: Vec<(Watched, f64)>,
    at: Instant,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Usage {
    pub seconds: f64,
    pub cpu_seconds: BTreeMap<String, f64>,
    pub memory_mib: BTreeMap<String, f64>,
}

impl Meter {
    pub(crate) fn start(watched: &[Watched]) -> Self {
        let before = watched.iter().map(|one| (one.clone(), cpu_of_tree(one.1))).collect();
        Self { before, at: Instant::now() }
    }

    pub(crate) fn stop(self) -> Usage {
        let seconds = self.at.elapsed().as_secs_f64();
        let mut usage = Usage { seconds, ..Usage::default() };
        for ((name, pid), before) in self.before {
            *usage.cpu_seconds.entry(name.clone()).or_default() += cpu_of_tree(pid) - before;
            *usage.memory_mib.entry(name).or_default() += memory_of_tree(pid);
        }
        usage
    }
}

fn children(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let path = format!("/proc/{0}/task/{0}/children", found[at]);
        let text = fs::read_to_string(path).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    found
}

fn cpu_of_tree(pid: u32) -> f64 {
    children(pid).into_iter().map(cpu).sum()
}

/// User and system time of a process, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces: fields are counted from behind it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Shared pages are shared out (PSS), so that a database's processes are not counted ten times.
fn memory_of_tree(pid: u32) -> f64 {
    let pss = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("").to_owned();
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0)
    };
    children(pid).into_iter().map(pss).sum::<f64>() / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_added() {
        let mut latencies = Latencies::default();
        for ms in 1..=100 {
            latencies.add(Duration::from_millis(ms));
        }
        let summary = latencies.summary();
        assert_eq!(summary.count, 100);
        assert!((summary.p50_ms - 50.0).abs() < 0.5, "{summary:?}");
        assert!((summary.p99_ms - 99.0).abs() < 0.5, "{summary:?}");
    }

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let pid = std::process::id();
        let before = cpu(pid);
        let started = Instant::now();
        let mut x = 1u64;
        while started.elapsed() < Duration::from_millis(300) {
            x = std::hint::black_box(x.wrapping_mul(31).wrapping_add(7));
        }
        assert!(cpu(pid) - before > 0.02);
        assert!(memory_of_tree(pid) > 0.5);
    }
}

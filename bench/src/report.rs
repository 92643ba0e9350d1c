//! What a run found: lines on standard output, `results.json`, and `latency.svg`.

mod svg;

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::ensure;
use serde::Serialize;

use crate::args::{Compare, Engines, Mode};
use crate::closed::Seen;
use crate::meter::{Summary, Usage};

/// Quantiles that the plot is drawn through.
const QUANTILES: [f64; 12] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Subject {
    Bare,
    BareCommit,
    Product,
}

impl Subject {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareCommit => "bare + commit",
            Self::Product => "switchhook",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    pub rate: f64,
    pub latency: Summary,
    pub quantiles_ms: Vec<(f64, f64)>,
    /// CPU microseconds a turn, by process.
    pub cpu_us: BTreeMap<String, f64>,
    pub memory_mib: BTreeMap<String, f64>,
}

impl Measurement {
    #[expect(clippy::cast_precision_loss, reason = "turns of a run fit a double")]
    pub(crate) fn new(seen: &Seen, usage: Usage) -> Self {
        let turns = seen.latencies.len().max(1) as f64;
        let cpu = |(name, seconds): (String, f64)| (name, seconds * 1e6 / turns);
        Self {
            rate: seen.rate(),
            latency: seen.latencies.summary(),
            quantiles_ms: QUANTILES.map(|q| (q, seen.latencies.at(q))).to_vec(),
            cpu_us: usage.cpu_seconds.into_iter().map(cpu).collect(),
            memory_mib: usage.memory_mib,
        }
    }
}

#[derive(Serialize)]
struct Entry {
    mode: &'static str,
    round: usize,
    subject: Subject,
    measurement: Measurement,
}

/// The product as a share of a yardstick, the median over the rounds.
#[derive(Clone, Debug, Serialize)]
struct Ratio {
    mode: &'static str,
    to: Subject,
    rate: f64,
    rate_min: f64,
    rate_max: f64,
    p50: f64,
}

/// Everything that a run found.
#[derive(Serialize)]
pub(crate) struct Report {
    engines: &'static str,
    concurrency: usize,
    rate: Option<u32>,
    cores: usize,
    durability: Vec<(String, String)>,
    entries: Vec<Entry>,
    ratios: Vec<Ratio>,
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

impl Report {
    pub(crate) fn new(args: &Compare, durability: Vec<(String, String)>) -> Self {
        Self {
            engines: if args.engines == Engines::Embedded {
                "embedded"
            } else {
                "rabbitmq + postgresql"
            },
            concurrency: args.concurrency,
            rate: args.rate,
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            durability,
            entries: Vec::new(),
            ratios: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        mode: Mode,
        round: usize,
        subject: Subject,
        measurement: Measurement,
    ) -> anyhow::Result<()> {
        let parts = |of: &BTreeMap<String, f64>| {
            of.iter().map(|(name, n)| format!("{name} {n:.0}")).collect::<Vec<_>>().join(", ")
        };
        say(&format!(
            "{:5} round {round} {:13} {:7.0}/s  p50 {:6.2} ms  p99 {:7.2} ms  cpu µs/turn: {}  MiB: {}",
            mode.as_str(),
            subject.name(),
            measurement.rate,
            measurement.latency.p50_ms,
            measurement.latency.p99_ms,
            parts(&measurement.cpu_us),
            parts(&measurement.memory_mib),
        ))?;
        self.entries.push(Entry { mode: mode.as_str(), round, subject, measurement });
        Ok(())
    }

    pub(crate) fn finish(mut self, args: &Compare) -> anyhow::Result<()> {
        for mode in ["sync", "async"] {
            for to in [Subject::Bare, Subject::BareCommit] {
                self.ratios.extend(self.ratio(mode, to));
            }
        }
        say(&format!("durability: {:?}", self.durability))?;
        for ratio in &self.ratios {
            say(&format!(
                "{:5} switchhook / {:13} throughput {:.2} ({:.2} to {:.2}), p50 {:.2}",
                ratio.mode,
                ratio.to.name(),
                ratio.rate,
                ratio.rate_min,
                ratio.rate_max,
                ratio.p50
            ))?;
        }
        if let Some(folder) = &args.out {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("results.json"), serde_json::to_vec_pretty(&self)?)?;
            std::fs::write(folder.join("latency.svg"), svg::draw(&self.lines()))?;
        }
        self.judge(args.gate)
    }

    fn judge(&self, gate: Option<f64>) -> anyhow::Result<()> {
        let Some(gate) = gate else { return Ok(()) };
        for ratio in self.ratios.iter().filter(|ratio| ratio.to == Subject::BareCommit) {
            let mode = ratio.mode;
            ensure!(ratio.rate >= gate, "{mode}: throughput {:.2} is below {gate}", ratio.rate);
            ensure!(ratio.p50 <= 1.5, "{mode}: median latency {:.2} is above 1.5", ratio.p50);
        }
        Ok(())
    }

    fn of(&self, mode: &str, subject: Subject) -> Vec<&Measurement> {
        let matching = self.entries.iter().filter(|e| e.mode == mode && e.subject == subject);
        matching.map(|entry| &entry.measurement).collect()
    }

    fn ratio(&self, mode: &'static str, to: Subject) -> Option<Ratio> {
        let pairs: Vec<_> =
            self.of(mode, Subject::Product).into_iter().zip(self.of(mode, to)).collect();
        let rates: Vec<_> = pairs.iter().map(|(ours, theirs)| ours.rate / theirs.rate).collect();
        let p50s = pairs.iter().map(|(ours, theirs)| ours.latency.p50_ms / theirs.latency.p50_ms);
        let rates = sorted(rates);
        Some(Ratio {
            mode,
            to,
            rate: median(&rates)?,
            rate_min: *rates.first()?,
            rate_max: *rates.last()?,
            p50: median(&sorted(p50s.collect()))?,
        })
    }

    /// A line for each mode and subject: latency by quantile, the median round by rate.
    fn lines(&self) -> Vec<svg::Line> {
        let mut lines = Vec::new();
        for mode in ["sync", "async"] {
            for subject in [Subject::Bare, Subject::BareCommit, Subject::Product] {
                let mut rounds = self.of(mode, subject);
                rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
                if let Some(middle) = rounds.get(rounds.len() / 2) {
                    let name = format!("{mode} {}", subject.name());
                    lines.push(svg::Line { name, points: middle.quantiles_ms.clone() });
                }
            }
        }
        lines
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&sorted(vec![4.0, 1.0, 2.0])), Some(2.0));
        assert_eq!(median(&sorted(vec![4.0, 1.0, 2.0, 3.0])), Some(2.5));
    }
}

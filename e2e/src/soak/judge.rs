//! What a run must show.

use super::{Held, Outcome, Sample};

/// Fewer have no quarters.
const SAMPLES_MIN: usize = 8;
/// What the last quarter may have more than the second: caches fill to their bounds in the first.
const MEMORY_MAX: f64 = 1.1;
const MEMORY_MORE_MIB: f64 = 4.0;
const HANDLES_MORE: f64 = 8.0;
const QUEUED_MORE: f64 = 100.0;

const MEMORY: &str = "memory, MiB";
const HANDLES: &str = "file handles";
const SERIES: &str = "metric series";
const QUEUED: &str = "messages in the broker's queues";

/// A name, and a figure's median in each quarter of the samples.
pub(super) type Quarters = (String, [f64; 4]);

/// The figures of every process that was there all the time.
pub(super) fn quarters(samples: &[Sample]) -> Vec<Quarters> {
    let mut all = Vec::new();
    for name in samples.first().iter().flat_map(|sample| sample.processes.keys()) {
        let mut add = |what: &str, of: fn(&Held) -> f64| {
            let figures = samples.iter().filter_map(|sample| sample.processes.get(name)).map(of);
            all.push((format!("{name} {what}"), medians(&figures.collect::<Vec<_>>())));
        };
        add(MEMORY, |held| held.memory_mib);
        add(HANDLES, |held| held.handles);
        add(SERIES, |held| held.series);
    }
    let queued: Vec<_> = samples.iter().map(|sample| sample.queued).collect();
    all.push((QUEUED.to_owned(), medians(&queued)));
    all
}

fn medians(figures: &[f64]) -> [f64; 4] {
    [0, 1, 2, 3].map(|quarter| {
        let mut part =
            figures[figures.len() * quarter / 4..figures.len() * (quarter + 1) / 4].to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or_default()
    })
}

/// In words, with figures.
pub(super) fn broken(outcome: &Outcome, conversations: u32) -> Vec<String> {
    let mut broken = Vec::new();
    if outcome.samples.len() < SAMPLES_MIN {
        broken.push(format!("{} samples tell nothing", outcome.samples.len()));
    }
    for (name, [_, second, _, last]) in quarters(&outcome.samples) {
        let most = match &name {
            name if name.ends_with(MEMORY) => second * MEMORY_MAX + MEMORY_MORE_MIB,
            name if name.ends_with(HANDLES) => second + HANDLES_MORE,
            name if name.ends_with(SERIES) => second,
            _ => second + QUEUED_MORE,
        };
        if last > most {
            broken.push(format!("{name}: {last:.1}, at most {most:.1}"));
        }
    }
    if outcome.conversations < conversations {
        broken.push(format!("only {} conversations", outcome.conversations));
    }
    for tally in [&outcome.synchronous, &outcome.asynchronous] {
        if tally.answered < tally.offered {
            broken.push(format!("{} of {} were answered", tally.answered, tally.offered));
        }
    }
    if outcome.lost > 0 {
        broken.push(format!("{} accepted messages were never delivered", outcome.lost));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::tally::Tally;

    /// Sixteen samples of one process, whose figures go by the number of the sample.
    fn outcome(held: impl Fn(f64) -> Held, queued: impl Fn(f64) -> f64) -> Outcome {
        let sample = |n: u8| {
            let n = f64::from(n);
            let processes = [("ingress-0".to_owned(), held(n))].into();
            Sample { at_s: n, processes, queued: queued(n) }
        };
        let tally = Tally { offered: 10, answered: 10, ..Tally::default() };
        Outcome {
            synchronous: tally.clone(),
            asynchronous: tally,
            conversations: 20,
            lost: 0,
            samples: (0..16).map(sample).collect(),
            broken: Vec::new(),
        }
    }

    fn flat(_: f64) -> Held {
        Held { memory_mib: 40.0, handles: 30.0, series: 500.0 }
    }

    #[test]
    fn what_stays_is_well_and_whatever_grows_is_found() {
        assert_eq!(broken(&outcome(flat, |_| 3.0), 20), [""; 0]);
        let warms = |n: f64| Held { memory_mib: n.min(4.0) * 10.0, ..flat(n) };
        assert_eq!(broken(&outcome(warms, |_| 3.0), 20), [""; 0]);
        let memory = |n: f64| Held { memory_mib: 40.0 + 2.0 * n, ..flat(n) };
        let handles = |n: f64| Held { handles: 30.0 + 2.0 * n, ..flat(n) };
        let series = |n: f64| Held { series: 500.0 + (n / 8.0).floor(), ..flat(n) };
        let found = |outcome: &Outcome| broken(outcome, 20).join("; ");
        assert_eq!(found(&outcome(memory, |_| 3.0)), "ingress-0 memory, MiB: 68.0, at most 61.2");
        assert_eq!(found(&outcome(handles, |_| 3.0)), "ingress-0 file handles: 58.0, at most 50.0");
        assert_eq!(
            found(&outcome(series, |_| 3.0)),
            "ingress-0 metric series: 501.0, at most 500.0"
        );
        let queued = found(&outcome(flat, |n| 100.0 * n));
        assert_eq!(queued, "messages in the broker's queues: 1400.0, at most 700.0");
    }

    #[test]
    fn a_run_that_lost_something_or_shows_nothing_is_not_well() {
        let good = outcome(flat, |_| 0.0);
        let found = |outcome: &Outcome| broken(outcome, 20).join("; ");
        assert_eq!(
            found(&Outcome { lost: 2, ..good.clone() }),
            "2 accepted messages were never delivered"
        );
        assert_eq!(found(&Outcome { conversations: 19, ..good.clone() }), "only 19 conversations");
        let samples = good.samples[..7].to_vec();
        assert_eq!(found(&Outcome { samples, ..good.clone() }), "7 samples tell nothing");
        let asynchronous = Tally { answered: 9, ..good.asynchronous.clone() };
        assert_eq!(found(&Outcome { asynchronous, ..good }), "9 of 10 were answered");
    }
}

//! What only the clock can tell: whether the product served again in time, and whether the run shows
//! anything at all. Pure.

use std::time::Duration;

use super::faults::{Fault, Window};
use crate::check::{self, Kind, Verdict};
use crate::journal::Samples;

/// What goes before a fault is over for the clients too: their tries run on.
const AFTERMATH: Duration = Duration::from_secs(10);
/// From the end of a fault to the next accepted message.
pub const SERVED_MAX: Duration = Duration::from_secs(30);
/// From SIGTERM to the end of a process.
pub const EXIT_MAX: Duration = Duration::from_secs(25);

/// Adds to a verdict what the clock tells.
pub fn judge(verdict: &mut Verdict, planned: &[Fault], windows: &[Window], samples: &Samples) {
    let mut found = |kind, what: String| {
        verdict.faults.push(check::Fault { kind, conversation: 0, what });
    };
    for window in windows {
        let name = window.fault.name();
        match served(window, samples) {
            None => found(Kind::Stalled, format!("nothing was accepted after {name}")),
            Some(wait) if wait > SERVED_MAX => {
                found(Kind::Stalled, format!("{name}: {} ms until served", wait.as_millis()));
            }
            Some(_) => {}
        }
        if let Some(exit) = window.exit.filter(|exit| *exit > EXIT_MAX) {
            found(Kind::Stalled, format!("{name}: a process took {} ms to end", exit.as_millis()));
        }
        if window.taken_over == Some(0) {
            found(Kind::Vacuous, format!("no turn of {} was taken over", window.target));
        }
    }
    for fault in planned {
        if !windows.iter().any(|window| window.fault == *fault) {
            found(Kind::Vacuous, format!("no {} happened", fault.name()));
        }
    }
    let calm: Vec<_> = samples
        .tries
        .iter()
        .filter(|sample| !windows.iter().any(|window| touches(window, sample.began, sample.ended)))
        .collect();
    let accepted = calm.iter().filter(|sample| sample.accepted).count();
    if calm.is_empty() || accepted * 10 < calm.len() * 7 {
        found(Kind::Vacuous, format!("{accepted} of {} tries outside faults", calm.len()));
    }
}

fn touches(window: &Window, began: Duration, ended: Duration) -> bool {
    began < window.ended + AFTERMATH && ended > window.began
}

/// From the end of a fault to the first message accepted after it.
pub fn served(window: &Window, samples: &Samples) -> Option<Duration> {
    let after = samples.tries.iter().filter(|sample| sample.accepted);
    after.filter_map(|sample| sample.ended.checked_sub(window.ended)).min()
}

/// The longest time without an accepted message, from the fault to its aftermath.
pub fn gap(window: &Window, samples: &Samples) -> Duration {
    let (from, to) = (window.began, window.ended + AFTERMATH);
    let accepted = samples.tries.iter().filter(|sample| sample.accepted);
    let mut times: Vec<_> = accepted
        .map(|sample| sample.ended)
        .filter(|ended| (from..to).contains(ended))
        .chain([from, to.min(last(samples))])
        .collect();
    times.sort_unstable();
    let gaps = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b.saturating_sub(*a));
    gaps.max().unwrap_or_default()
}

fn last(samples: &Samples) -> Duration {
    samples.tries.iter().map(|sample| sample.ended).max().unwrap_or_default()
}

/// The longest time of all faults until something was accepted again.
pub fn slowest(windows: &[Window], samples: &Samples) -> Duration {
    windows.iter().filter_map(|window| served(window, samples)).max().unwrap_or_default()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

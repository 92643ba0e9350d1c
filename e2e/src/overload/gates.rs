//! What a run must show.

use super::{Load, Mode, Outcome};

/// Goodput beyond the capacity, as a share of the capacity.
const GOODPUT_MIN: f64 = 0.9;
/// p99 of what is admitted, in multiples of the p99 at half load.
const P99_MAX: f64 = 2.0;
const REFUSAL_P99_MAX_MS: f64 = 50.0;
/// Memory, in multiples of its peak up to the capacity.
const MEMORY_MAX: f64 = 1.5;
/// Asynchronous work that waits: what is accepted is delivered so soon after a flood.
const DRAINED_MAX_S: f64 = 30.0;

/// In words, with figures.
pub(super) fn broken(outcome: &Outcome) -> Vec<String> {
    let mut broken = Vec::new();
    for mode in [Mode::Sync, Mode::Async] {
        let loads: Vec<_> = outcome.loads.iter().filter(|load| load.mode == mode).collect();
        let half = loads.iter().find(|load| load.times < 1.0);
        let normal = loads.iter().filter(|load| load.times <= 1.0).map(|load| load.memory_mib);
        let memory = normal.fold(0.0, f64::max);
        for load in &loads {
            let mut say = |what: String| {
                broken.push(format!("{} at {} times: {what}", mode.name(), load.times));
            };
            of_load(load, outcome.capacity, &mut say);
            let p99_max = half.map_or(0.0, |half| half.tally.p99_ms) * P99_MAX;
            if mode == Mode::Sync && load.tally.p99_ms > p99_max {
                say(format!("p99 {:.1} ms, at most {p99_max:.1}", load.tally.p99_ms));
            }
            if load.memory_mib > memory * MEMORY_MAX {
                say(format!("{:.1} MiB, {memory:.1} up to the capacity", load.memory_mib));
            }
        }
    }
    if outcome.neighbour.refused + outcome.neighbour.failed > 0 {
        broken.push(format!("a quiet neighbour is refused: {:?}", outcome.neighbour));
    }
    if outcome.lost > 0 {
        broken.push(format!("{} accepted messages are lost", outcome.lost));
    }
    broken
}

fn of_load(load: &Load, capacity: f64, say: &mut impl FnMut(String)) {
    let tally = &load.tally;
    if load.times > 1.0 && tally.goodput < capacity * GOODPUT_MIN {
        say(format!("goodput {:.1} of a capacity of {capacity:.1}", tally.goodput));
    }
    if load.mode == Mode::Sync && load.times > 1.0 && tally.refused == 0 {
        say("nothing is refused: it was no overload".to_owned());
    }
    if tally.refusal_p99_ms > REFUSAL_P99_MAX_MS {
        say(format!("refusals take {:.1} ms", tally.refusal_p99_ms));
    }
    if tally.without_retry_after > 0 {
        say(format!("{} refusals do not say when to come back", tally.without_retry_after));
    }
    if tally.failed > 0 {
        say(format!("{} requests had no answer", tally.failed));
    }
    if load.drained_s > DRAINED_MAX_S {
        say(format!("the last answer was delivered {:.1} s later", load.drained_s));
    }
}

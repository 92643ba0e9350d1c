//! What is to be shown, made of two looks at each process. PURE.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::broker::rabbitmq::Depth;

use super::exposition::Sample;

/// One look at a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) samples: Vec<Sample>,
    /// Seconds since the first look, by this command's clock.
    pub(super) at: f64,
}

/// One frame.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) processes: Vec<Process>,
    /// Partitions that hold jobs or have lanes, and who works on them.
    pub(super) partitions: Vec<Worked>,
    /// Jobs that wait on RabbitMQ; empty with the embedded engines.
    pub(super) queues: Vec<Depth>,
    /// Deliveries that are due and in nobody's hands, and for how many seconds the oldest has been.
    pub(super) due: Option<(f64, f64)>,
}

/// A process.
#[derive(Debug, Serialize)]
pub(super) struct Process {
    pub(super) url: String,
    /// Why nothing is known of it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    pub(super) rooms: Vec<&'static str>,
    pub(super) version: String,
    pub(super) broker_up: bool,
    /// Numbers as they are now.
    pub(super) gauges: BTreeMap<&'static str, f64>,
    /// Events a second since the look before, by outcome.
    pub(super) rates: BTreeMap<String, f64>,
}

/// A partition of a queue, and the lanes that processes have on it.
#[derive(Debug, Serialize)]
pub(super) struct Worked {
    pub(super) queue: String,
    pub(super) partition: String,
    pub(super) lanes: f64,
    /// Places in the list of processes, from 1. More than one only while it is handed over.
    pub(super) owners: Vec<usize>,
}

/// What stands for a room.
const ROOMS: [(&str, &str); 3] = [
    ("ingress", "switchhook_ingress_in_flight"),
    ("dispatcher", "switchhook_dispatcher_permits_in_use"),
    ("deliverer", "switchhook_deliverer_in_flight"),
];
const GAUGES: [(&str, &str); 9] = [
    ("connections", "switchhook_ingress_connections"),
    ("in flight", "switchhook_ingress_in_flight"),
    ("waiters", "switchhook_ingress_waiters"),
    ("bots running", "switchhook_dispatcher_permits_in_use"),
    ("bots saturated", "switchhook_dispatcher_saturated_bots"),
    ("attempts running", "switchhook_deliverer_in_flight"),
    ("waiting for endpoints", "switchhook_deliverer_waiting"),
    ("breakers open", "switchhook_deliverer_breakers_open"),
    ("registry age s", "switchhook_registry_age_seconds"),
];
/// Counters, the word before each label's value, and the label.
const RATES: [(&str, &str, &str); 4] = [
    ("accepted", "switchhook_ingress_publishes_total", "outcome"),
    ("refused", "switchhook_ingress_refusals_total", "reason"),
    ("turn", "switchhook_dispatcher_turns_total", "outcome"),
    ("attempt", "switchhook_deliverer_attempts_total", "result"),
];

impl Process {
    pub(super) fn of(url: &str, before: &Look, now: &Look) -> Self {
        let value = |name: &str| now.samples.iter().find(|sample| sample.name == name);
        let has = |(_, metric): &&(&str, &str)| value(metric).is_some();
        let gauges = GAUGES.iter().filter_map(|(word, metric)| Some((*word, value(metric)?.value)));
        let build = value("switchhook_build_info");
        Self {
            url: url.to_owned(),
            error: None,
            rooms: ROOMS.iter().filter(has).map(|(room, _)| *room).collect(),
            version: build.map_or_else(String::new, |sample| sample.label("version").to_owned()),
            broker_up: value("switchhook_broker_up").is_some_and(|sample| sample.value > 0.0),
            gauges: gauges.collect(),
            rates: rates(before, now),
        }
    }

    pub(super) fn away(url: &str, error: String) -> Self {
        let mut process = Self::of(url, &Look::default(), &Look::default());
        process.error = Some(error);
        process
    }
}

fn rates(before: &Look, now: &Look) -> BTreeMap<String, f64> {
    let seconds = now.at - before.at;
    let mut rates = BTreeMap::new();
    if seconds <= 0.0 {
        return rates;
    }
    for (word, metric, label) in RATES {
        for sample in now.samples.iter().filter(|sample| sample.name == metric) {
            let same = |was: &&Sample| was.name == metric && was.labels == sample.labels;
            let was = before.samples.iter().find(same).map_or(0.0, |was| was.value);
            // A counter that has shrunk began anew.
            let grown = if sample.value < was { sample.value } else { sample.value - was };
            if grown > 0.0 {
                rates.insert(format!("{word} {}", sample.label(label)), grown / seconds);
            }
        }
    }
    rates
}

impl View {
    pub(super) fn of(processes: Vec<Process>, looks: &[Look], queues: Vec<Depth>) -> Self {
        let gauge = |name: &str| {
            let all = looks.iter().flat_map(|look| &look.samples);
            all.filter(|sample| sample.name == name).map(|sample| sample.value).reduce(f64::max)
        };
        let due = gauge("switchhook_sweep_due_deliveries");
        let oldest = gauge("switchhook_sweep_oldest_due_seconds");
        Self { processes, partitions: worked(looks), queues, due: due.zip(oldest) }
    }
}

fn worked(looks: &[Look]) -> Vec<Worked> {
    let mut found: BTreeMap<(String, String), Worked> = BTreeMap::new();
    for (place, look) in looks.iter().enumerate() {
        let lanes = look.samples.iter().filter(|sample| sample.name == "switchhook_lanes_active");
        for sample in lanes.filter(|sample| sample.value > 0.0) {
            let key = [sample.label("queue"), sample.label("partition")].map(str::to_owned);
            let [queue, partition] = key.clone();
            let worked = found.entry(key.into()).or_insert_with(|| Worked {
                queue,
                partition,
                lanes: 0.0,
                owners: Vec::new(),
            });
            worked.lanes += sample.value;
            worked.owners.push(place + 1);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::exposition::parse;
    use super::*;

    fn look(at: f64, text: &str) -> Look {
        Look { samples: parse(text), at }
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks_and_a_restart_begins_anew() {
        let turns = |replied: u32, failed: u32| {
            format!(
                "switchhook_dispatcher_turns_total{{outcome=\"answered\"}} {replied}\n\
                 switchhook_dispatcher_turns_total{{outcome=\"bot_failed\"}} {failed}\n\
                 switchhook_dispatcher_permits_in_use 3\nswitchhook_broker_up 1\n"
            )
        };
        let process = Process::of("u", &look(1.0, &turns(10, 5)), &look(3.0, &turns(30, 2)));
        let rates: Vec<_> = process.rates.into_iter().collect();
        assert_eq!(
            rates,
            [("turn answered".to_owned(), 10.0), ("turn bot_failed".to_owned(), 1.0)]
        );
        assert_eq!((process.rooms, process.broker_up), (vec!["dispatcher"], true));
        assert!((process.gauges["bots running"] - 3.0).abs() < 1e-9);
        let first = Process::of("u", &Look::default(), &look(0.0, &turns(10, 5)));
        assert!(first.rates.is_empty(), "one look tells no rate");
    }

    #[test]
    fn a_partition_names_who_has_lanes_on_it() {
        let lanes = |partition: &str, lanes: u32| {
            look(
                1.0,
                &format!(
                    "switchhook_lanes_active{{queue=\"turns\",partition=\"{partition}\"}} {lanes}\n\
                                switchhook_sweep_due_deliveries{{room=\"deliverer\"}} {lanes}\n\
                                switchhook_sweep_oldest_due_seconds{{room=\"deliverer\"}} 1.5\n"
                ),
            )
        };
        let view =
            View::of(Vec::new(), &[lanes("p00", 2), lanes("p01", 0), lanes("p00", 1)], Vec::new());
        let [worked] = &view.partitions[..] else { panic!("{view:?}") };
        assert_eq!((worked.lanes, &worked.owners[..]), (3.0, &[1, 3][..]));
        assert_eq!(view.due, Some((2.0, 1.5)));
    }
}

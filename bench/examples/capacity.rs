//! What `docs/capacity.md` says of loads that no machine here can make, as a model of waiting lines:
//! `cargo run --release -p bench --example capacity`.
//!
//! Turns come by chance at a mean rate, each of one of many conversations, some of which say much more than others. A turn
//! passes every part in order and takes there what one took when it was measured; a part has so many cores, and who finds
//! all of them busy waits. A dispatcher and a deliverer work on what their partitions bring, with one core each, as a process
//! does. What it leaves out: a bot's time, the network, group commits that grow under load, and what a queue or a database
//! can do with more cores than were measured.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write as _;
use std::time::Duration;

use shared::entropy::Entropy;
use shared::topology::Topology;

const TURNS: usize = 300_000;
const CONVERSATIONS: u64 = 30_000;
/// These say half of everything.
const TALKATIVE: u64 = 300;

/// An installation under a load; costs of an asynchronous turn.
struct Case {
    name: &'static str,
    per_second: u32,
    partitions: u16,
    broker: usize,
    database: usize,
    ingresses: usize,
    dispatchers: usize,
    deliverers: usize,
}

/// One part: its lines, each with so many cores.
struct Part {
    lines: Vec<BinaryHeap<Reverse<Duration>>>,
    cost: Duration,
    busy: Vec<Duration>,
}

impl Part {
    fn new(lines: usize, cores: usize, micros: u64) -> Self {
        let free = || vec![Reverse(Duration::ZERO); cores].into();
        let cost = Duration::from_micros(micros);
        Self {
            lines: (0..lines).map(|_| free()).collect(),
            cost,
            busy: vec![Duration::ZERO; lines],
        }
    }

    /// Works on every turn in the order in which they come; each then leaves for the next part.
    fn serve(&mut self, turns: &mut [Turn], line_of: impl Fn(&Turn) -> usize) {
        turns.sort_by_key(|turn| turn.at);
        for turn in turns {
            let line = line_of(turn) % self.lines.len();
            let free = self.lines[line].pop().map_or(Duration::ZERO, |Reverse(free)| free);
            turn.at = turn.at.max(free) + self.cost;
            self.busy[line] += self.cost;
            self.lines[line].push(Reverse(turn.at));
        }
    }

    /// Of the cores of its busiest line, how much of `span` they were at work.
    fn load(&self, span: Duration) -> f64 {
        let cores = self.lines[0].len();
        let busiest = self.busy.iter().max().copied().unwrap_or_default();
        (busiest / u32::try_from(cores).unwrap_or(1)).div_duration_f64(span)
    }
}

struct Turn {
    came: Duration,
    at: Duration,
    partition: usize,
    chance: usize,
}

fn turns(case: &Case) -> Vec<Turn> {
    let entropy = Entropy::seeded(1);
    let topology = Topology { partitions: case.partitions, ..Topology::default() };
    let mean = Duration::from_secs(1) / case.per_second;
    let mut now = Duration::ZERO;
    let turn = |_| {
        now += mean.mul_f64(-(1.0 - entropy.chance()).ln());
        let many = if entropy.chance() < 0.5 { TALKATIVE } else { CONVERSATIONS };
        // Ids are hashes of chance as well.
        let conversation = (entropy.u64() % many).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let partition = topology.partition_of_hash(conversation >> 16).0.into();
        let chance = usize::try_from(entropy.u64() >> 33).unwrap_or(0);
        Turn { came: now, at: now, partition, chance }
    };
    (0..TURNS).map(turn).collect()
}

fn run(case: &Case, out: &mut std::io::Stdout) -> std::io::Result<()> {
    let mut turns = turns(case);
    let span = turns.last().map_or(Duration::ZERO, |turn| turn.came);
    // In the order of a turn; the broker's and the database's costs are of both of its visits.
    let mut ingress = Part::new(case.ingresses, 1, 67);
    let mut broker = Part::new(1, case.broker, 149);
    let mut dispatcher = Part::new(case.dispatchers, 1, 58);
    let mut database = Part::new(1, case.database, 126);
    let mut deliverer = Part::new(case.deliverers, 1, 76);
    ingress.serve(&mut turns, |turn| turn.chance);
    broker.serve(&mut turns, |_| 0);
    dispatcher.serve(&mut turns, |turn| turn.partition);
    database.serve(&mut turns, |_| 0);
    deliverer.serve(&mut turns, |turn| turn.partition);
    let mut took: Vec<_> = turns.iter().map(|turn| turn.at.saturating_sub(turn.came)).collect();
    took.sort_unstable();
    let at = |permille: usize| took[(took.len() * permille).div_ceil(1_000) - 1];
    let loads = [&ingress, &broker, &dispatcher, &database, &deliverer].map(|p| p.load(span));
    let loads = loads.map(|load| format!("{load:.2}")).join(" | ");
    let (rate, partitions) = (case.per_second, case.partitions);
    writeln!(
        out,
        "| {} | {rate} | {partitions} | {loads} | {:.1?} | {:.1?} |",
        case.name,
        at(500),
        at(990)
    )
}

fn main() -> std::io::Result<()> {
    let of = |name,
              per_second,
              partitions,
              [broker, database, ingresses, dispatchers, deliverers]: [usize; 5]| {
        Case { name, per_second, partitions, broker, database, ingresses, dispatchers, deliverers }
    };
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| | turns/s | partitions | ingress | broker | dispatcher | database | deliverer | p50 | p99 |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    )?;
    for case in [
        of("as measured, two processes of each room", 2_000, 16, [1, 1, 2, 2, 2]),
        of("the table's cores", 10_000, 16, [2, 2, 1, 1, 1]),
        of("the table's cores", 100_000, 16, [20, 17, 9, 8, 10]),
        of("the same, more partitions", 100_000, 128, [20, 17, 9, 8, 10]),
        of("a third more dispatchers and deliverers", 100_000, 128, [20, 17, 9, 11, 14]),
        of("as many dispatchers as partitions", 100_000, 16, [20, 17, 9, 16, 16]),
    ] {
        run(&case, &mut out)?;
    }
    Ok(())
}

//! The long run: many turns without a fault, then many kills of everything, on both pairs of engines.
//! Prints one verdict line a run; ends with 1 when a promise was broken.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::check::Verdict;
use e2e::endpoint::Script;
use e2e::load::Plan;
use e2e::nemesis::{self, Engines, Pace, Victim};
use e2e::rig::Rig;
use testkit::system::Shape;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const ROOMS: [Victim; 5] = [
    Victim::Room("ingress"),
    Victim::Room("dispatcher"),
    Victim::Room("deliverer"),
    Victim::Broker,
    Victim::Database,
];
const PACE: Pace = Pace { dead: Duration::from_millis(700), between: Duration::from_secs(3) };

/// 100,000 turns without a fault, then ten kills of each part, on RabbitMQ with PostgreSQL and on the
/// embedded engines.
#[derive(Parser)]
struct Args {
    /// Turns of each run without faults.
    #[arg(long, default_value_t = 100_000)]
    turns: u32,
    #[arg(long, default_value_t = 300)]
    conversations: usize,
    /// Kills of each part.
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// Leave one pair of engines out.
    #[arg(long)]
    no_rabbitmq: bool,
    #[arg(long)]
    no_embedded: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut passed = true;
    if !args.no_rabbitmq {
        let node = testkit::rabbitmq::Node::start().await?;
        let server = testkit::postgres::Server::start().await?;
        let engines = Engines { node: Some(&node), server: Some(&server) };
        let shape = Shape::Rooms {
            amqp: node.url(),
            postgres: server.create_database().await?,
            ingresses: 2,
            dispatchers: 3,
            deliverers: 2,
        };
        passed &= both("RabbitMQ + PostgreSQL", &args, shape, engines, &ROOMS).await?;
    }
    if !args.no_embedded {
        let victims = [Victim::Room("up")];
        passed &= both("embedded", &args, Shape::Whole, Engines::default(), &victims).await?;
    }
    ensure!(passed, "a promise was broken");
    Ok(())
}

/// The run without faults and the run with kills; the same system, new conversations.
async fn both(
    name: &str,
    args: &Args,
    shape: Shape,
    engines: Engines<'_>,
    victims: &[Victim],
) -> Result<bool> {
    let script = Script { fail_every: 500 };
    let rig = Rig::start(shape, script).await?;
    let started = Instant::now();
    let messages = args.turns.div_ceil(u32::try_from(args.conversations)?);
    let mut plan = Plan {
        first: 0,
        conversations: args.conversations,
        messages,
        pause: Duration::ZERO,
        stop: CancellationToken::new(),
    };
    rig.load(&plan).await?;
    let seconds = started.elapsed().as_secs_f64();
    let verdict = rig.verdict(&plan).await?;
    say(&format!("{name}, no faults, load of {seconds:.0} s"), &verdict);
    let mut passed = verdict.faults.is_empty() && verdict.duplicate_deliveries == 0;

    plan.first = args.conversations;
    plan.messages = u32::MAX;
    plan.pause = Duration::from_millis(200);
    let stop = plan.stop.clone();
    let killing = async {
        let mut kills = 0;
        for victim in victims {
            kills += nemesis::kill(&rig.system, engines, *victim, args.kills, PACE).await?;
        }
        stop.cancel();
        anyhow::Ok(kills)
    };
    let (loaded, kills) = tokio::join!(rig.load(&plan), killing);
    loaded?;
    let kills = kills?;
    let verdict = rig.verdict(&plan).await?;
    say(&format!("{name}, {kills} kills"), &verdict);
    passed &= verdict.faults.is_empty();
    Ok(passed)
}

#[expect(clippy::print_stdout, reason = "the verdict is this program's product")]
fn say(what: &str, verdict: &Verdict) {
    println!("{what}: {verdict}");
}

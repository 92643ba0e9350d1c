//! One run: for each mode and round, the two yardsticks and the product, one after the other.

use std::time::Duration;

use anyhow::ensure;

use crate::args::{Compare, Engines, Mode};
use crate::client::Target;
use crate::closed::{self, Numbers, Seen};
use crate::durability;
use crate::meter::{Meter, Watched};
use crate::open;
use crate::payload;
use crate::product::Product;
use crate::report::{Measurement, Report, Subject};
use crate::role::Process;
use crate::sink::Sink;

/// Before each measurement, so that connections, caches and files are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// Where the engines are, and their processes.
pub(crate) struct Engine {
    pub kind: Engines,
    pub amqp: String,
    pub postgres: String,
    pub watched: Vec<Watched>,
    pub folder: tempfile::TempDir,
    _private: Option<(testkit::rabbitmq::Node, testkit::postgres::Server)>,
}

impl Engine {
    async fn open(args: &Compare) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (amqp, postgres, watched, private) = if args.engines == Engines::Embedded {
            (String::new(), String::new(), Vec::new(), None)
        } else if let (Some(amqp), Some(postgres)) = (&args.amqp, &args.postgres) {
            (amqp.clone(), postgres.clone(), Vec::new(), None)
        } else {
            ensure!(args.private_engines, "give --amqp and --postgres, or --private-engines");
            let node = testkit::rabbitmq::Node::start().await?;
            let server = testkit::postgres::Server::start().await?;
            let postgres = server.create_database().await?;
            let pids = [("rabbitmq", node.pid()), ("postgresql", server.pid())];
            let named = |(name, pid): (&str, Option<u32>)| Some((name.to_owned(), pid?));
            let watched = pids.into_iter().filter_map(named).collect();
            (node.url(), postgres, watched, Some((node, server)))
        };
        Ok(Self { kind: args.engines, amqp, postgres, watched, folder, _private: private })
    }
}

/// What is driven in one measurement; ends when dropped.
struct Chain {
    target: Target,
    watched: Vec<Watched>,
    _processes: Vec<Process>,
    _product: Option<Product>,
}

pub(crate) async fn run(args: &Compare) -> anyhow::Result<()> {
    let engine = Engine::open(args).await?;
    let settings = match engine.kind {
        Engines::Rabbitmq => durability::check_postgres(&engine.postgres).await?,
        Engines::Embedded => vec![("sqlite synchronous".to_owned(), "full".to_owned())],
    };
    let mut report = Report::new(args, settings);
    let numbers = Numbers::default();
    let modes = if args.mode.is_empty() { &[Mode::Sync, Mode::Async][..] } else { &args.mode };
    for &mode in modes {
        for round in 1..=args.rounds {
            for subject in [Subject::Bare, Subject::BareCommit, Subject::Product] {
                let measured = measure(args, &engine, mode, subject, &numbers).await?;
                report.add(mode, round, subject, measured)?;
            }
        }
    }
    report.finish(args)
}

async fn measure(
    args: &Compare,
    engine: &Engine,
    mode: Mode,
    subject: Subject,
    numbers: &Numbers,
) -> anyhow::Result<Measurement> {
    let sink = Sink::start().await?;
    let chain = match subject {
        Subject::Product => product(args, engine, mode, &sink).await?,
        Subject::Bare | Subject::BareCommit => bare(args, engine, mode, subject, &sink).await?,
    };
    let arrivals = (mode == Mode::Async).then_some(&sink.arrivals);
    closed::run(&chain.target, arrivals, numbers, args.concurrency, WARM_UP).await;
    let watched: Vec<_> = chain.watched.iter().chain(&engine.watched).cloned().collect();
    let meter = Meter::start(&watched);
    let time = Duration::from_secs(args.seconds);
    let seen: Seen = match args.rate {
        Some(rate) => open::run(&chain.target, arrivals, numbers, rate, time).await,
        None => closed::run(&chain.target, arrivals, numbers, args.concurrency, time).await,
    };
    let usage = meter.stop();
    ensure!(
        seen.errors == 0,
        "{subject:?} {}: {} turns failed, the first with: {}",
        mode.as_str(),
        seen.errors,
        seen.first_error.unwrap_or_default()
    );
    Ok(Measurement::new(&seen, usage))
}

async fn bare(
    args: &Compare,
    engine: &Engine,
    mode: Mode,
    subject: Subject,
    sink: &Sink,
) -> anyhow::Result<Chain> {
    let threads = args.threads();
    let commit = subject == Subject::BareCommit;
    let url = sink.url();
    let processes = match (engine.kind, mode) {
        (Engines::Embedded, _) => vec![bare_embedded(threads, engine, mode, commit, &url).await?],
        (Engines::Rabbitmq, Mode::Sync) => {
            crate::bare::queue::delete(&engine.amqp, &["yardstick.sync"]).await?;
            let mut responder = vec![engine.amqp.as_str(), "yardstick.sync"];
            if commit {
                responder.extend(["--postgres", &engine.postgres]);
            }
            let edge =
                Process::start("ingress", threads, &[&engine.amqp, "yardstick.sync", "sync"])
                    .await?;
            vec![edge, Process::start("responder", threads, &responder).await?]
        }
        (Engines::Rabbitmq, Mode::Async) => {
            let queues = ["yardstick.async", "yardstick.out"];
            crate::bare::queue::delete(&engine.amqp, &queues).await?;
            let mut dispatcher = vec![engine.amqp.as_str(), queues[0], queues[1]];
            if commit {
                dispatcher.extend(["--postgres", &engine.postgres]);
            }
            vec![
                Process::start("ingress", threads, &[&engine.amqp, queues[0], "async"]).await?,
                Process::start("dispatcher", threads, &dispatcher).await?,
                Process::start("deliverer", threads, &[&engine.amqp, queues[1], &url]).await?,
            ]
        }
    };
    let target = Target {
        authority: format!("127.0.0.1:{}", processes[0].port),
        path: "/".to_owned(),
        token: payload::token()?,
    };
    let watched = processes.iter().map(Process::watched).collect();
    Ok(Chain { target, watched, _processes: processes, _product: None })
}

async fn bare_embedded(
    threads: usize,
    engine: &Engine,
    mode: Mode,
    commit: bool,
    url: &str,
) -> anyhow::Result<Process> {
    let file = engine.folder.path().join("yardstick.db");
    let file = file.to_string_lossy();
    let mut args = vec![mode.as_str(), "--url", url];
    if commit {
        args.extend(["--sqlite", &file]);
    }
    Process::start("embedded", threads, &args).await
}

async fn product(
    args: &Compare,
    engine: &Engine,
    mode: Mode,
    sink: &Sink,
) -> anyhow::Result<Chain> {
    let mut set = vec![("lifecycle.threads".to_owned(), args.threads().to_string())];
    set.extend_from_slice(&args.set);
    let product = Product::start(engine, mode, sink, &set).await?;
    let watched = product.watched();
    Ok(Chain {
        target: product.target()?,
        watched,
        _processes: Vec::new(),
        _product: Some(product),
    })
}

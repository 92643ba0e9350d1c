//! The life of a process that runs rooms: settings, ports, engines, rooms, signals, drain, end.
//!
//! It knows no room: whoever starts a process hands its rooms over as [`Rooms`].

mod arguments;
pub mod failure;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Readiness};
use crate::broker::Broker;
use crate::config::{self, Settings};
use crate::engines::presence::Presence;
use crate::engines::{self, Engine, Engines, Options, replays, upkeep};
use crate::entropy::Entropy;
use crate::ground::Ground;
use crate::keys::{self, WhenMissing};
use crate::lifecycle::{Drained, Lifecycle, Signals};
use crate::store::Store;
use crate::telemetry;
use crate::tracer::{self, Tracer};
use arguments::Arguments;
pub use failure::Failure;

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: u32 = 1024;
/// The longest that closing the engines may take, after the drain.
const CLOSE: Duration = Duration::from_secs(4);
/// Whoever starts it again does so with the new number.
const PARTITIONS: &str =
    "the number of partitions has been changed; start it again with the new one";
/// Whoever watches over it starts it again; alive but without the task it would be a trap.
const BROKEN: &str = "a task that the process cannot do without has panicked; the log tells which";
/// What is left of the drain for each room that is still to come, whatever the ones before it took.
const SHARE: u32 = 8;

/// The rooms of a process.
pub trait Rooms: Send + 'static {
    /// Starts them on the ground. Returns the lives that are drained one after the other before the
    /// ground's own; a process of one room, which lives on the ground's, has none.
    fn start<B: Broker, S: Store>(
        self,
        ground: Ground<B, S>,
        settings: Settings,
    ) -> impl Future<Output = anyhow::Result<Vec<Lifecycle>>> + Send;

    /// Whether this process also removes what has outlived its retention.
    fn cleans(&self) -> bool;
}

/// The whole `main` of a room's own binary: `NAME [--config FILE]`.
pub fn room<R: Rooms>(
    name: &'static str,
    make: impl FnOnce(&Settings) -> Result<R, Failure>,
) -> ExitCode {
    let file = match arguments::read(name, std::env::args().skip(1)) {
        Ok(Arguments::Run(file)) => file,
        Ok(Arguments::Tell(text)) => return failure::tell(&text),
        Err(failure) => return failure.exit(name),
    };
    failure::exit(name, run_room(name, file.as_deref(), &[], make))
}

/// As [`room`], for who has read the arguments already. `make` runs inside the runtime, before any
/// engine is touched: it binds the room's ports.
pub fn run_room<R: Rooms>(
    name: &'static str,
    file: Option<&Path>,
    flags: &[(&str, String)],
    make: impl FnOnce(&Settings) -> Result<R, Failure>,
) -> Result<(), Failure> {
    let settings = config::load(file, flags)?;
    if settings.engines.postgres.is_none() {
        return Err(Failure::usage(format!(
            "{name} alone needs RabbitMQ and PostgreSQL (engines.amqp and engines.postgres): the \
             embedded engines live inside one process, `switchhook up`"
        )));
    }
    keys::load(&settings, &Entropy::Real, WhenMissing::Refuse)?;
    let dispatches = name == "dispatcher";
    let options = Options { name, keys: WhenMissing::Refuse, migrate: false, dispatches };
    block_on_threads(settings.lifecycle.threads, async {
        let admin = bind("admin.listen", settings.admin.listen)?;
        let rooms = make(&settings)?;
        live(settings, admin, options, rooms).await
    })
}

/// Runs a future on a runtime that does not outlive it by more than a second.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_on_threads(0, future)
}

/// As [`block_on`], with so many worker threads (`lifecycle.threads`; 0: as many as cores).
pub fn block_on_threads<T>(
    threads: u32,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = usize::try_from(threads).ok().filter(|threads| *threads > 0) {
        builder.worker_threads(threads);
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime does not start: {error}")))?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Binds a port before anything else happens. Called inside a runtime.
pub fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    bound.map_err(|error| {
        let hint = if error.kind() == std::io::ErrorKind::AddrInUse {
            ": another process listens there; stop it or choose another address"
        } else {
            ""
        };
        Failure::unavailable(format!("{key}: cannot listen on {address} ({error}){hint}"))
    })
}

/// Runs rooms until a signal ends them. `Ok` when all that was begun was finished or is kept by the
/// engines; a drain that was late loses nothing either, and is only logged.
pub async fn live(
    settings: Settings,
    admin: TcpListener,
    options: Options,
    rooms: impl Rooms,
) -> Result<(), Failure> {
    let level = telemetry::start(&settings.log)
        .map_err(|error| Failure::usage(format!("log.level: {error}")))?;
    let mut signals = Signals::new()
        .map_err(|error| Failure::other(format!("signals cannot be received: {error}")))?;
    let readiness = Readiness::default();
    readiness.set("start", Err("starting".to_owned()));
    let metrics = prometheus::Registry::new();
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    metrics.register(Box::new(collector)).map_err(|error| failed_metrics(&error))?;
    if let Ok(address) = admin.local_addr() {
        tracing::info!(admin.address = %address, "probes and metrics are served");
    }
    let admin_stop = CancellationToken::new();
    let _stop_admin = admin_stop.clone().drop_guard();
    let router = admin::router(readiness.clone(), metrics.clone(), level.clone());
    let mut admin_task = tokio::task::JoinSet::new();
    admin_task.spawn(async {
        level.keep().await;
        Ok(())
    });
    admin_task.spawn(admin::serve(admin, router, admin_stop.cancelled_owned()));

    let opened = tokio::select! {
        biased;
        () = signals.next() => return Ok(()),
        opened = engines::open_patiently(&settings, options, &metrics, &readiness) => opened?,
    };
    let (tracer, exporter) = tracer::start(&settings.tracing, options.name, &metrics)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let part = Part { settings, signals, readiness, metrics, tracer };
    let lived = match opened {
        Engines::Embedded(engine, database) => {
            let lived = part.live(engine, rooms).await;
            let _ = tokio::time::timeout(CLOSE, database.close()).await;
            lived
        }
        Engines::Served(engine) => {
            let lasts = part.settings.ingress.registry_stale_max;
            let presence = Presence::start(&engine, options.name, lasts);
            let lived = part.live(engine, rooms).await;
            presence.end().await;
            lived
        }
    };
    exporter.finish().await;
    lived
}

fn failed_metrics(error: &prometheus::Error) -> Failure {
    Failure::other(format!("metrics cannot be registered: {error}"))
}

/// What a process has besides its engines.
struct Part {
    settings: Settings,
    signals: Signals,
    readiness: Readiness,
    metrics: prometheus::Registry,
    tracer: Tracer,
}

impl Part {
    async fn live<B: Broker, S: Store>(
        mut self,
        engine: Engine<B, S>,
        rooms: impl Rooms,
    ) -> Result<(), Failure> {
        let ground = engine.ground(self.metrics.clone(), self.readiness.clone(), self.tracer);
        let metrics = engines::keep(&ground).map_err(|error| failed_metrics(&error))?;
        if rooms.cleans() {
            upkeep::start(&ground, &self.settings, metrics);
            replays::start(&ground);
        }
        let (broker, lifecycle) = (ground.broker.clone(), ground.lifecycle.clone());
        let lease = ground.lease.clone();
        let mut lost = None;
        let started = tokio::select! {
            biased;
            () = self.signals.next() => Ok(Vec::new()),
            started = rooms.start(ground, self.settings.clone()) => match started {
                Ok(stages) => {
                    self.readiness.set("start", Ok(()));
                    tokio::select! {
                        biased;
                        () = self.signals.next() => {}
                        () = lease.lost() => lost = Some(Failure::unavailable(PARTITIONS)),
                        () = lifecycle.broken() => lost = Some(Failure::other(BROKEN)),
                    }
                    Ok(stages)
                }
                Err(error) => Err(error),
            },
        };
        self.readiness.set("stop", Err("the process is stopping".to_owned()));
        let (stages, failure) = match started {
            Ok(stages) => (stages, lost),
            Err(error) => (Vec::new(), Some(Failure::from(error))),
        };
        tokio::select! {
            biased;
            () = self.signals.next() => {
                return Err(Failure::other("a second signal: stopped at once"));
            }
            () = stop(self.settings.lifecycle.drain, stages, lifecycle, broker) => {}
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Drains the rooms in the order in which a message walks through them, then the ground.
async fn stop<B: Broker>(drain: Duration, stages: Vec<Lifecycle>, last: Lifecycle, broker: B) {
    let deadline = tokio::time::Instant::now() + drain;
    let mut to_come = u32::try_from(stages.len()).unwrap_or(u32::MAX);
    for stage in stages.iter().chain([&last]) {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let kept = (drain / SHARE).saturating_mul(to_come);
        if stage.drain(left.saturating_sub(kept)).await == Drained::Late {
            tracing::warn!("something still ran at the drain's deadline; the engines keep it");
        }
        to_come = to_come.saturating_sub(1);
    }
    if tokio::time::timeout(CLOSE, broker.close()).await.is_err() {
        tracing::warn!("the broker did not close in time");
    }
    tracing::info!("stopped");
}

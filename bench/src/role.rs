//! The processes that a yardstick is made of: this same binary, started with `bench role …`. Each says
//! `READY <port>` when it is, and ends when its standard input closes.

use std::process::Stdio;

use anyhow::Context as _;
use clap::Subcommand;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::args::Mode;
use crate::bare;

#[derive(Debug, Subcommand)]
pub enum Role {
    /// HTTP in, queue out; waits for the reply or for the confirm.
    Ingress { amqp: String, queue: String, mode: Mode },
    /// Queue in, reply out; with a database, one grouped durable commit a turn before it.
    Responder {
        amqp: String,
        queue: String,
        #[arg(long)]
        postgres: Option<String>,
    },
    /// Queue in, queue out; with a database, one grouped durable commit a turn before it.
    Dispatcher {
        amqp: String,
        from: String,
        to: String,
        #[arg(long)]
        postgres: Option<String>,
    },
    /// Queue in, POST out.
    Deliverer { amqp: String, queue: String, url: String },
    /// The embedded chain in one process: HTTP in, answer or POST out.
    Embedded {
        mode: Mode,
        #[arg(long)]
        url: Option<String>,
        /// With a file, one grouped durable commit a turn.
        #[arg(long)]
        sqlite: Option<std::path::PathBuf>,
    },
}

/// Runs a role until standard input closes.
pub(crate) async fn run(role: Role) -> anyhow::Result<()> {
    tokio::select! {
        result = work(role) => result,
        () = stdin_closed() => Ok(()),
    }
}

async fn work(role: Role) -> anyhow::Result<()> {
    match role {
        Role::Ingress { amqp, queue, mode } => bare::ingress::run(&amqp, &queue, mode).await,
        Role::Responder { amqp, queue, postgres } => {
            bare::workers::respond(&amqp, &queue, postgres.as_deref()).await
        }
        Role::Dispatcher { amqp, from, to, postgres } => {
            bare::workers::dispatch(&amqp, &from, &to, postgres.as_deref()).await
        }
        Role::Deliverer { amqp, queue, url } => bare::workers::deliver(&amqp, &queue, &url).await,
        Role::Embedded { mode, url, sqlite } => {
            bare::embedded::run(mode, url.as_deref(), sqlite.as_deref()).await
        }
    }
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while matches!(stdin.read(&mut buffer).await, Ok(n) if n > 0) {}
}

/// Tells whoever started this process that it is ready.
pub(crate) async fn ready(port: u16) -> anyhow::Result<()> {
    let mut stdout = tokio::io::stdout();
    stdout.write_all(format!("READY {port}\n").as_bytes()).await?;
    stdout.flush().await?;
    Ok(())
}

/// A running role; ends when dropped.
pub(crate) struct Process {
    pub name: &'static str,
    pub pid: u32,
    pub port: u16,
    _child: Child,
}

impl Process {
    pub(crate) async fn start(
        name: &'static str,
        threads: usize,
        args: &[&str],
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "role", name])
            .args(args)
            .env("TOKIO_WORKER_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("the child's output is piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.with_context(|| format!("the {name} of the yardstick ended at once"))?;
        let port = line.strip_prefix("READY ").context("unexpected output of a role")?.parse()?;
        let pid = child.id().context("the role has ended")?;
        Ok(Self { name, pid, port, _child: child })
    }

    pub(crate) fn watched(&self) -> (String, u32) {
        (self.name.to_owned(), self.pid)
    }
}

//! The product as processes: the whole in one, or each room in processes of its own, started from
//! the built binary, killed and started again at will.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::free_port;
use crate::keeper::{Keeper, Sweeper, answers, children, state, tail};

const READY_MAX: Duration = Duration::from_mins(1);
const END_MAX: Duration = Duration::from_mins(1);
const COMMAND_MAX: Duration = Duration::from_mins(1);
/// Never real ones.
const ENVELOPE_KEY: &str = "dGVzdC1vbmx5LWVudmVsb3BlLWtleS0wMTIzNDU2Nzg=";
const VAULT_KEY: &str = "dGVzdC1vbmx5LXZhdWx0LWtleS0wMTIzNDU2Nzg5YWI=";

/// How the product runs.
#[derive(Clone, Debug)]
pub enum Shape {
    /// `up` on the embedded engines.
    Whole,
    /// Processes of each room on RabbitMQ and PostgreSQL.
    Rooms {
        amqp: String,
        postgres: String,
        ingresses: usize,
        dispatchers: usize,
        deliverers: usize,
    },
}

/// An installation and its processes; ends when dropped.
#[derive(Debug)]
pub struct System {
    processes: Vec<Process>,
    binary: PathBuf,
    env: Vec<(String, String)>,
    /// Last, so that the folder outlives the processes.
    folder: Sweeper,
}

impl System {
    /// Writes the registry (a file as `switchhook apply` takes it), starts every process and waits until
    /// each is ready. `settings` are pairs like `("egress.allow", "127.0.0.0/8")`.
    pub async fn start(
        binary: &Path,
        shape: Shape,
        registry: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("switchhook-system-").tempdir()?;
        let folder = Sweeper::new(folder)?;
        let mut env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let data = folder.path().join("data").to_string_lossy().into_owned();
        let own = [("keys.envelope", ENVELOPE_KEY), ("keys.vault", VAULT_KEY)];
        let mut settings: Vec<_> = own.iter().chain(settings).copied().collect();
        settings.push(("engines.data", &data));
        if let Shape::Rooms { amqp, postgres, .. } = &shape {
            settings.extend([("engines.amqp", amqp.as_str()), ("engines.postgres", postgres)]);
        }
        let name = |key: &str| format!("SWITCHHOOK_{}", key.replace('.', "_").to_uppercase());
        env.extend(settings.iter().map(|(key, value)| (name(key), (*value).to_owned())));
        let mut system = Self { processes: Vec::new(), binary: binary.to_owned(), env, folder };
        system.run(&["migrate"]).await?;
        let file = system.folder.path().join("registry.toml");
        std::fs::write(&file, registry)?;
        system.run(&["apply", "--file", &file.to_string_lossy()]).await?;
        for (room, many) in rooms(&shape) {
            for number in 0..many {
                let process = system.process(room, number);
                process.restart().await?;
                system.processes.push(process);
            }
        }
        Ok(system)
    }

    fn process(&self, room: &'static str, number: usize) -> Process {
        let (listen, admin) = (free_port(), free_port());
        let mut env = self.env.clone();
        env.push(("SWITCHHOOK_ADMIN_LISTEN".to_owned(), format!("127.0.0.1:{admin}")));
        env.push(("SWITCHHOOK_INGRESS_LISTEN".to_owned(), format!("127.0.0.1:{listen}")));
        let mut command = vec![self.binary.to_string_lossy().into_owned(), room.to_owned()];
        if room == "up" {
            command.push("--no-demo".to_owned());
        }
        let log = self.folder.path().join(format!("{room}-{number}.log"));
        Process { room, listen, admin, command, env, log, keeper: Mutex::new(None) }
    }

    /// The data folder of `up`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a console beside the rooms and tells where it answers: `http://127.0.0.1:…`.
    pub async fn start_console(&mut self) -> Result<String> {
        let mut process = self.process("console", 0);
        let address = format!("127.0.0.1:{}", process.listen);
        process.env.push(("SWITCHHOOK_CONSOLE_LISTEN".to_owned(), address.clone()));
        process.restart().await?;
        self.processes.push(process);
        Ok(format!("http://{address}"))
    }

    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The processes of one room; the whole in one process is every room.
    pub fn room(&self, room: &str) -> Vec<&Process> {
        let of = |process: &&Process| process.room == room || process.room == "up";
        self.processes.iter().filter(of).collect()
    }

    /// Where clients reach the product: `http://127.0.0.1:…`, one for each ingress.
    pub fn hosts(&self) -> Vec<String> {
        let url = |process: &Process| format!("http://127.0.0.1:{}", process.listen);
        self.room("ingress").into_iter().map(url).collect()
    }

    /// Runs a command of the binary on this installation and returns what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with(arguments, &[]).await
    }

    /// As [`System::run`], with more environment variables for this one run.
    pub async fn run_with(&self, arguments: &[&str], more: &[(&str, String)]) -> Result<String> {
        let output = tokio::process::Command::new(&self.binary)
            .args(arguments)
            .env_clear()
            .envs(self.env.iter().cloned())
            .envs(more.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(COMMAND_MAX, output).await??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("switchhook {} failed:\n{text}{error}", arguments.join(" "));
        }
        Ok(text)
    }
}

fn rooms(shape: &Shape) -> Vec<(&'static str, usize)> {
    match shape {
        Shape::Whole => vec![("up", 1)],
        Shape::Rooms { ingresses, dispatchers, deliverers, .. } => {
            vec![("deliverer", *deliverers), ("dispatcher", *dispatchers), ("ingress", *ingresses)]
        }
    }
}

/// One process of the product, running or not.
#[derive(Debug)]
pub struct Process {
    room: &'static str,
    listen: u16,
    admin: u16,
    command: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
    keeper: Mutex<Option<Keeper>>,
}

impl Process {
    /// `up`, `ingress`, `dispatcher`, `deliverer` or `console`.
    pub fn room(&self) -> &'static str {
        self.room
    }

    /// As its log is called: `dispatcher-1`.
    pub fn name(&self) -> String {
        self.log.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The port of 127.0.0.1 on which an ingress answers.
    pub fn port(&self) -> u16 {
        self.listen
    }

    /// The port of 127.0.0.1 on which probes and metrics are served.
    pub fn admin_port(&self) -> u16 {
        self.admin
    }

    /// Whether it runs: it may have ended by itself.
    pub fn alive(&self) -> bool {
        self.lock().as_ref().is_some_and(Keeper::alive)
    }

    /// Whether it was stopped in its tracks.
    pub fn frozen(&self) -> bool {
        self.lock().as_ref().is_some_and(|keeper| state(keeper.pid()) == Some('T'))
    }

    /// `None` while it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Keeper::pid)
    }

    /// Kills the process with SIGKILL.
    pub fn kill9(&self) {
        drop(self.lock().take());
    }

    /// Kills the processes that this one has started with SIGKILL: its script hosts.
    pub fn kill9_children(&self) -> Result<()> {
        let children = self.pid().map(children).unwrap_or_default();
        let children = children.iter().map(u32::to_string);
        std::process::Command::new("kill").arg("-KILL").args(children).status()?;
        Ok(())
    }

    /// Ends the process with SIGTERM and waits until it has ended by itself.
    pub async fn stop(&self) -> Result<()> {
        let keeper = self.lock().take();
        let Some(mut keeper) = keeper else { return Ok(()) };
        keeper.signal("TERM")?;
        keeper.ended(END_MAX).await
    }

    /// Stops the process in its tracks (SIGSTOP), or lets it go on.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let mut keeper = self.lock();
        let keeper = keeper.as_mut().context("the process is not running")?;
        keeper.signal(if frozen { "STOP" } else { "CONT" })
    }

    /// Starts the process, killing it first where it runs, and waits until it is ready.
    pub async fn restart(&self) -> Result<()> {
        self.restart_with(&[]).await
    }

    /// As [`Process::restart`], with more environment variables for this one life.
    pub async fn restart_with(&self, more: &[(&str, String)]) -> Result<()> {
        self.kill9();
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let env: Vec<_> = self.env.iter().cloned().chain(more).collect();
        *self.lock() = Some(Keeper::start(&self.command, &env, &self.log)?);
        let ready = || async {
            match self.admin("/readyz").await? {
                (200, _) => Ok(()),
                (status, body) => Err(anyhow!("{status}: {body}")),
            }
        };
        let what = format!("a ready {}", self.room);
        answers(&what, READY_MAX, &self.log, || self.alive(), ready).await
    }

    /// GETs a page of the process's admin port: status and body.
    pub async fn admin(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// The end of what the process has logged.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    /// All that the process has logged in this life and in those before.
    pub fn whole_log(&self) -> String {
        std::fs::read(&self.log)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

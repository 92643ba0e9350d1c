//! A private PostgreSQL server: Debian's newest installed one, durable as in production.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::keeper::{Keeper, Sweeper, alive, answers, children};
use crate::{free_port, wait};

const START_MAX: Duration = Duration::from_mins(1);
const STOP_MAX: Duration = Duration::from_secs(30);

/// A server and its data, which outlives its process: it can be killed and started again.
#[derive(Debug)]
pub struct Server {
    process: Mutex<Option<Keeper>>,
    folder: Sweeper,
    binaries: PathBuf,
    port: u16,
    databases: AtomicU32,
}

/// The server that all tests of this process share; each test creates a database of its own.
pub async fn shared() -> Result<&'static Server> {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED.get_or_try_init(Server::start).await
}

impl Server {
    /// Creates a cluster, starts it and waits until it takes connections.
    pub async fn start() -> Result<Self> {
        let binaries = installed()?;
        let folder = tempfile::Builder::new().prefix("switchhook-postgres-").tempdir()?;
        if let Some(user) = unprivileged()? {
            std::os::unix::fs::chown(folder.path(), Some(user.uid), Some(user.gid))?;
        }
        let folder = Sweeper::new(folder)?;
        let process = Mutex::new(None);
        let server =
            Self { process, folder, binaries, port: free_port(), databases: AtomicU32::new(0) };
        server.create_cluster().await?;
        server.restart().await?;
        Ok(server)
    }

    /// `postgres://…` for a database that exists; `postgres` always does.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty database and returns its URL.
    pub async fn create_database(&self) -> Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.execute("postgres", &format!("create database {name}")).await?;
        Ok(self.url(&name))
    }

    /// Runs statements that return nothing.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<()> {
        let (client, connection) =
            tokio_postgres::connect(&self.url(database), tokio_postgres::NoTls).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        client.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// The postmaster's process, `None` while it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Keeper::pid)
    }

    /// Kills the postmaster with SIGKILL and waits until its backends, which notice, are gone too.
    pub async fn kill9(&self) {
        let keeper = self.lock().take();
        let Some(keeper) = keeper else { return };
        let backends = children(keeper.pid());
        drop(keeper);
        let gone = || async { !backends.iter().any(|pid| alive(*pid)) };
        // With one that stays the next start fails, and says so.
        let _ = wait("the end of its backends", STOP_MAX, gone).await;
    }

    /// Starts the server again with the same data and port; waits until it takes connections. One
    /// that is still running is killed first.
    pub async fn restart(&self) -> Result<()> {
        self.kill9().await;
        let log = self.folder.path().join("server.log");
        let port = self.port.to_string();
        let mut command = self.command("postgres")?;
        command.extend(["-D".to_owned(), self.data().display().to_string(), "-p".to_owned(), port]);
        let keeper = Keeper::start(&command, &environment(self.folder.path()), &log)?;
        *self.lock() = Some(keeper);
        let runs = || self.lock().as_ref().is_some_and(Keeper::alive);
        let ask = || self.execute("postgres", "select 1");
        answers("an answer of postgres", START_MAX, &log, runs, ask).await
    }

    /// Shuts the server down in good order; connections are ended.
    pub async fn stop(&self) -> Result<()> {
        let keeper = self.lock().take();
        let Some(mut keeper) = keeper else { return Ok(()) };
        keeper.signal("INT")?;
        keeper.ended(STOP_MAX).await
    }

    /// Stops the postmaster and its backends in their tracks (SIGSTOP), or lets them go on.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let pid = self.pid().context("the server is not running")?;
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let mut processes = children(pid);
        processes.push(pid);
        let processes = processes.iter().map(u32::to_string);
        std::process::Command::new("kill").arg(signal).args(processes).status()?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of the installation, as a user that PostgreSQL accepts: it refuses root.
    fn command(&self, program: &str) -> Result<Vec<String>> {
        let program = self.binaries.join(program).display().to_string();
        let Some(user) = unprivileged()? else { return Ok(vec![program]) };
        let (uid, gid) = (format!("--reuid={}", user.uid), format!("--regid={}", user.gid));
        Ok(vec!["setpriv".to_owned(), uid, gid, "--clear-groups".to_owned(), program])
    }

    async fn create_cluster(&self) -> Result<()> {
        let command = self.command("initdb")?;
        let output = tokio::process::Command::new(&command[0])
            .args(&command[1..])
            .args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(self.data())
            .env_clear()
            .envs(environment(self.folder.path()))
            .current_dir("/")
            .output()
            .await?;
        if !output.status.success() {
            bail!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = on\n\
             synchronous_commit = on\nfull_page_writes = on\nmax_connections = 300\n\
             shared_buffers = 64MB\nlog_min_messages = warning\n",
            self.folder.path().display()
        );
        let file = self.data().join("postgresql.auto.conf");
        std::fs::write(file, settings).context("cannot write the settings")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Keeper>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.lock().take());
    }
}

fn installed() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let binaries = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let folder = entry.path().join("bin");
        folder.join("initdb").exists().then_some((version, folder))
    });
    binaries
        .max()
        .map(|(_, folder)| folder)
        .context("postgresql is not installed in /usr/lib/postgresql: ./test installs it")
}

fn environment(dir: &Path) -> Vec<(String, String)> {
    [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TZ", "UTC".to_owned()),
        ("HOME", dir.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

/// The user to become when this process is root's: Debian's `postgres`.
fn unprivileged() -> Result<Option<User>> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let found = users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields[..] else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (name == "postgres").then_some(User { uid, gid })
    });
    found.map(Some).context("root cannot run PostgreSQL, and there is no user postgres")
}

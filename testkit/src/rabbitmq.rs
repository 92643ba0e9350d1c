//! A private RabbitMQ node: Debian's installed one, or that of another Debian in a folder
//! (`SWITCHHOOK_TEST_RABBITMQ_ROOT`), which runs under `chroot`.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::free_port;
use crate::keeper::{Keeper, Sweeper, answers};

const START_MAX: Duration = Duration::from_mins(2);
const STOP_MAX: Duration = Duration::from_mins(1);
const LIBRARY: &str = "usr/lib/rabbitmq/lib";

/// How a node differs from the default one.
#[derive(Clone, Debug)]
pub struct Options {
    /// Arguments of the Erlang machine.
    pub erlang: String,
    /// More lines of `rabbitmq.conf`.
    pub config: String,
    /// Plugins that are on, as `rabbitmq_prometheus`.
    pub plugins: &'static str,
}

impl Options {
    /// As Debian starts it, for measurements: no thrift.
    pub fn plain() -> Self {
        Self { erlang: String::new(), config: String::new(), plugins: "" }
    }
}

impl Default for Options {
    /// One scheduler and a small write-ahead log: several nodes fit on a small machine.
    fn default() -> Self {
        Self {
            erlang: "+S 1:1 +sbwt none".to_owned(),
            config: "raft.wal_max_size_bytes = 67108864\n".to_owned(),
            plugins: "",
        }
    }
}

/// Where a node runs and what it is called.
#[derive(Clone, Debug)]
pub struct Place {
    /// What goes before each command of the node.
    pub within: Vec<String>,
    pub host: Ipv4Addr,
    pub port: u16,
    /// Its port mapper's.
    pub epmd_port: u16,
    /// Between nodes.
    pub dist_port: u16,
    /// `name@host`; a host that is an address makes it a long name.
    pub name: String,
    /// What the nodes of a cluster share; `None`: one of its own.
    pub cookie: Option<String>,
}

impl Place {
    /// On the loopback, alone.
    fn alone() -> Self {
        let port = free_port();
        Self {
            within: Vec::new(),
            host: Ipv4Addr::LOCALHOST,
            port,
            epmd_port: free_port(),
            dist_port: free_port(),
            name: format!("switchhook{port}@localhost"),
            cookie: None,
        }
    }
}

/// A node and its data, which outlives its process: it can be killed and started again.
#[derive(Debug)]
pub struct Node {
    process: Mutex<Option<Keeper>>,
    /// The node's own port mapper; without it two test runs would meet in one.
    _epmd: Keeper,
    folder: Sweeper,
    root: Option<PathBuf>,
    /// The folder of `rabbitmq-server` and `rabbitmqctl`, as seen from `root`.
    sbin: String,
    place: Place,
    env: Vec<(String, String)>,
}

/// The node that all tests of this process share; each test takes names of its own on it.
pub async fn shared() -> Result<&'static Node> {
    static SHARED: OnceCell<Node> = OnceCell::const_new();
    SHARED.get_or_try_init(Node::start).await
}

impl Node {
    /// Starts a node and waits until it takes connections.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Result<Self> {
        Self::start_at(Place::alone(), options).await
    }

    pub async fn start_at(place: Place, options: Options) -> Result<Self> {
        let root = other_root();
        let sbin = installed(root.as_deref())?;
        let temp = root.as_deref().map_or_else(std::env::temp_dir, |root| root.join("tmp"));
        let folder = tempfile::Builder::new().prefix("switchhook-rabbitmq-").tempdir_in(temp)?;
        let inside = seen_from(root.as_deref(), folder.path());
        std::fs::write(folder.path().join("rabbitmq.conf"), config(&options))?;
        std::fs::write(folder.path().join("enabled_plugins"), format!("[{}].\n", options.plugins))?;
        std::fs::write(folder.path().join("env.conf"), "")?;
        if let Some(cookie) = &place.cookie {
            let path = folder.path().join(".erlang.cookie");
            std::fs::write(&path, cookie)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o400))?;
        }
        let env = environment(&inside, &place, &options);
        let epmd_port = place.epmd_port.to_string();
        let epmd = Keeper::start(
            &place.command(root.as_deref(), &["epmd", "-port", &epmd_port]),
            &env,
            &folder.path().join("epmd.log"),
        )?;
        let folder = Sweeper::new(folder)?;
        let process = Mutex::new(None);
        let node = Self { process, _epmd: epmd, folder, root, sbin, place, env };
        node.restart().await?;
        Ok(node)
    }

    /// `amqp://…`, with the default user and virtual host.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}:{}/%2f", self.place.host, self.place.port)
    }

    pub fn port(&self) -> u16 {
        self.place.port
    }

    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// The Erlang machine's process, `None` while it is not running.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Keeper::pid)
    }

    /// Kills the node with SIGKILL.
    #[expect(
        clippy::unused_async,
        reason = "the callers' tests read the same for each way to stop"
    )]
    pub async fn kill9(&self) {
        drop(self.lock().take());
    }

    /// Starts the node again with the same data and ports; waits until it takes connections. A node
    /// that is still running is killed first.
    pub async fn restart(&self) -> Result<()> {
        self.kill9().await;
        let log = self.folder.path().join("server.log");
        let command = self
            .place
            .command(self.root.as_deref(), &["/bin/sh", &format!("{}/rabbitmq-server", self.sbin)]);
        let keeper = Keeper::start(&command, &self.env, &log)?;
        *self.lock() = Some(keeper);
        let runs = || self.lock().as_ref().is_some_and(Keeper::alive);
        let ask = || greet(SocketAddr::from((self.place.host, self.place.port)));
        answers("an answer of rabbitmq-server", START_MAX, &log, runs, ask).await
    }

    /// Shuts the node down in good order.
    pub async fn stop(&self) -> Result<()> {
        let keeper = self.lock().take();
        let Some(mut keeper) = keeper else { return Ok(()) };
        keeper.signal("TERM")?;
        keeper.ended(STOP_MAX).await
    }

    /// Stops the process in its tracks (SIGSTOP), or lets it go on.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let mut process = self.lock();
        let keeper = process.as_mut().context("the node is not running")?;
        keeper.signal(if frozen { "STOP" } else { "CONT" })
    }

    /// Raises or clears the memory alarm: while it lasts, publishers are blocked.
    pub async fn alarm(&self, on: bool) -> Result<()> {
        if self.root.is_none() {
            let fraction = if on { "0.00001" } else { "0.6" };
            return self.ctl(&["set_vm_memory_high_watermark", fraction]).await.map(drop);
        }
        // Without a /proc of its own the node watches no memory; the alarm works all the same.
        let alarm = "{resource_limit, memory, node()}";
        let set = format!("rabbit_alarm:set_alarm({{{alarm}, []}}).");
        let clear = format!("rabbit_alarm:clear_alarm({alarm}).");
        self.ctl(&["eval", if on { &set } else { &clear }]).await.map(drop)
    }

    /// Runs `rabbitmqctl` on this node and returns its output.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String> {
        let ctl = format!("{}/rabbitmqctl", self.sbin);
        let command = self.place.command(self.root.as_deref(), &["/bin/sh", &ctl]);
        let output = tokio::process::Command::new(&command[0])
            .args(&command[1..])
            .args(arguments)
            .env_clear()
            .envs(self.env.iter().cloned())
            .current_dir("/")
            .kill_on_drop(true)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("rabbitmqctl {arguments:?} failed:\n{text}{error}");
        }
        Ok(text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Keeper>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.lock().take());
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told by ./test which engine to run on")]
fn other_root() -> Option<PathBuf> {
    std::env::var_os("SWITCHHOOK_TEST_RABBITMQ_ROOT")
        .filter(|root| !root.is_empty())
        .map(Into::into)
}

/// The folder of the server's scripts, as seen from `root`.
fn installed(root: Option<&Path>) -> Result<String> {
    let library = root.unwrap_or(Path::new("/")).join(LIBRARY);
    let found = std::fs::read_dir(&library).ok().and_then(|entries| {
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with("rabbitmq_server-")).max()
    });
    let Some(name) = found else {
        bail!("rabbitmq-server is not installed in {}: ./test installs it", library.display());
    };
    Ok(format!("/{LIBRARY}/{name}/sbin"))
}

impl Place {
    /// The command as run there, in `root`.
    fn command(&self, root: Option<&Path>, command: &[&str]) -> Vec<String> {
        let chroot = root.map(|root| ["chroot".to_owned(), root.display().to_string()]);
        let command = command.iter().map(|word| (*word).to_owned());
        self.within.iter().cloned().chain(chroot.into_iter().flatten()).chain(command).collect()
    }
}

fn seen_from(root: Option<&Path>, path: &Path) -> PathBuf {
    let inside = root.and_then(|root| path.strip_prefix(root).ok());
    inside.map_or_else(|| path.to_owned(), |rest| Path::new("/").join(rest))
}

fn config(options: &Options) -> String {
    format!(
        "disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.relative = 0.6\n\
         log.file.level = warning\n{}",
        options.config
    )
}

fn environment(dir: &Path, place: &Place, options: &Options) -> Vec<(String, String)> {
    let Place { host, port, epmd_port, dist_port, name, .. } = place;
    let long = name.split('@').nth(1).is_some_and(|host| host.parse::<Ipv4Addr>().is_ok());
    let path = |name: &str| dir.join(name).display().to_string();
    let [a, b, c, d] = host.octets();
    let own = format!("-kernel inet_dist_use_interface {{{a},{b},{c},{d}}}");
    let erlang = format!("{} {own}", options.erlang);
    [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", dir.display().to_string()),
        ("ERL_EPMD_PORT", epmd_port.to_string()),
        ("ERL_EPMD_ADDRESS", host.to_string()),
        ("RABBITMQ_NODENAME", name.clone()),
        ("RABBITMQ_USE_LONGNAME", long.to_string()),
        ("RABBITMQ_NODE_IP_ADDRESS", host.to_string()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", dist_port.to_string()),
        ("RABBITMQ_CTL_DIST_PORT_MIN", "15000".to_owned()),
        ("RABBITMQ_CTL_DIST_PORT_MAX", "60000".to_owned()),
        ("RABBITMQ_CTL_ERL_ARGS", "+S 1:1".to_owned()),
        ("RABBITMQ_MNESIA_BASE", path("data")),
        ("RABBITMQ_LOG_BASE", path("log")),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", path("env.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ("RABBITMQ_PID_FILE", path("pid")),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang),
        // Lets the script become the Erlang machine instead of waiting for it, so that the pid is
        // the machine's.
        ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Makes sure that something that speaks AMQP 0-9-1 listens there.
async fn greet(address: SocketAddr) -> Result<()> {
    let hello = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_u8().await
    };
    match tokio::time::timeout(Duration::from_secs(2), hello).await?? {
        1 => Ok(()),
        other => bail!("a frame of type {other}"),
    }
}

//! Three RabbitMQ nodes, each in a network namespace of its own, on one bridge. A node can be cut off from
//! the two others while clients still reach it.
//!
//! It makes interfaces, so it wants to run in a network namespace itself: [`in_own_network`].

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::rabbitmq::{Node, Options, Place};

const NODES: u8 = 3;
/// Private to the namespace (RFC 1918).
const NETWORK: [u8; 3] = [10, 77, 0];
const BRIDGE: &str = "swbridge";
/// Each node has a namespace of its own, so all have the same ports.
const PORT: u16 = 5672;
const EPMD_PORT: u16 = 4369;
const DIST_PORT: u16 = 25672;
/// Seconds: a node that is not heard of for so long is away.
const NET_TICK: u32 = 8;

/// Ends, with all that it made, when dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    spaces: Vec<Space>,
}

/// A network namespace with one interface on the bridge.
#[derive(Debug)]
struct Space {
    name: String,
    address: Ipv4Addr,
}

/// Becomes this program once more in a network namespace of its own; returns when it already is in one.
pub fn in_own_network() -> Result<()> {
    if own_network()? {
        return run("ip link set lo up");
    }
    let error = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).context("cannot start `unshare --net`: this needs root")
}

impl Cluster {
    /// Starts three nodes and waits until they are one cluster.
    pub async fn start() -> Result<Self> {
        ensure!(own_network()?, "a cluster makes interfaces: run it under `unshare --net`");
        let bridge = Ipv4Addr::from([NETWORK[0], NETWORK[1], NETWORK[2], 254]);
        run(&format!("ip link add {BRIDGE} type bridge"))?;
        run(&format!("ip address add {bridge}/24 dev {BRIDGE}"))?;
        run(&format!("ip link set {BRIDGE} up"))?;
        let spaces = (1..=NODES).map(Space::new).collect::<Result<Vec<_>>>()?;
        let starts = spaces.iter().map(|space| Node::start_at(space.place(), options()));
        let nodes = futures_util::future::try_join_all(starts).await?;
        let cluster = Self { nodes, spaces };
        cluster.nodes[0].ctl(&["await_online_nodes", &NODES.to_string()]).await?;
        Ok(cluster)
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// Which node leads most quorum queues.
    pub async fn leader(&self) -> Result<usize> {
        let mut answer = Err(anyhow::anyhow!("no node runs"));
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            answer = node.ctl(&["--silent", "list_queues", "leader"]).await;
            if answer.is_ok() {
                break;
            }
        }
        let leaders = answer?;
        let led = |node: &Node| leaders.lines().filter(|line| line.trim() == node.name()).count();
        let most = (0..self.nodes.len()).max_by_key(|n| led(&self.nodes[*n]));
        let most = most.filter(|n| led(&self.nodes[*n]) > 0);
        most.with_context(|| format!("no node leads a queue:\n{leaders}"))
    }

    /// Cuts a node off from the others, or joins it to them again. Clients still reach it.
    pub fn cut_off(&self, nth: usize, off: bool) -> Result<()> {
        let word = if off { "add" } else { "del" };
        let space = &self.spaces[nth];
        for other in self.spaces.iter().filter(|other| other.address != space.address) {
            run(&format!("ip -n {} route {word} blackhole {}/32", space.name, other.address))?;
        }
        Ok(())
    }
}

impl Space {
    fn new(nth: u8) -> Result<Self> {
        let name = format!("switchhook-{}-{nth}", std::process::id());
        let address = Ipv4Addr::from([NETWORK[0], NETWORK[1], NETWORK[2], nth]);
        run(&format!("ip netns add {name}"))?;
        let space = Self { name, address };
        let name = &space.name;
        run(&format!("ip link add swnode{nth} type veth peer name eth0 netns {name}"))?;
        run(&format!("ip link set swnode{nth} master {BRIDGE} up"))?;
        run(&format!("ip -n {name} address add {address}/24 dev eth0"))?;
        run(&format!("ip -n {name} link set eth0 up"))?;
        run(&format!("ip -n {name} link set lo up"))?;
        Ok(space)
    }

    fn place(&self) -> Place {
        let within = ["ip", "netns", "exec", &self.name].map(str::to_owned);
        Place {
            within: within.into(),
            host: self.address,
            port: PORT,
            epmd_port: EPMD_PORT,
            dist_port: DIST_PORT,
            name: node_name(self.address),
            cookie: Some("switchhook-tests-only".to_owned()),
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // Nothing to be done when it is not there any more.
        let _ = run(&format!("ip netns delete {}", self.name));
    }
}

fn node_name(address: Ipv4Addr) -> String {
    format!("switchhook@{address}")
}

fn options() -> Options {
    let mut peers = String::new();
    for nth in 1..=NODES {
        let name = node_name(Ipv4Addr::from([NETWORK[0], NETWORK[1], NETWORK[2], nth]));
        let _ = writeln!(peers, "cluster_formation.classic_config.nodes.{nth} = {name}");
    }
    let defaults = Options::default();
    Options {
        erlang: format!("{} -kernel net_ticktime {NET_TICK}", defaults.erlang),
        config: format!(
            "{}loopback_users = none\ncluster_partition_handling = pause_minority\n\
             cluster_formation.peer_discovery_backend = classic_config\n{peers}",
            defaults.config
        ),
        ..defaults
    }
}

/// Whether there is nothing here but a loopback, as where nobody has made anything yet.
fn own_network() -> Result<bool> {
    let interfaces = std::fs::read_to_string("/proc/self/net/dev")?;
    let names = interfaces.lines().filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim()).all(|name| name == "lo"))
}

/// Runs a command of words without spaces.
fn run(command: &str) -> Result<()> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap_or_default()).args(words).output()?;
    if !output.status.success() {
        bail!("`{command}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

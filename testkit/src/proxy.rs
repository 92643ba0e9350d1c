//! A small TCP proxy: a line between the product and an engine that can be cut, and a load balancer
//! that is told where to route.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::lapse;

const NO_HANDLES: Duration = Duration::from_millis(10);

/// Listens on a port of its own; ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    way: Arc<Way>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Way {
    /// Ports of 127.0.0.1, taken in turn.
    targets: Mutex<Vec<u16>>,
    next: AtomicUsize,
    /// In milliseconds, for each piece of each direction.
    delay: AtomicU64,
    /// Counts the cuts; each connection ends with the next one.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Brings every new connection to one of these ports of 127.0.0.1.
    pub async fn start(targets: Vec<u16>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let way = Arc::new(Way {
            targets: Mutex::new(targets),
            next: AtomicUsize::new(0),
            delay: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
        });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&way)));
        Ok(Self { port, way, _server: server })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where new connections go from now on. Those that are open stay.
    pub fn route(&self, targets: Vec<u16>) {
        *self.way.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// Holds every piece up for so long on its way, in both directions.
    pub fn delay(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.way.delay.store(ms, Ordering::Relaxed);
    }

    /// Ends every open connection; new ones are taken at once.
    pub fn cut(&self) {
        self.way.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                let cuts = way.cuts.subscribe();
                open.spawn(carry(client, Arc::clone(&way), cuts));
            }
            Err(_) => lapse(NO_HANDLES, "file handles have run out until others end").await,
        }
    }
}

async fn carry(client: TcpStream, way: Arc<Way>, mut cuts: watch::Receiver<u64>) {
    let Some(server) = way.connect().await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let both = async {
        tokio::join!(way.pump(client_read, server_write), way.pump(server_read, client_write))
    };
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        _ = both => {}
    }
}

impl Way {
    /// One direction, until its source ends or either side fails.
    async fn pump(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let delay = self.delay.load(Ordering::Relaxed);
            if delay > 0 {
                lapse(Duration::from_millis(delay), "the way was told to be slow").await;
            }
            if to.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
        // The other side may have gone first.
        let _ = to.shutdown().await;
    }

    /// The first target in turn that answers.
    async fn connect(&self) -> Option<TcpStream> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for n in 0..targets.len() {
            let port = targets[(first + n) % targets.len()];
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if let Ok(stream) = TcpStream::connect(address).await {
                return Some(stream);
            }
        }
        None
    }
}

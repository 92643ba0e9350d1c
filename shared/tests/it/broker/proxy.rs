//! A relay between a process and its broker. It can be cut, as if the process had been killed, and
//! held, as if the network had stopped.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is held: what has this word in it.
type Held = Option<&'static str>;

pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: CancellationToken,
    held: watch::Sender<Held>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, held) = (CancellationToken::new(), watch::Sender::new(None));
        let tracker = TaskTracker::new();
        let (stop, relays, gate) = (cut.clone(), tracker.clone(), held.clone());
        tracker.spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let relay = relay(near, to, gate.subscribe());
                relays.spawn(stop.clone().run_until_cancelled_owned(relay));
            }
        }));
        Self { port, cut, held }
    }

    /// Ends every connection and takes no more.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Passes nothing on while it is held, and afterwards all that was sent meanwhile.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held.then_some(""));
    }

    /// The same for what is sent in a direction from when this word is in it.
    pub(crate) fn hold_from(&self, word: &'static str) {
        self.held.send_replace(Some(word));
    }
}

/// Passes on in both directions until both have ended.
async fn relay(near: TcpStream, to: u16, held: watch::Receiver<Held>) {
    let Ok(far) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, to))).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::join!(pass(near_read, far_write, held.clone()), pass(far_read, near_write, held));
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut held: watch::Receiver<Held>,
) {
    let mut buffer = vec![0; 64 * 1024];
    // Either end may go at any time.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let piece = String::from_utf8_lossy(&buffer[..read]);
        if held.wait_for(|held| !held.is_some_and(|word| piece.contains(word))).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            break;
        }
    }
    let _ = to.shutdown().await;
}

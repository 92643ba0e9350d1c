//! A relay between a process and its broker, which can be cut as if the process had been killed.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct Proxy {
    pub(crate) port: u16,
    cut: CancellationToken,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (stop, relays) = (cut.clone(), tracker.clone());
        tracker.spawn(async move {
            let accept = async {
                loop {
                    let (near, _) = listener.accept().await.unwrap();
                    relays.spawn(relay(near, to, stop.clone()));
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = accept => {}
            }
        });
        Self { port, cut }
    }

    /// Ends every connection and takes no more.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }
}

async fn relay(mut near: TcpStream, to: u16, cut: CancellationToken) {
    let Ok(mut far) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, to))).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    tokio::select! {
        () = cut.cancelled() => {}
        // Either end may go at any time.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
    }
}

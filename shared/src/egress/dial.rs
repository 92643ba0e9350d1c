//! Opens connections: resolves a name, has every address judged, dials only what was judged.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use url::Url;

use super::guard::{Guard, Refusal, TargetHost};

/// Lookups that run at once. The resolver of the C library cannot be cancelled: a lookup outlives
/// the call that asked for it, and holds its permit until it ends.
const LOOKUPS_MAX: usize = 256;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;
/// The next address is tried when the one before has not answered for this long.
const STAGGER: Duration = Duration::from_millis(250);

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the name cannot be resolved: {0}")]
    Unresolvable(String),
    #[error("no connection: {0}")]
    Connect(io::Error),
}

/// Dials under a [`Guard`].
#[derive(Clone, Debug)]
pub(super) struct Dialler {
    guard: Arc<Guard>,
    lookups: Arc<Semaphore>,
}

impl Dialler {
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        Self { guard, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    async fn dial(self, uri: Uri) -> Result<TokioIo<TcpStream>, DialError> {
        // Judged again, though `send` did: nothing is dialled that this function has not judged.
        let url = Url::parse(&uri.to_string()).map_err(|_| Refusal::Host)?;
        let target = self.guard.target(&url)?;
        let addrs = match target.host {
            TargetHost::Address(ip) => vec![SocketAddr::new(ip, target.port)],
            TargetHost::Name(name) => self.lookup(name, target.port).await?,
        };
        self.guard.judge_all(target.tls, &addrs)?;
        let stream = race(&addrs[..addrs.len().min(ADDRESSES_MAX)]).await?;
        let (local, peer) = (stream.local_addr(), stream.peer_addr());
        let (local, peer) = (local.map_err(DialError::Connect)?, peer.map_err(DialError::Connect)?);
        self.guard.judge_connected(local, peer)?;
        stream.set_nodelay(true).map_err(DialError::Connect)?;
        Ok(TokioIo::new(stream))
    }

    async fn lookup(&self, name: String, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let unresolvable = |why: &dyn std::fmt::Display| DialError::Unresolvable(why.to_string());
        let permit = Arc::clone(&self.lookups).acquire_owned().await;
        let permit = permit.map_err(|why| unresolvable(&why))?;
        let found = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let found = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), port))?;
            Ok::<Vec<_>, io::Error>(found.collect())
        });
        match found.await {
            Ok(Ok(addrs)) if addrs.is_empty() => Err(unresolvable(&"it has no address")),
            Ok(Ok(addrs)) => Ok(addrs),
            Ok(Err(why)) => Err(unresolvable(&why)),
            Err(why) => Err(unresolvable(&why)),
        }
    }
}

/// Dials the addresses in their order, each a little after the one before; the first connection wins.
async fn race(addrs: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let mut waiting = addrs.iter();
    let mut running = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = waiting.next();
        running.extend(next.map(|addr| TcpStream::connect(*addr)));
        if running.is_empty() {
            return Err(DialError::Connect(last));
        }
        let stagger = tokio::time::sleep(STAGGER);
        tokio::select! {
            biased;
            Some(connected) = running.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = stagger, if next.is_some() => {}
        }
    }
}

impl tower::Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().dial(uri))
    }
}

/// Bounds what it wraps, TLS included: the pool finishes a connection in the background when the
/// request that began it has found another.
#[derive(Clone, Debug)]
pub(super) struct Bounded<C> {
    pub(super) connector: C,
    pub(super) limit: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> tower::Service<Uri> for Bounded<C>
where
    C: tower::Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.connector.call(uri));
        Box::pin(async move { connecting.await? })
    }
}

//! One connection to one node, from the dialling to its end. It can be cut: what lapin still holds
//! in its buffers is then never sent.

use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_util::{Stream, StreamExt as _};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A node that does not finish the handshake within this time is given up.
const DIAL_MAX: Duration = Duration::from_secs(5);
/// A node that does not answer a call (open, declare, consume) within this time is given up.
const CALL_MAX: Duration = Duration::from_secs(10);
/// lapin reports the end of a connection as an event; this catches an end without one.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why a connection could not be made, or a call on it failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the node did not answer in time")]
    Silent,
    #[error(transparent)]
    Amqp(#[from] lapin::Error),
}

/// Ends a connection's socket, from wherever it is called.
#[derive(Clone, Default)]
struct Cut(Arc<Mutex<Option<TcpStream>>>);

impl Cut {
    fn hold(&self, socket: TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    fn done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn now(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // An error means that the socket is gone already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// A connection of one incarnation.
pub(super) struct Link {
    connection: Connection,
    cut: Cut,
    /// Cancelled when the connection is over, or given up.
    pub(super) ended: CancellationToken,
    blocked: AtomicBool,
    /// The server's major version; 0 when it was not asked or did not tell.
    pub(super) server_major: u32,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("status", self.connection.status()).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects to the node. With `ask_version` the node is first asked who it is, in a handshake
    /// of its own that goes no further: lapin does not show what the server says of itself.
    pub(super) async fn dial(uri: &AMQPUri, name: &str, ask_version: bool) -> Result<Self, Error> {
        let cut = Cut::default();
        let major = Arc::new(AtomicU32::new(0));
        let (hold, told) = (cut.clone(), Arc::clone(&major));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime()?;
        let dialled = Connection::connector(
            uri.clone(),
            runtime,
            async move |uri: AMQPUri, runtime| {
                let host = uri.authority.host.clone();
                let addresses: Vec<_> =
                    tokio::net::lookup_host((host.as_str(), uri.authority.port)).await?.collect();
                let open = async |held: Option<&Cut>| {
                    let stream = AsyncTcpStream::connect(&runtime, addresses.clone()).await?;
                    if let (AsyncTcpStream::Plain(plain), Some(cut)) = (&stream, held) {
                        cut.hold(plain.get_ref().as_fd().try_clone_to_owned()?.into());
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => {
                            stream.into_tls(&host, OwnedTLSConfig::default().as_ref()).await
                        }
                    }
                };
                if ask_version {
                    told.store(server_major(open(None).await?).await?, Ordering::Relaxed);
                }
                Ok(open(Some(&hold)).await?)
            },
            properties,
        );
        let connection = match timeout(DIAL_MAX, dialled).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                cut.now();
                return Err(Error::Silent);
            }
        };
        let server_major = major.load(Ordering::Relaxed);
        let (ended, blocked) = (CancellationToken::new(), AtomicBool::new(false));
        Ok(Self { connection, cut, ended, blocked, server_major })
    }

    /// What the connection tells of itself; to be given to [`Self::watch`].
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + use<'_> {
        self.connection.events_listener()
    }

    /// Returns when the connection is over; tells whenever it becomes blocked or free.
    pub(super) async fn watch(
        &self,
        events: impl Stream<Item = Event> + Send,
        mut tell: impl FnMut(bool) + Send,
    ) {
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::select! {
                biased;
                () = self.ended.cancelled() => break,
                event = timeout(LOOK_EVERY, events.next()) => event,
            };
            match event {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    tracing::warn!(broker.reason = %reason, "the broker has blocked publishing");
                    self.blocked.store(true, Ordering::SeqCst);
                    tell(true);
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    tracing::info!("the broker takes jobs again");
                    self.blocked.store(false, Ordering::SeqCst);
                    tell(false);
                }
                Ok(Some(Event::Error(_)) | None) => break,
                Ok(Some(_)) => {}
                Err(_) if self.connection.status().connected() => {}
                Err(_) => break,
            }
        }
        self.ended.cancel();
    }

    /// Whether the broker has asked to stop publishing.
    pub(super) fn blocked(&self) -> bool {
        self.blocked.load(Ordering::SeqCst)
    }

    pub(super) async fn open_channel(&self) -> Result<Channel, Error> {
        self.call(self.connection.create_channel()).await
    }

    /// Awaits an answer of the node; gives the node up when none comes.
    pub(super) async fn call<T>(
        &self,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Error> {
        if let Ok(answer) = timeout(CALL_MAX, answer).await {
            return Ok(answer?);
        }
        self.fail();
        Err(Error::Silent)
    }

    /// Gives the connection up at once: nothing more is sent.
    pub(super) fn fail(&self) {
        self.ended.cancel();
        self.cut.now();
    }

    /// Says good-bye when the node still listens, then ends the connection in any case.
    pub(super) async fn close(&self) {
        if !self.cut.done() && !self.blocked() && self.connection.status().connected() {
            let _ = timeout(Duration::from_secs(1), self.connection.close(200, "OK".into())).await;
        }
        self.fail();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut.now();
    }
}

/// Begins a handshake and reads the first number of the server's version from its greeting.
async fn server_major<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<u32> {
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    stream.flush().await?;
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]).min(64 * 1024);
    let mut greeting = vec![0; length as usize];
    stream.read_exact(&mut greeting).await?;
    Ok(major(&greeting).unwrap_or(0))
}

/// Finds `version` among the server's properties: a short string as key, a long one as value.
fn major(greeting: &[u8]) -> Option<u32> {
    const KEY: &[u8] = b"\x07versionS";
    let at = greeting.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let value = greeting.get(at + 4..)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&digits.copied().collect::<Vec<_>>()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_version_is_found_in_the_greeting() {
        assert_eq!(
            major(b"\x00\x0a\x00\x0a..\x07versionS\x00\x00\x00\x054.0.5\x08platformS"),
            Some(4)
        );
        assert_eq!(major(b"\x07versionS\x00\x00\x00\x063.10.8"), Some(3));
        assert_eq!(major(b"\x07productS\x00\x00\x00\x08RabbitMQ"), None);
        assert_eq!(major(b"\x07versionS\x00\x00"), None);
    }
}

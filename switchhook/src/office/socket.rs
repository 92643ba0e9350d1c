//! `DATA/control.sock`: how commands reach an `up` that holds the data folder. One JSON request and one
//! JSON response a connection. The folder and the socket are their owner's alone.

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shared::broker::Broker;
use shared::engines;
use shared::ground::Ground;
use shared::store::Store;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::execute::Desk;
use super::{Request, Response};

const FILE: &str = "control.sock";
/// Largest request or response.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(30);
const CONNECTIONS_MAX: usize = 16;

/// A socket's address has little room for a path; through an open folder any path fits.
struct Spot {
    _folder: File,
    path: PathBuf,
}

impl Spot {
    fn of(folder: &Path) -> std::io::Result<Self> {
        let open = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{FILE}", open.as_raw_fd()));
        Ok(Self { _folder: open, path })
    }

    /// Removes a socket that is there.
    fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Serves until the ground's life ends.
pub(crate) fn serve<B: Broker, S: Store>(
    ground: &Ground<B, S>,
    desk: Desk<S>,
    folder: &Path,
) -> std::io::Result<()> {
    let spot = Spot::of(folder)?;
    // The folder is locked by this process: a socket that is there is a dead one's.
    spot.remove()?;
    let listener = UnixListener::bind(&spot.path)?;
    std::fs::set_permissions(&spot.path, Permissions::from_mode(0o600))?;
    let (life, stop) = (ground.lifecycle.clone(), ground.lifecycle.stop());
    let (broker, keys) = (ground.broker.clone(), ground.keys.clone());
    let registry = ground.registry.clone();
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accept = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let (desk, broker, keys) = (desk.clone(), broker.clone(), keys.clone());
            let registry = registry.clone();
            life.spawn_one(async move {
                let _permit = permit;
                let served = tokio::time::timeout(DEADLINE, answer(stream, &desk));
                if let Ok(Ok(true)) = served.await {
                    registry.invalidate();
                    engines::announce_change(&broker, &keys).await;
                }
            });
        }
    };
    ground.lifecycle.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept => {}
        }
        if let Err(error) = spot.remove() {
            tracing::debug!(%error, "the control socket stays behind");
        }
    });
    Ok(())
}

/// Answers one request; `true` when it changed the registry.
async fn answer<S: Store>(mut stream: UnixStream, desk: &Desk<S>) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    (&mut stream).take(BYTES_MAX).read_to_end(&mut bytes).await?;
    let (response, changed) = match serde_json::from_slice::<Request>(&bytes) {
        Ok(request) => {
            let changes = request.changes_registry();
            let response = desk.execute(request).await;
            let done = !matches!(response, Response::Refused(_));
            (response, changes && done)
        }
        Err(error) => (Response::Refused(format!("the request is not understood: {error}")), false),
    };
    stream.write_all(&serde_json::to_vec(&response)?).await?;
    stream.shutdown().await?;
    Ok(changed)
}

/// Asks the `up` that serves this folder; `None` when none does.
pub(crate) async fn ask(folder: &Path, request: &Request) -> std::io::Result<Option<Response>> {
    let Ok(spot) = Spot::of(folder) else { return Ok(None) };
    let Ok(stream) = UnixStream::connect(&spot.path).await else { return Ok(None) };
    let exchange = exchange(stream, serde_json::to_vec(request)?);
    let bytes = tokio::time::timeout(DEADLINE, exchange).await??;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

async fn exchange(mut stream: UnixStream, request: Vec<u8>) -> std::io::Result<Vec<u8>> {
    stream.write_all(&request).await?;
    stream.shutdown().await?;
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

//! Publishing without confirms: doorbells, replies and announcements. They may be lost, so they
//! wait for nothing: not for a blocked broker, nor for more room than their buffer has.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::Channel;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use tokio::sync::mpsc;

use super::link::Link;
use super::metrics::{Dropped, Metrics};
use super::publisher::properties;
use crate::domain::ids::TurnId;

/// Messages that are handed to lapin and not yet on the socket.
const UNWRITTEN_MAX: usize = 256;

/// A message that finds no room for this long is dropped.
const ROOM_MAX: Duration = Duration::from_secs(1);

/// One message on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) turn: Option<TurnId>,
    pub(super) body: Bytes,
}

/// The sending end.
#[derive(Clone, Debug)]
pub(super) struct Courier {
    parcels: mpsc::Sender<Parcel>,
}

impl Courier {
    /// Sends when there is room in the buffer; says whether there was.
    pub(super) fn send_now(&self, parcel: Parcel) -> bool {
        self.parcels.try_send(parcel).is_ok()
    }

    /// Sends when there is room in the buffer, and waits a little for it; says whether there was.
    pub(super) async fn send(&self, parcel: Parcel) -> bool {
        self.parcels.send_timeout(parcel, ROOM_MAX).await.is_ok()
    }
}

/// Makes a courier of an AMQP channel, and the work that somebody has to run.
pub(super) fn open(
    link: Arc<Link>,
    channel: Channel,
    buffer: usize,
    dropped: (Metrics, Dropped),
) -> (Courier, impl Future<Output = ()> + Send + use<>) {
    let (parcels, queue) = mpsc::channel(buffer);
    (Courier { parcels }, deliver_all(link, channel, queue, dropped))
}

async fn deliver_all(
    link: Arc<Link>,
    channel: Channel,
    mut parcels: mpsc::Receiver<Parcel>,
    (metrics, kind): (Metrics, Dropped),
) {
    let mut unwritten = FuturesUnordered::new();
    let mut ended = std::pin::pin!(link.ended.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            Some(written) = unwritten.next(), if !unwritten.is_empty() => {
                if let Err(error) = written {
                    tracing::warn!(%error, "a message could not be sent");
                    break;
                }
            }
            parcel = parcels.recv(), if unwritten.len() < UNWRITTEN_MAX => {
                let Some(parcel) = parcel else { break };
                if link.blocked() {
                    metrics.dropped(kind);
                    continue;
                }
                let mut write = Box::pin(write(&channel, parcel));
                // The first poll queues the frames: in this order.
                match futures_util::poll!(write.as_mut()) {
                    Poll::Pending => unwritten.push(write),
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => break,
                }
            }
        }
    }
    link.fail();
}

async fn write(channel: &Channel, parcel: Parcel) -> lapin::Result<()> {
    let Parcel { exchange, key, turn, body } = parcel;
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange, key, options, &body, properties(1, turn)).await.map(drop)
}

//! A request that is on its way in: its place among those that are worked on, and its body, which may come
//! slowly. While it comes the place is another's: slow senders keep nobody out.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// How long a body may take to come in.
const BODY: Duration = Duration::from_secs(15);

pub(crate) struct Arriving<'r> {
    body: Incoming,
    places: &'r Semaphore,
    held: Option<SemaphorePermit<'r>>,
}

/// Why there is no body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unread {
    TooLarge,
    TooSlow,
    /// The sender broke off, or does not speak HTTP.
    Broken,
    /// It came, and all places were taken meanwhile.
    Busy,
}

impl<'r> Arriving<'r> {
    /// `None` when all places are taken.
    pub(crate) fn new(places: &'r Semaphore, body: Incoming) -> Option<Self> {
        let held = Some(places.try_acquire().ok()?);
        Some(Self { body, places, held })
    }

    /// The whole body, of at most so many bytes.
    pub(crate) async fn read(&mut self, most: usize) -> Result<Bytes, Unread> {
        if self.body.is_end_stream() {
            return Ok(Bytes::new());
        }
        self.held = None;
        let reading = timeout(BODY, Limited::new(&mut self.body, most).collect());
        let bytes = match reading.await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Unread::TooLarge),
            Ok(Err(_)) => return Err(Unread::Broken),
            Err(_) => return Err(Unread::TooSlow),
        };
        self.held = Some(self.places.try_acquire().map_err(|_| Unread::Busy)?);
        Ok(bytes)
    }
}

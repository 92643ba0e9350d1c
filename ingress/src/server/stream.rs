//! A connection's bytes, watched: what comes is scanned for doubtful framing, and a peer that is slow
//! with its first byte, with a head, with its next request or with reading an answer is let go.
//!
//! A body has a deadline of its own (`routes/body.rs`), and while a request is worked on nothing runs
//! out: the peer is waiting for us.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use shared::entropy::Entropy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::canned;
use crate::config::Config;
use crate::domain::framing::Scanner;

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    first_byte: Duration,
    head: Duration,
    idle: Duration,
    write: Duration,
}

impl Limits {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            first_byte: config.first_byte_timeout,
            head: config.head_timeout,
            idle: config.idle_timeout,
            write: config.write_timeout,
        }
    }
}

/// Requests of this connection that are worked on.
#[derive(Clone, Debug, Default)]
pub(super) struct Working(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Work(Working);

impl Working {
    pub(super) fn enter(&self) -> Work {
        self.0.fetch_add(1, Ordering::Relaxed);
        Work(self.clone())
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the peer is waited for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    FirstByte,
    Head,
    Next,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    limits: Limits,
    scanner: Scanner,
    working: Working,
    waiting: Waiting,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// What is still to be written in place of the library's own answer.
    canned: Option<Bytes>,
    entropy: Entropy,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, limits: Limits, entropy: Entropy) -> (Self, Working) {
        let working = Working::default();
        let watched = Self {
            inner,
            limits,
            scanner: Scanner::default(),
            working: working.clone(),
            waiting: Waiting::FirstByte,
            reading: Box::pin(tokio::time::sleep(limits.first_byte)),
            writing: None,
            canned: None,
            entropy,
        };
        (watched, working)
    }

    fn wait_for(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        let wait = match waiting {
            Waiting::FirstByte => self.limits.first_byte,
            Waiting::Head => self.limits.head,
            Waiting::Next => self.limits.idle,
        };
        self.reading.as_mut().reset(Instant::now() + wait);
    }

    /// After bytes have come. A head's time runs from its first byte to its end.
    fn heard(&mut self) {
        match (self.scanner.in_head(), self.waiting) {
            (true, Waiting::Head) => {}
            (true, Waiting::FirstByte | Waiting::Next) => self.wait_for(Waiting::Head),
            (false, _) => self.wait_for(Waiting::Next),
        }
    }

    /// Whether the peer has been too slow. While a request is worked on, its time starts anew.
    fn too_slow(&mut self, context: &mut Context<'_>) -> bool {
        while self.reading.as_mut().poll(context).is_ready() {
            if self.working.any() {
                self.wait_for(Waiting::Next);
            } else {
                return true;
            }
        }
        false
    }
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let came = &mut buffer.filled_mut()[before..];
                if !came.is_empty() {
                    this.scanner.scan(came);
                    this.heard();
                    // A head that trickles in is read whenever it comes: its time runs all the same.
                    if this.waiting == Waiting::Head && this.too_slow(context) {
                        return Poll::Ready(Err(timed_out("the head did not come in time")));
                    }
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if this.too_slow(context) => {
                Poll::Ready(Err(timed_out("nothing came in time")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> Watched<T> {
    /// Writes, and gives up on a peer that does not read.
    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if written.is_ready() {
            self.writing = None;
            if self.waiting == Waiting::Next {
                self.wait_for(Waiting::Next);
            }
            return written;
        }
        let wait = self.limits.write;
        let timer = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(timed_out("the answer was not read in time"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.canned.is_none() && !this.working.any() {
            this.canned = canned::instead_of(bytes, &this.entropy);
        }
        while let Some(mut canned) = this.canned.take() {
            match this.write(context, &canned) {
                Poll::Ready(Ok(written)) => canned.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.canned = Some(canned);
                    return Poll::Pending;
                }
            }
            if canned.is_empty() {
                return Poll::Ready(Ok(bytes.len()));
            }
            this.canned = Some(canned);
        }
        this.write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

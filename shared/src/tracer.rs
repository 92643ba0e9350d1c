//! Traces: what a turn goes through, as spans that are sent to an OpenTelemetry collector.
//!
//! Off by default, and then nothing is kept and nothing is sent; a trace's id still travels with its turn.
//! Everything is bounded: spans wait in a queue of a fixed size and are dropped, and counted, when it is
//! full; nothing that serves a turn ever waits for a collector (`docs/adr/0025`).

mod export;
mod otlp;

use std::fmt;
use std::sync::Arc;

use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::domain::trace::{Context, SpanId, TraceId};
use crate::entropy::Entropy;
pub use export::{Exporter, start};

/// Bits of a trace's id that are random (Trace Context level 2, §2.2.4), of which sampling makes its choice.
const RANDOM_BITS: u32 = 56;

/// Records spans. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    spans: mpsc::Sender<Finished>,
    dropped: IntCounter,
    /// A trace that begins here is recorded when its random bits are below.
    threshold: u64,
}

/// On which side of a conversation between processes a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
}

/// A span that has ended.
#[derive(Debug)]
struct Finished {
    name: &'static str,
    kind: Kind,
    context: Context,
    parent: Option<SpanId>,
    link: Option<Context>,
    began: Instant,
    ended: Instant,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

/// A span under way. It ends when it is dropped. One that is not recorded costs nothing.
pub struct Span(Option<Box<Open>>);

struct Open {
    recorder: Arc<Recorder>,
    finished: Finished,
}

impl Tracer {
    /// Records nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// A trace that begins here, under its first span.
    pub fn begin(&self, context: Context) -> Context {
        let samples = |recorder: &Arc<Recorder>| recorder.samples(context.trace);
        Context { sampled: self.0.as_ref().is_some_and(samples), ..context }
    }

    /// Begins the span that `context` names.
    pub fn span(
        &self,
        name: &'static str,
        kind: Kind,
        context: Context,
        parent: Option<SpanId>,
    ) -> Span {
        let Some(recorder) = self.0.as_ref().filter(|_| context.sampled) else { return Span(None) };
        let began = Instant::now();
        let finished = Finished {
            name,
            kind,
            context,
            parent,
            link: None,
            began,
            ended: began,
            attributes: Vec::new(),
            failed: false,
        };
        Span(Some(Box::new(Open { recorder: Arc::clone(recorder), finished })))
    }

    /// Begins a span of its own under another's, and tells its context: what is passed on. That is the
    /// other's where nothing is recorded.
    pub fn child(
        &self,
        name: &'static str,
        kind: Kind,
        of: Context,
        entropy: &Entropy,
    ) -> (Context, Span) {
        if self.0.is_none() || !of.sampled {
            return (of, Span(None));
        }
        let context = of.with_span(SpanId::new(entropy.u64()));
        (context, self.span(name, kind, context, Some(of.span)))
    }
}

impl Recorder {
    fn samples(&self, trace: TraceId) -> bool {
        trace.low() & ((1 << RANDOM_BITS) - 1) < self.threshold
    }
}

/// The threshold of a share from 0 to 1.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share from 0 to 1 of 2^56: in range, and no exact number is meant"
)]
fn threshold(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * (1_u64 << RANDOM_BITS) as f64) as u64
}

impl Span {
    /// None at all.
    pub const fn none() -> Self {
        Self(None)
    }

    /// It has begun earlier than it was made.
    #[must_use]
    pub fn since(mut self, began: Instant) -> Self {
        self.edit(|span| span.began = began);
        self
    }

    /// Another span that this one goes back to without being its child.
    pub fn link(&mut self, to: Context) {
        self.edit(|span| span.link = Some(to));
    }

    /// An id or a word of a closed set; never what a user said.
    pub fn text(&mut self, key: &'static str, value: impl fmt::Display) {
        self.edit(|span| span.attributes.push((key, Value::Text(value.to_string()))));
    }

    pub fn number(&mut self, key: &'static str, value: impl Into<i64>) {
        self.edit(|span| span.attributes.push((key, Value::Number(value.into()))));
    }

    /// It did not end well.
    pub fn fail(&mut self) {
        self.edit(|span| span.failed = true);
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Finished)) {
        if let Some(open) = &mut self.0 {
            edit(&mut open.finished);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let Open { recorder, mut finished } = *open;
            finished.ended = Instant::now();
            if recorder.spans.try_send(finished).is_err() {
                recorder.dropped.inc();
            }
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({})", self.0.as_ref().map_or("none", |open| open.finished.name))
    }
}

#[cfg(test)]
#[path = "tracer/tests.rs"]
mod tests;

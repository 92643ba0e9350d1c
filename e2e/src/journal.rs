//! The history as it is written: one JSON object a line, in the order in which things happened, with the
//! time in nanoseconds since the run began. Beside it, what the timeline and the vacuity rules need.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::time::Instant;

use crate::history::Conversation;

/// One line. `type` is `invoke`, `ok`, `fail` (certainly not accepted) or `info` (nobody can know).
#[derive(Clone, Debug, Serialize)]
pub struct Event<'a> {
    /// Set when it is written.
    pub t: u64,
    pub p: &'a str,
    pub r#type: &'a str,
    pub f: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'a str>,
    /// A text, a list, a hash: what the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// `p` is who, `f` what: `send`, `run`, `deliver`, `probe`, or a fault.
    pub fn new(p: &'a str, r#type: &'a str, f: &'a str) -> Self {
        Self {
            t: 0,
            p,
            r#type,
            f,
            tenant: None,
            app: None,
            conv: None,
            seq: None,
            mid: None,
            status: None,
            node: None,
            value: None,
        }
    }

    #[must_use]
    pub fn of(mut self, tenant: usize, conv: &'a str) -> Self {
        self.tenant = Some(tenant);
        self.conv = Some(conv);
        self
    }
}

/// One try of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub began: Duration,
    pub ended: Duration,
    pub accepted: bool,
    pub conversation: Conversation,
}

/// What happened when, since the run began.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub tries: Vec<Sample>,
    pub processed: Vec<Duration>,
    pub delivered: Vec<Duration>,
    /// Turns that the bot was given, and how often it was given one that it had been given before.
    pub turns: HashSet<String>,
    pub again: u64,
}

/// Shared by all who write it.
#[derive(Debug)]
pub struct Journal {
    began: Instant,
    file: Mutex<BufWriter<File>>,
    samples: Mutex<Samples>,
}

impl Journal {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create_new(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot begin {}", path.display()))?;
        Ok(Self {
            began: Instant::now(),
            file: Mutex::new(BufWriter::new(file)),
            samples: Mutex::default(),
        })
    }

    /// Since the run began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn note(&self, event: &Event<'_>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let t = self.now();
        let event = Event { t: u64::try_from(t.as_nanos()).unwrap_or(u64::MAX), ..event.clone() };
        // A full disk shows at the end, in `flush`.
        let _ = serde_json::to_writer(&mut *file, &event);
        let _ = file.write_all(b"\n");
        drop(file);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        match (event.f, event.r#type) {
            ("run", _) => {
                samples.processed.push(t);
                if let Some(mid) = event.mid {
                    samples.again += u64::from(!samples.turns.insert(mid.to_owned()));
                }
            }
            ("deliver", "ok") => samples.delivered.push(t),
            (_, _) => {}
        }
    }

    /// How often the bot was given a turn again, so far.
    pub fn again(&self) -> u64 {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).again
    }

    pub fn sample(&self, sample: Sample) {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).tries.push(sample);
    }

    pub fn samples(&self) -> Samples {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings everything to the file.
    pub fn flush(&self) -> anyhow::Result<()> {
        Ok(self.file.lock().unwrap_or_else(PoisonError::into_inner).flush()?)
    }
}

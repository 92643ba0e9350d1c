//! What a lane knows of its conversation. It lives as long as the lane; rows and claims decide, this
//! only saves reading.

use std::time::Duration;

use shared::domain::delivery::{Delivery, Place};
use shared::store::{AttemptRecord, Lowest, Verdict};
use tokio::time::Instant;

use crate::worker::Bell;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: Known,
    /// The lane has work of its own at its end already.
    pub(crate) again: bool,
    /// An attempt whose outcome is not written yet.
    pub(crate) open: Option<Open>,
}

#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    /// This lane delivered that number, and then nothing was unsettled.
    Settled(i64),
    Lowest(Seen),
}

/// The conversation's lowest unsettled delivery, as this lane last saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) delivery: Delivery,
    pub(crate) disabled: bool,
    /// Not to be attempted before: the later of its due time and the end of another's claim.
    at: Instant,
}

/// What is to be written of an attempt, should it be dropped.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) place: Place,
    /// The attempt number that the row shows.
    pub(crate) seen: u32,
    /// `None`: claimed, and the POST has not ended.
    pub(crate) outcome: Option<(Option<AttemptRecord>, Verdict)>,
}

/// What the memory says of a bell.
#[derive(Debug)]
pub(crate) enum Recall {
    /// The lowest unsettled delivery.
    Lowest(Seen),
    /// The bell is for what is settled.
    Stale,
    /// Ask the store.
    Unknown,
}

impl Memory {
    pub(crate) fn recall(&self, bell: &Bell) -> Recall {
        match &self.known {
            Known::Nothing => Recall::Unknown,
            Known::Lowest(seen) => Recall::Lowest(seen.clone()),
            Known::Settled(last) => match (bell.number, &bell.fresh) {
                (Some(number), _) if number <= *last => Recall::Stale,
                // Numbers are dense, so this row follows the one that was settled here.
                (Some(number), Some(fresh)) if number == last + 1 => {
                    let (delivery, at) = (fresh.delivery.clone(), Instant::now());
                    Recall::Lowest(Seen { delivery, disabled: false, at })
                }
                (Some(_) | None, _) => Recall::Unknown,
            },
        }
    }

    /// The store's answer: the lowest unsettled delivery.
    pub(crate) fn saw(&mut self, lowest: Lowest) -> Seen {
        let wait = lowest.due_in.max(lowest.claimed_for);
        let at = Instant::now() + wait;
        let seen = Seen { delivery: lowest.delivery, disabled: lowest.disabled, at };
        self.known = Known::Lowest(seen.clone());
        seen
    }

    /// After this lane delivered `number`, nothing was unsettled: not even what is numbered above it.
    pub(crate) fn settled(&mut self, number: i64) {
        self.known = Known::Settled(number);
    }

    pub(crate) fn forget(&mut self) {
        self.known = Known::Nothing;
    }
}

impl Seen {
    /// Time until it may be attempted; `None` when that is now.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let wait = self.at.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }
}

//! The publishes of one AMQP channel that are not confirmed yet, in the order in which they were
//! written; confirms come in any order.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::broker::PublishError;

type Done = oneshot::Sender<Result<(), PublishError>>;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// The number of the first entry.
    first: u64,
    waiting: VecDeque<Option<(Instant, Done)>>,
}

impl Ring {
    /// Takes the next publish and returns its number.
    pub(super) fn push(&mut self, deadline: Instant, done: Done) -> u64 {
        self.waiting.push_back(Some((deadline, done)));
        self.first + self.waiting.len() as u64 - 1
    }

    /// The caller of a publish that has been confirmed.
    pub(super) fn settle(&mut self, number: u64) -> Option<Done> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (_, done) = self.waiting.get_mut(at)?.take()?;
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
        Some(done)
    }

    /// The deadline that ends first: all have the same time, so it is that of the first.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.front()?.as_ref().map(|(deadline, _)| *deadline)
    }

    /// How far the oldest and the newest are apart.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Every caller that still waits.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Done> + '_ {
        self.first += self.waiting.len() as u64;
        self.waiting.drain(..).flatten().map(|(_, done)| done)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_is_the_first_that_is_not_settled() {
        let mut ring = Ring::default();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let numbers: Vec<_> =
            (0..4).map(|second| ring.push(at(second), oneshot::channel().0)).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        assert!(ring.settle(1).is_some());
        assert_eq!(ring.oldest(), Some(at(0)));
        assert!(ring.settle(0).is_some());
        assert_eq!((ring.oldest(), ring.len()), (Some(at(2)), 2));
        assert!(ring.settle(1).is_none(), "settled twice");
        assert_eq!(ring.drain().count(), 2);
        assert_eq!(ring.push(at(4), oneshot::channel().0), 4);
    }
}

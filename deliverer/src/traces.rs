//! Which trace the deliveries of a turn belong to. Only a doorbell of a turn's own tells; what rings later, a
//! timer, the sweep or the lane itself, does not know. A bounded memory of this process: a trace that is
//! forgotten goes on as one of the turn's id.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use shared::domain::ids::TurnId;
use shared::domain::trace::Context;

/// Turns whose trace is remembered.
const REMEMBERED_MAX: usize = 16_384;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Traces(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    of: HashMap<TurnId, Context>,
    oldest: VecDeque<TurnId>,
}

impl Traces {
    /// The trace of a turn: what a doorbell says now, or what an earlier one said.
    pub(crate) fn of(&self, turn: TurnId, bell: Option<Context>) -> Option<Context> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(context) = bell else { return known.of.get(&turn).copied() };
        if known.of.insert(turn, context).is_none() {
            known.oldest.push_back(turn);
            if known.oldest.len() > REMEMBERED_MAX
                && let Some(oldest) = known.oldest.pop_front()
            {
                known.of.remove(&oldest);
            }
        }
        bell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_remembered_until_many_others_have_come() {
        let turn = |n: u128| TurnId::new(uuid::Uuid::from_u128(n));
        let traces = Traces::default();
        let context = Context::of_turn(turn(7));
        assert_eq!(traces.of(turn(1), None), None);
        assert_eq!(traces.of(turn(1), Some(context)), Some(context));
        assert_eq!(traces.of(turn(1), None), Some(context));
        for n in 2..=REMEMBERED_MAX as u128 + 1 {
            traces.of(turn(n), Some(context));
        }
        assert_eq!(traces.of(turn(1), None), None);
        assert_eq!(traces.of(turn(2), None), Some(context));
        assert_eq!(traces.0.lock().unwrap().of.len(), REMEMBERED_MAX);
    }
}
